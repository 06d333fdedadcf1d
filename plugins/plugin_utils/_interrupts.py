# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Re-raise a KeyboardInterrupt that a template of ansible-core swallowed."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def reraise_swallowed_interrupt() -> Iterator[Callable[[], None]]:
    """Raise at the end what Ctrl-C raised in the block, if something swallowed it. Yield a function that raises it at once.

    Since 2.19, when Ctrl-C interrupts the end of a context of core's templates, they raise a ``RuntimeError`` instead, and core
    treats it as an expression that failed.
    """
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler) or threading.current_thread() is not threading.main_thread():
        yield lambda: None  # Ctrl-C is ignored here, or ends the process itself, or raises elsewhere
        return
    raised: BaseException | None = None

    def remember(number: int, frame: FrameType | None) -> None:
        nonlocal raised
        try:
            handler(number, frame)
        except BaseException as interrupt:
            raised = interrupt
            raise

    def reraise() -> None:
        if raised is not None:
            raise raised

    try:
        signal.signal(signal.SIGINT, remember)
        yield reraise
    except Exception:
        if raised is None:
            raise
    finally:
        signal.signal(signal.SIGINT, handler)
    reraise()
