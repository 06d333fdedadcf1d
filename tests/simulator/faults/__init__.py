# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults of the service: `simulator.misbehave(Status(503), Reset())`."""

from __future__ import annotations

from .alterations import EMPTY_PAGE, MALFORMATIONS, Drift, Remove, Replace
from .answers import Blocked, Body, Html, HugeBody, InvalidUtf8, Redirect, Status
from .base import Alteration, Answer, Delay, Disturbance, Fault, Rearrangement
from .disturbances import Close, Hang, Reset, Trickle, Truncate, WrongLength
from .rearrangements import InsertFirst, RemoveFirst, Repeat, Reverse

__all__ = [
    "EMPTY_PAGE",
    "MALFORMATIONS",
    "Alteration",
    "Answer",
    "Blocked",
    "Body",
    "Close",
    "Delay",
    "Disturbance",
    "Drift",
    "Fault",
    "Hang",
    "Html",
    "HugeBody",
    "InsertFirst",
    "InvalidUtf8",
    "Rearrangement",
    "Redirect",
    "Remove",
    "RemoveFirst",
    "Repeat",
    "Replace",
    "Reset",
    "Reverse",
    "Status",
    "Trickle",
    "Truncate",
    "WrongLength",
]
