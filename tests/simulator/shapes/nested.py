# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The nested shape of API version 2026-01-21 and later."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from ..records import App, Cvm, bare_id, digest
from .shared import FullApp, MinimalApp, Moment, Page, Shape, app_fields, minimal_app

CHAINS = {"ethereum": 1, "base": 8453}


class Resource(Shape):
    """Memory and disk in GB; memory may be a fraction."""

    instance_type: str | None = None
    vcpu: int | None = None
    memory_in_gb: float | None = None
    disk_in_gb: int | None = None
    gpus: int | None = None
    compute_billing_price: str | None = None
    billing_period: Literal["skip", "hourly", "monthly"] | None = None


class NodeInfo(Shape):
    """A teepod: `id` is its number, `node_id` is the number of the physical node."""

    object_type: Literal["node"] = "node"
    id: int | None = None
    node_id: int | None = None
    name: str | None = None
    region: str | None = None
    device_id: str | None = None
    ppid: str | None = None
    status: Literal["ONLINE", "OFFLINE", "MAINTENANCE"] | None = None
    version: str | None = None


class Os(Shape):
    name: str | None = None
    version: str | None = None
    is_dev: bool | None = None
    os_image_hash: str | None = None


class KmsInfo(Shape):
    chain_id: int | None = None
    dstack_kms_address: str | None = None
    dstack_app_address: str | None = None
    deployer_address: str | None = None
    rpc_endpoint: str | None = None
    encrypted_env_pubkey: str | None = None


class Progress(Shape):
    target: str | None = None
    started_at: Moment | None = None
    correlation_id: str | None = None


class Gateway(Shape):
    base_domain: str | None = None
    cname: str | None = None


class Logs(Shape):
    serial: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    container_log_base: str | None = None


class Endpoint(Shape):
    """The public addresses of one port."""

    app: str
    instance: str


class Workspace(Shape):
    object_type: Literal["workspace"] = "workspace"
    id: Annotated[str, Field(pattern="^wks_.+")]
    name: str
    slug: str | None = None
    avatar_url: str | None = None


class Creator(Shape):
    object_type: Literal["user"] = "user"
    id: Annotated[str, Field(pattern="^usr_.+")] | None = None
    username: str | None = None
    avatar_url: str | None = None


class NestedCvm(Shape):
    """The description requires a hashed id. The service may also return a number (2026-01-21), or null."""

    id: Annotated[str, Field(pattern="^cvm_.+")] | int | None
    name: str
    app_id: str | None = None
    vm_uuid: str | None = None
    instance_id: str | None = None
    resource: Resource
    node_info: NodeInfo | None = None
    os: Os | None = None
    kms_type: Literal["phala", "ethereum", "base", "legacy"] | None = None
    kms_info: KmsInfo | None = None
    status: str
    in_progress: bool = False
    progress: Progress | None = None
    compose_hash: str | None = None
    docker_compose_hash: str | None = None
    pre_launch_script_hash: str | None = None
    gateway: Gateway
    logs: Logs = Field(default_factory=Logs)
    services: list[dict[str, Any]] = Field(default_factory=list)
    endpoints: list[Endpoint] | None = None
    public_logs: bool = False
    public_sysinfo: bool = False
    public_tcbinfo: bool = True
    gateway_enabled: bool = False
    secure_time: bool = False
    storage_fs: str = "zfs"
    workspace: Workspace | None = None
    creator: Creator | None = None
    created_at: Moment | None = None
    deleted_at: Moment | None = None
    listed: bool = False
    project_type: str | None = None


class NestedApp(FullApp):
    current_cvm: NestedCvm | None = None
    cvms: list[NestedCvm] = Field(default_factory=list)


class NestedPage(Page):
    dstack_apps: list[NestedApp | MinimalApp]


def nested_app(app: App, *, numbered: bool = False) -> NestedApp | MinimalApp:
    """Return an app in the nested shape, with its deleted CVMs; `numbered` prefers a CVM's number to its hashed id."""
    if app.minimal:
        return minimal_app(app)
    cvms = (*app.cvms, *([app.current_cvm] if app.current_cvm else ()))
    shown = {id(cvm): _cvm(cvm, app=app, numbered=numbered) for cvm in cvms}
    fields: dict[str, Any] = {
        **app_fields(app),
        "current_cvm": shown.get(id(app.current_cvm)),
        "cvms": [shown[id(cvm)] for cvm in app.cvms],
    }
    return NestedApp(**fields).model_copy(update=dict(app.extra))


