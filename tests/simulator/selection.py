# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Select apps: the service returns an app with all its CVMs if one of them matches every filter."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from typing import Annotated, Any

from pydantic import BaseModel, Field

from .records import App, Cvm
from .shapes.shared import FilterOptions

Entry = Any
"""An app, or anything else, which is served as JSON unchanged."""

Fold = Callable[[str], str]


class Filters(BaseModel):
    """The filters of a query; an empty one counts as not given."""

    search: str | None = None
    status: list[str] | None = None
    listed: bool | None = None
    base_image: str | None = None
    instance_type: str | None = None
    kms_slug: str | None = None
    kms_type: str | None = None
    node: str | None = None
    region: str | None = None

    @cached_property
    def given(self) -> frozenset[str]:
        """Return the names of the filters that have a value."""
        return frozenset(name for name in Filters.model_fields if getattr(self, name) not in (None, "", []))


class AppQuery(Filters):
    """All query parameters of the list. The framework rejects invalid ones with 422."""

    page: Annotated[int, Field(ge=1)] = 1
    page_size: Annotated[int, Field(ge=1, le=100)] = 20


def select(fleet: Iterable[Entry], filters: Filters, *, fold: Fold = str) -> Sequence[Entry]:
    """Return the matching apps in order, and every entry that is not an `App`."""
    return tuple(entry for entry in fleet if not isinstance(entry, App) or app_matches(entry, filters, fold=fold))


def app_matches(app: App, filters: Filters, *, fold: Fold = str) -> bool:
    """Decide for an app. A search may also match the app itself, even if it has no CVM."""
    found = _contains(filters.search, app.app_id, None if app.minimal else app.name)
    if found and filters.given <= {"search"}:
        return True
    return any((found or _cvm_found(cvm, filters)) and cvm_matches(cvm, filters, fold=fold) for cvm in app.live_cvms)


def cvm_matches(cvm: Cvm, filters: Filters, *, fold: Fold = str) -> bool:
    """Decide for one CVM, without `search`. `fold` is applied to each text before it is compared."""

    def is_one_of(wanted: str | None, *values: str | None) -> bool:
        return not wanted or fold(wanted) in [fold(value) for value in values if value is not None]

    return (
        (not filters.status or any(is_one_of(status, cvm.status) for status in filters.status))
        and (filters.listed is None or cvm.listed == filters.listed)
        and (not filters.base_image or fold(filters.base_image) in fold(cvm.image_slug or ""))
        and is_one_of(filters.node, cvm.node, cvm.physical_node)
        and is_one_of(filters.instance_type, cvm.instance_type)
        and is_one_of(filters.kms_slug, cvm.kms_slug)
        and is_one_of(filters.kms_type, cvm.kms_type)
        and is_one_of(filters.region, cvm.region)
    )


def filter_options(fleet: Iterable[Entry]) -> FilterOptions:
    """Return the values of the fleet's CVMs for each filter. `nodes` has the names of teepods and of physical nodes."""
    cvms = [cvm for app in fleet if isinstance(app, App) for cvm in app.live_cvms]
    return FilterOptions(
        statuses=_distinct(cvm.status for cvm in cvms),
        image_versions=_distinct(cvm.base_image for cvm in cvms),
        instance_types=_distinct(cvm.instance_type for cvm in cvms),
        kms_slugs=_distinct(cvm.kms_slug for cvm in cvms),
        kms_types=_distinct(cvm.kms_type for cvm in cvms),
        regions=_distinct(cvm.region for cvm in cvms),
        nodes=_distinct(name for cvm in cvms for name in (cvm.node, cvm.physical_node)),
    )


def _cvm_found(cvm: Cvm, filters: Filters) -> bool:
    return _contains(filters.search, cvm.name, cvm.vm_uuid, cvm.instance_id)


def _contains(search: str | None, *texts: str | None) -> bool:
    return not search or any(search.lower() in text.lower() for text in texts if text)


def _distinct(values: Iterable[str | None]) -> list[str]:
    return sorted({value for value in values if value})
