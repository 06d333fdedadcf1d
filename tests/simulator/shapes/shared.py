# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The parts of a page that every shape has."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from ..records import App, Profile

Moment = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$")]


class Shape(BaseModel):
    """Base of every model: exact types, and any new field."""

    model_config = ConfigDict(extra="allow", strict=True)


class ProfileModel(Shape):
    display_name: str | None = None
    avatar_url: str | None = None
    description: str | None = None
    custom_domain: str | None = None


class MinimalApp(Shape):
    """An app of which the caller may see only the id."""

    id: None = None
    app_id: str
    name: None = None
    app_provision_type: None = None
    app_icon_url: None = None
    created_at: None = None
    kms_type: None = None
    profile: None = None
    current_cvm: None = None
    cvms: None = None
    cvm_count: None = None


class FullApp(Shape):
    """The fields of an app that are the same in every API version."""

    id: Annotated[str, Field(pattern="^prj_.+")]
    name: str
    app_id: str
    app_provision_type: str | None = None
    app_icon_url: str | None = None
    created_at: str
    kms_type: str
    profile: ProfileModel | None = None
    cvm_count: int = 0


class Page(Shape):
    page: int
    page_size: int
    total: int
    total_pages: int


class FilterOptions(Shape):
    """The values that each filter knows, as the official SDK reads them."""

    statuses: list[str]
    image_versions: list[str]
    instance_types: list[str]
    kms_slugs: list[str]
    kms_types: list[str]
    regions: list[str]
    nodes: list[str]


def app_fields(app: App) -> dict[str, Any]:
    """Return the fields of `FullApp`."""
    return {
        "id": app.id,
        "name": app.name,
        "app_id": app.app_id,
        "app_provision_type": app.app_provision_type,
        "app_icon_url": app.app_icon_url,
        "created_at": app.created_at,
        "kms_type": app.kms_type,
        "profile": app.profile and _profile(app.profile),
        "cvm_count": app.cvm_count,
    }


def minimal_app(app: App) -> MinimalApp:
    """Return an app in which everything except `app_id` is null."""
    fields: dict[str, Any] = {**dict.fromkeys(MinimalApp.model_fields), "app_id": app.app_id}
    return MinimalApp(**fields).model_copy(update=dict(app.extra))


def _profile(profile: Profile) -> ProfileModel:
    return ProfileModel(
        display_name=profile.display_name,
        avatar_url=profile.avatar_url,
        description=profile.description,
        custom_domain=profile.custom_domain,
    )
