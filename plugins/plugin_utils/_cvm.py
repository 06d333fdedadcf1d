# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is known of one CVM, in the same form for every API version."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, TypedDict, cast

from ansible_collections.phala.cloud.plugins.plugin_utils._messages import quoted


class CommonVariables(TypedDict):
    """The core variables that are the same fields in every shape.

    ``instance_id`` may come from ``endpoints``. ``in_progress`` is also true for an operation that has a target. ``app`` is the
    app's own metadata. ``is_reachable`` and ``gateway_...`` are None until the inventory's settings decide them.
    """

    name: Any
    vm_uuid: Any
    cvm_id: Any
    instance_id: Any
    app_id: Any
    status: Any
    in_progress: bool | None
    listed: Any
    created_at: Any
    updated_at: Any
    kms_type: Any
    kms_slug: Any
    kms_id: Any
    compose_hash: Any
    gateway_enabled: Any
    app_urls: list[str] | None
    instance_urls: list[str] | None
    app_name: Any
    is_current: bool
    is_reachable: bool | None
    account: str | None
    gateway_id: str | None
    gateway_host: str | None
    gateway_port: int | None
    app: dict[str, Any]


class CoreVariables(CommonVariables):
    """The host variables that every API version gives, null where a response does not include the value.

    ``memory`` is in MB, ``disk_size`` in GB. The values are the API's, so their types are not certain.
    """

    region: Any
    node: Any
    node_id: Any
    base_image: Any
    os_version: Any
    is_dev: Any
    vcpu: Any
    memory: Any
    disk_size: Any
    gpu_count: Any
    instance_type: Any
    gateway_domain: Any
    team_slug: Any
    team_name: Any


CORE_VARIABLES = tuple(CoreVariables.__annotations__)
GATEWAY_VARIABLES = ("is_reachable", "gateway_id", "gateway_host", "gateway_port")  # which depend on the inventory's settings


class Identity(NamedTuple):
    """What tells a CVM from every other one: its account, and its identifiers in lower case, None where it has none."""

    account: str
    vm_uuid: str | None
    instance_id: str | None
    id: str | None

    @property
    def key(self) -> tuple[str, str, str]:
        """The account, and the kind and value of the most specific identifier."""
        kind, value = next(self.identifiers(), ("", ""))
        return self.account, kind, value

    def identifiers(self) -> Iterator[tuple[str, str]]:
        """Yield the names and values of the identifiers that the CVM has, the most specific first."""
        _account, vm_uuid, instance_id, number = self
        if vm_uuid:
            yield "vm_uuid", vm_uuid
        if instance_id:
            yield "instance_id", instance_id
        if number:
            yield "id", number

    def digits(self, count: int) -> str:
        """Return hex digits of the CVM's own: up to 32 of its vm_uuid, else of its instance id, then those of a hash."""
        readable = _NO_DIGIT.sub("", self.vm_uuid or self.instance_id or "")[:READABLE_DIGITS]
        if count <= len(readable):
            return readable[:count]
        return (readable + hashlib.sha256(repr(self.key).encode()).hexdigest())[:count]


READABLE_DIGITS = 32  # as many as a UUID has
_NO_DIGIT = re.compile("[^0-9a-f]")
IDENTIFIERS = Identity._fields[1:]  # most to least specific


class Filterable(NamedTuple):
    """What filters are decided by, beside the core variables.

    ``node_names`` and ``image_names`` are what the filters ``node`` and ``base_image`` match, and ``shows_teepod`` says that the
    first include the teepod's. ``hidden`` are the filters whose fields the response does not have, and ``undecidable`` those that
    no CVM of its shape has.
    """

    node_names: tuple[Any, ...]
    image_names: tuple[Any, ...]
    shows_teepod: bool
    hidden: frozenset[str]
    undecidable: frozenset[str]


@dataclass  # not frozen, because each CVM would take three times as long
class Cvm:
    """One CVM of a response.

    ``fields`` is the API's own JSON object, ``is_only_cvm`` says that its app has no other CVM, and ``read_filterable`` returns
    what else filters are decided by; most sources have none, so that it is read only where it is needed. If ``is_marked``, the
    texts of ``core`` and of the fields that it does not hide are marked, and ``left_out`` says why some of these or their keys
    are no host variables. The gateway variables in ``core`` are set later, and never marked here.
    """

    identity: Identity
    core: CoreVariables
    fields: Mapping[str, Any]
    is_only_cvm: bool
    read_filterable: Callable[[Mapping[str, Any]], Filterable]
    left_out: Mapping[str, str] = field(default_factory=dict)
    is_marked: bool = False

    @cached_property
    def filterable(self) -> Filterable:
        """What filters are decided by, beside the core variables."""
        return self.read_filterable(self.fields)

    def variables(self) -> tuple[tuple[str, ...], Iterable[Any]]:
        """Return the names and values of the fields, then of the core variables, which hide fields of the same name."""
        return (*self.fields, *self.core), (*self.fields.values(), *self.core.values())

    def value(self, name: str) -> Any:
        """Return the core variable of this name."""
        return self.core[name]  # type: ignore[literal-required]

    @property
    def label(self) -> Label:
        """The CVM as messages name it."""
        return Label(self.identity, self.core["name"])


class CvmRow(Cvm):
    """A CVM whose variables are a row, of which the fields become a dictionary only for the sources that filter by them.

    :param names: of the values of the row: first fields, then :data:`CORE_VARIABLES`
    """

    def __init__(
        self,
        identity: Identity,
        names: tuple[str, ...],
        row: Sequence[Any],
        is_only_cvm: bool,
        read_filterable: Callable[[Mapping[str, Any]], Filterable],
        left_out: Mapping[str, str],
        *,
        is_marked: bool,
    ) -> None:
        self.identity = identity
        self.core = cast(CoreVariables, dict(zip(CORE_VARIABLES, row[-len(CORE_VARIABLES) :], strict=True)))
        self.is_only_cvm = is_only_cvm
        self.read_filterable = read_filterable
        self.left_out = left_out
        self.is_marked = is_marked
        self._names = names
        self._row = row

    @cached_property
    def fields(self) -> Mapping[str, Any]:  # type: ignore[override]
        """The fields of the API's JSON object."""
        return dict(zip(self._names[: -len(CORE_VARIABLES)], self._row, strict=False))

    def variables(self) -> tuple[tuple[str, ...], Sequence[Any]]:
        """Return the names and values of the fields, then of the core variables, without the gateway variables."""
        return self._names, self._row


class Label(NamedTuple):
    """A CVM as messages name it: its text quotes the API's. Of a fleet's labels few are shown, so few become text."""

    identity: Identity
    name: Any

    def __str__(self) -> str:
        account, kind, value = self.identity.key
        place = f" in account {account!r}" if account else ""
        return f"{quoted(self.name or '')} ({kind} {quoted(value)}){place}"

    def __hash__(self) -> int:
        return hash(self.identity)  # a name may be any JSON value
