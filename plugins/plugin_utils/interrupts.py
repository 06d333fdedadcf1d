# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Keep a Ctrl-C from being lost in ansible-core's templates."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def heeded_interrupts() -> Iterator[None]:
    """Raise a Ctrl-C at the end if what it raised at once has gone under.

    When it falls into the end of one of the contexts of core's templates, since 2.19, they raise a ``RuntimeError`` in its
    stead, which core takes for an expression that failed.

    :raises KeyboardInterrupt: when there was one
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is ignored here, or ends the process itself, or raises elsewhere
        return
    interrupted = False

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal interrupted
        interrupted = True
        handler(number, frame)

    try:
        signal.signal(signal.SIGINT, remember)
        yield
    except Exception:
        if not interrupted:
            raise
    finally:
        signal.signal(signal.SIGINT, handler)
    if interrupted:
        raise KeyboardInterrupt
