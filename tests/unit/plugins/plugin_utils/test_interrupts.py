# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a Ctrl-C raises comes out, even where it was caught on the way."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from ansible_collections.phala.cloud.plugins.plugin_utils._interrupts import reraise_swallowed_interrupt


@contextmanager
def handling(handler: Any) -> Iterator[None]:
    """Have this process answer to Ctrl-C with this handler."""
    before = signal.signal(signal.SIGINT, handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def stop(_number: int, _frame: Any) -> None:
    raise InterruptedError("stop")


def pass_over(_number: int, _frame: Any) -> None:
    """Do nothing, as a program that ends in its own time."""


def lose_interrupt() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:  # as expressions that fail are passed over
        return


def turn_interrupt() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except BaseException:
        raise RuntimeError("out of order") from None


@pytest.mark.parametrize("work", [lose_interrupt, turn_interrupt])
@pytest.mark.parametrize(("handler", "raised"), [(signal.default_int_handler, KeyboardInterrupt), (stop, InterruptedError)])
def test_what_the_handler_raised_comes_out(handler: Any, raised: type[BaseException], work: Callable[[], None]) -> None:
    with handling(handler):
        with pytest.raises(raised), reraise_swallowed_interrupt():
            work()
        assert signal.getsignal(signal.SIGINT) is handler


@pytest.mark.parametrize("work", [lose_interrupt, turn_interrupt])
def test_what_the_handler_raised_comes_out_before_the_end_too(work: Callable[[], None]) -> None:
    def run() -> None:
        with reraise_swallowed_interrupt() as reraise:
            reraise()
            with suppress(RuntimeError):
                work()
            reraise()
            pytest.fail("the block went on")

    with handling(signal.default_int_handler), pytest.raises(KeyboardInterrupt):
        run()


@pytest.mark.parametrize("handler", [pass_over, signal.SIG_IGN])
def test_an_interrupt_that_raises_nothing_is_none(handler: Any) -> None:
    with handling(handler):
        with reraise_swallowed_interrupt() as reraise:
            lose_interrupt()
            reraise()
        assert signal.getsignal(signal.SIGINT) is handler


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(ValueError, match="other"), reraise_swallowed_interrupt():
        raise ValueError("other")


def test_another_thread_has_no_say_in_interrupts() -> None:
    outcomes: list[str] = []

    def run() -> None:
        with reraise_swallowed_interrupt() as reraise:
            reraise()
            outcomes.append("done")

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert outcomes == ["done"]
