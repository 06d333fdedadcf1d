# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Faults from JSON, for processes that are not in Python and for the command line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from . import alterations, answers, base, disturbances, rearrangements
from .base import Fault
from .rules import Rule

FAULTS: Final[Mapping[str, type[Fault]]] = {
    kind.__name__: kind
    for kind in (
        answers.Body,
        answers.Html,
        answers.HugeBody,
        answers.InvalidUtf8,
        answers.Redirect,
        answers.Status,
        disturbances.Close,
        disturbances.Hang,
        disturbances.Reset,
        disturbances.Trickle,
        disturbances.Truncate,
        disturbances.WrongLength,
        alterations.Drift,
        alterations.Remove,
        alterations.Replace,
        rearrangements.InsertFirst,
        rearrangements.RemoveFirst,
        rearrangements.Repeat,
        rearrangements.Reverse,
        base.Delay,
    )
}


def parse_rule(source: Mapping[str, Any]) -> Rule:
    """Read `{"fault": NAME, ...its fields, "times", "page", "probability", "seed"}`.

    Raise `ValueError` for a name or a field that does not exist.
    """
    fields = {"times": 1, "page": None, "probability": 1.0, "seed": 0, **source}
    when = {name: fields.pop(name) for name in ("times", "page", "probability", "seed")}
    name = fields.pop("fault", None)
    if name not in FAULTS:
        raise ValueError(f"no such fault: {name!r}; there are {', '.join(sorted(FAULTS))}")
    return Rule(_build(FAULTS[name], fields), **when)


def parse_text(text: str) -> Rule:
    """Read a fault from a command line: its name alone, for every request, or JSON."""
    source = json.loads(text) if text.startswith("{") else {"fault": text, "times": None}
    return parse_rule(source)


def _build(kind: type[Fault], fields: dict[str, Any]) -> Fault:
    if kind is answers.Body:
        fields = {**fields, "content": fields.get("content", "").encode()}
    try:
        return kind(**fields)
    except TypeError as error:
        raise ValueError(f"{kind.__name__}: {error}") from error
