# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What can go wrong when the service is asked, and how other people's text is shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ansible_collections.phala.cloud.plugins.plugin_utils._errors import SourceError
from ansible_collections.phala.cloud.plugins.plugin_utils._messages import cut

Mask = Callable[[str], str]  # returns the text without the API key


class ApiError(SourceError):
    """A request failed, or a mistake on this machine keeps it from being sent.

    ``may_pass`` says that another try may succeed. ``retry_after`` is the time in seconds that the service asks to wait, None
    where it does not ask. ``is_throttled`` says that all requests have to wait, not just this one.
    """

    def __init__(
        self, message: str, *, may_pass: bool = False, retry_after: float | None = None, is_throttled: bool = False
    ) -> None:
        super().__init__(message)
        self.may_pass = may_pass
        self.retry_after = retry_after
        self.is_throttled = is_throttled


class UnavailableError(ApiError):
    """The service cannot be reached, or cannot respond now (429 and 5xx)."""


def safe_text(text: Any, mask: Mask) -> str:
    """Return a text of the service that is safe for a terminal: short, printable, and without the API key.

    The key is masked before the text is cut, or a part of it would remain at the cut.
    """
    return cut(mask(str(text)))
