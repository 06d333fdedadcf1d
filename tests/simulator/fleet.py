# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make a fleet with every kind of app. The same seed gives the same fleet on every Python."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple, TypeVar

from .records import DERIVED, App, Cvm, Profile, digest, live_cvms

__all__ = ["DERIVED", "App", "Cvm", "Profile", "live_cvms", "make_fleet"]

T = TypeVar("T")


class Node(NamedTuple):
    """Where a CVM runs, and its gateway."""

    name: str
    physical: str
    region: str
    gateway_domain: str


NODES: Final = (
    Node("prod5", "metal-us-west-5", "US-WEST-1", "dstack-prod5.example.org"),
    Node("prod7", "metal-us-west-7", "US-WEST-1", "dstack-prod7.example.org"),
    Node("prod9", "metal-us-east-9", "US-EAST-1", "dstack-prod9.example.org:8443"),
    Node("prod12", "metal-eu-west-12", "EU-WEST-1", "dstack-prod12.example.net"),
)
GPU_NODE: Final = Node("h200-3", "metal-us-east-3", "US-EAST-1", "dstack-gpu3.example.org")
IMAGES: Final = ("dstack-0.5.7", "dstack-0.5.5", "dstack-0.5.4.1")
DEV_IMAGES: Final = ("dstack-dev-0.5.7-9b6a5239", "dstack-dev-0.5.5")
INSTANCE_TYPES: Final = ("tdx.small", "tdx.small", "tdx.medium", "tdx.large", "tdx.xlarge")
GPU_TYPES: Final = ("h200.small", "h200.8x.large")
STATUSES: Final = ("running",) * 12 + ("stopped", "starting", "stopping", "exited")
KMS_TYPES: Final = ("phala", "phala", "base", "ethereum", "legacy")
LISTED: Final = (False, False, True, None)
TEAMS: Final = (
    ("example-team", "Example team"),
    ("research", "Research & Development"),
    (None, "Team without a slug"),
    (None, None),
)
PROVISION_TYPES: Final = (None, "onchain", "centralized")
ROLES: Final = ("web", "api", "worker", "cache", "queue", "proxy", "indexer", "oracle", "model", "relay")
EPOCH: Final = datetime(2026, 1, 1)


