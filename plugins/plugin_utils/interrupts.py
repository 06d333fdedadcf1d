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
    """Raise at the end what a Ctrl-C raised at once, if that has gone under.

    When it falls into the end of one of the contexts of core's templates, since 2.19, they raise a ``RuntimeError`` in its
    stead, which core takes for an expression that failed.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield  # Ctrl-C is ignored here, or ends the process itself, or raises elsewhere
        return
    raised: BaseException | None = None

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        try:
            handler(number, frame)
        except BaseException as interrupt:
            raised = interrupt
            raise

    try:
        signal.signal(signal.SIGINT, remember)
        yield
    except Exception:
        if raised is None:
            raise
    finally:
        signal.signal(signal.SIGINT, handler)
    if raised is not None:
        raise raised