def _cvm(cvm: Cvm, *, app: App, numbered: bool) -> NestedCvm:
    fields: dict[str, Any] = {
        **_identity(cvm, app=app, numbered=numbered),
        "resource": _resource(cvm),
        "node_info": _node_info(cvm),
        "os": _os(cvm),
        "kms_type": cvm.kms_type,
        "kms_info": _kms_info(cvm, app=app),
        **_state(cvm, app=app),
        **_network(cvm, app=app),
        "workspace": _workspace(app),
        "creator": Creator(object_type="user", id=f"usr_{digest('user', app.id)[:12]}", username=None, avatar_url=None),
        "created_at": cvm.created_at,
        "deleted_at": cvm.deleted_at,
        **({} if cvm.listed is None else {"listed": cvm.listed}),
        "project_type": None,
    }
    return NestedCvm(**fields).model_copy(update=dict(cvm.extra))


def _identity(cvm: Cvm, *, app: App, numbered: bool) -> dict[str, Any]:
    return {
        "id": cvm.number if numbered and cvm.number is not None else cvm.id,
        "name": cvm.name,
        "app_id": app.app_id,
        "vm_uuid": cvm.vm_uuid,
        "instance_id": cvm.shown_instance_id,
    }


def _resource(cvm: Cvm) -> Resource:
    return Resource(
        instance_type=cvm.instance_type,
        vcpu=cvm.vcpu,
        memory_in_gb=cvm.memory / 1024,
        disk_in_gb=cvm.disk_size,
        gpus=cvm.gpu_count,
        compute_billing_price=None if cvm.instance_type is None else f"{cvm.vcpu * 0.058:.6f}",
        billing_period=None if cvm.instance_type is None else "hourly",
    )


def _node_info(cvm: Cvm) -> NodeInfo | None:
    if cvm.node is None and cvm.region is None:
        return None
    return NodeInfo(
        object_type="node",
        id=cvm.node_id,
        node_id=None if cvm.node_id is None else 1000 + cvm.node_id,
        name=cvm.node,
        region=cvm.region,
        device_id=None if cvm.node is None else digest("device", cvm.node)[:64],
        ppid=None,
        status=None if cvm.node is None else "ONLINE",
        version=None if cvm.node is None else "0.5.7",
    )


def _os(cvm: Cvm) -> Os | None:
    if cvm.base_image is None:
        return None
    numbers = [part for part in cvm.base_image.split("-") if part[:1].isdecimal()]
    return Os(
        name=cvm.base_image,
        version=numbers[0] if numbers else None,
        is_dev=cvm.is_dev,
        os_image_hash=cvm.os_image_hash,
    )


def _kms_info(cvm: Cvm, *, app: App) -> KmsInfo | None:
    """Return the key server; only one on a chain has addresses."""
    if cvm.kms_type is None:
        return None
    text = digest("kms", cvm.kms_type, app.app_id)
    chain_id = CHAINS.get(cvm.kms_type)
    on_chain = chain_id is not None
    return KmsInfo(
        chain_id=chain_id,
        dstack_kms_address=f"0x{text[:40]}" if on_chain else None,
        dstack_app_address=f"0x{bare_id(app.app_id)}" if on_chain else None,
        deployer_address=f"0x{text[40:80]}" if on_chain else None,
        rpc_endpoint="https://rpc.example.org" if on_chain else None,
        encrypted_env_pubkey=text[64:],
    )


def _state(cvm: Cvm, *, app: App) -> dict[str, Any]:
    text = digest("compose", app.app_id)
    return {
        "status": cvm.status,
        "in_progress": cvm.progress is not None,
        "progress": cvm.progress and Progress(target=cvm.progress, started_at=cvm.updated_at, correlation_id=None),
        "compose_hash": text[:64],
        "docker_compose_hash": text[64:],
        "pre_launch_script_hash": None,
        "logs": Logs(serial=None, stdout=None, stderr=None, container_log_base=None),
        "services": [],
        "public_logs": cvm.is_dev,
        "public_sysinfo": cvm.is_dev,
        "public_tcbinfo": True,
        "secure_time": False,
        "storage_fs": "zfs",
    }


def _network(cvm: Cvm, *, app: App) -> dict[str, Any]:
    return {
        "gateway": Gateway(base_domain=cvm.gateway_domain, cname=None),
        "gateway_enabled": cvm.gateway_enabled,
        "endpoints": _endpoints(cvm, app=app),
    }


def _endpoints(cvm: Cvm, *, app: App) -> list[Endpoint] | None:
    if not cvm.gateway_enabled or cvm.gateway_domain is None or cvm.instance_id is None:
        return None
    ids = (bare_id(app.app_id), bare_id(cvm.instance_id))
    app_url, instance_url = (f"https://{name}-8080.{cvm.gateway_domain}" for name in ids)
    return [Endpoint(app=app_url, instance=instance_url)]


def _workspace(app: App) -> Workspace | None:
    """Return the team as a workspace, or None if it has no name."""
    if app.team_name is None:
        return None
    return Workspace(
        object_type="workspace",
        id=f"wks_{digest('team', app.team_name)[:12]}",
        name=app.team_name,
        slug=app.team_slug,
        avatar_url=None,
    )