class Draw:
    """Choose at random with `random.random()` only, because Python keeps its sequence in every version."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def number(self, below: int) -> int:
        return int(self._random.random() * below)

    def one_of(self, choices: Sequence[T]) -> T:
        return choices[self.number(len(choices))]

    def moment(self) -> str:
        """Return a time stamp of 2026, in UTC."""
        return f"{(EPOCH + timedelta(seconds=self.number(250 * 86400))).isoformat()}Z"


class Plot(NamedTuple):
    """The input for one app; `room` is the number of live CVMs that the fleet still needs."""

    draw: Draw
    seed: int
    number: int
    room: int

    @property
    def name(self) -> str:
        return f"{ROLES[self.number % len(ROLES)]}-{self.number}"

    @property
    def app_id(self) -> str:
        return digest("fleet", str(self.seed), str(self.number))[:40]


def make_fleet(seed: int = 1, cvms: int = 12) -> tuple[App, ...]:
    """Make a fleet with exactly this number of live CVMs. With twelve, it has every kind of app."""
    return tuple(_apps(Draw(seed), seed, cvms))


def _apps(draw: Draw, seed: int, room: int) -> Iterator[App]:
    number = 0
    while room > 0:
        maker = MAKERS[number] if number < len(MAKERS) else draw.one_of(COMMON_MAKERS)
        app = maker(Plot(draw, seed, number, room))
        yield app
        room -= len(app.live_cvms)
        number += 1


def _single(plot: Plot) -> App:
    return _app(plot, cvms=(_cvm(plot),))


def _replicas(plot: Plot) -> App:
    count = min(plot.room, 2 + plot.draw.number(4))
    return _app(plot, cvms=tuple(_cvm(plot) for dummy in range(count)))


def _three_replicas(plot: Plot) -> App:
    return _app(plot, cvms=tuple(_cvm(plot) for dummy in range(min(plot.room, 3))))


def _minimal(plot: Plot) -> App:
    return App(app_id=plot.app_id, minimal=True)


def _only_deleted(plot: Plot) -> App:
    return _app(plot, cvms=(_cvm(plot, status="deleted", deleted_at=plot.draw.moment()),))


def _empty(plot: Plot) -> App:
    return _app(plot, cvms=())


def _one_deleted(plot: Plot) -> App:
    """Make replicas of which one is deleted, and the current one is not the first."""
    gone = _cvm(plot, status="deleted", deleted_at=plot.draw.moment())
    alive = tuple(_cvm(plot, name=f"{plot.name}-{turn}") for turn in range(min(plot.room, 2)))
    return _app(plot, cvms=(gone, *alive), current_cvm=alive[-1])


def _dev(plot: Plot) -> App:
    return _app(plot, cvms=(_cvm(plot, base_image=plot.draw.one_of(DEV_IMAGES)),))


def _current_only(plot: Plot) -> App:
    return _app(plot, cvms=(), current_cvm=_cvm(plot))


def _gpu(plot: Plot) -> App:
    return _app(plot, cvms=(_cvm(plot, node=GPU_NODE, instance_type=plot.draw.one_of(GPU_TYPES)),))


def _bare(plot: Plot) -> App:
    """Make an app whose only CVM is being created: every field is null that may be null in both shapes."""
    cvm = Cvm(
        name=plot.name,
        status="creating",
        progress="create",
        region=None,
        node=None,
        base_image=None,
        instance_type=None,
        gpu_count=None,
        kms_type=None,
        listed=None,
        created_at=None,
        updated_at=None,
        vm_uuid=None,
        instance_id=None,
    )
    return App(name=plot.name, app_id=plot.app_id, cvms=(cvm,), team_slug=None, team_name=None)


def _namesake(plot: Plot) -> App:
    """Make an app and a CVM with the names of the fleet's first ones."""
    name = plot._replace(number=0).name
    return _app(plot, name=name, cvms=(_cvm(plot, name=name),))


def _nameless(plot: Plot) -> App:
    return _app(plot, name="", cvms=(_cvm(plot, name="", status="stopped"),))


MAKERS: Final[Sequence[Callable[[Plot], App]]] = (
    _single,
    _three_replicas,
    _minimal,
    _only_deleted,
    _one_deleted,
    _empty,
    _dev,
    _current_only,
    _gpu,
    _bare,
    _namesake,
    _nameless,
)
COMMON_MAKERS: Final = (*MAKERS, *(_single,) * 8, *(_replicas,) * 8, *(_dev,) * 4)


def _app(
    plot: Plot,
    *,
    cvms: tuple[Cvm, ...],
    current_cvm: Cvm | None = DERIVED,
    name: str | None = None,
) -> App:
    draw = plot.draw
    team_slug, team_name = draw.one_of(TEAMS)
    return App(
        name=plot.name if name is None else name,
        app_id=plot.app_id,
        cvms=cvms,
        current_cvm=current_cvm,
        app_provision_type=draw.one_of(PROVISION_TYPES),
        created_at=draw.moment(),
        kms_type=draw.one_of(KMS_TYPES),
        profile=draw.one_of((None, Profile(), Profile(display_name=f"The {plot.name} service"))),
        team_slug=team_slug,
        team_name=team_name,
    )


def _cvm(
    plot: Plot,
    *,
    name: str | None = None,
    node: Node | None = None,
    base_image: str | None = None,
    instance_type: str | None = None,
    status: str | None = None,
    deleted_at: str | None = None,
) -> Cvm:
    draw = plot.draw
    place = node or draw.one_of(NODES)
    return Cvm(
        name=plot.name if name is None else name,
        status=status or draw.one_of(STATUSES),
        region=place.region,
        node=place.name,
        physical_node=place.physical,
        gateway_domain=place.gateway_domain,
        base_image=base_image or draw.one_of(IMAGES),
        instance_type=instance_type or draw.one_of(INSTANCE_TYPES),
        kms_type=draw.one_of(KMS_TYPES),
        listed=draw.one_of(LISTED),
        created_at=draw.moment(),
        updated_at=draw.moment(),
        deleted_at=deleted_at,
    )
