# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

import pytest

from ansible_collections.phala.cloud.tests.simulator import FLAT, NESTED, App, Cvm, live_cvms, make_fleet, render

PINNED = "eed2d0cf6cf0b744dc2d907dcfeb69ceefa058a8f949f6d68723910284fd35d4"


def test_same_seed_gives_the_same_fleet_on_every_python() -> None:
    fleet = make_fleet(seed=1, cvms=500)
    shown = json.dumps([[render(app, shape) for shape in (FLAT, NESTED)] for app in fleet])
    assert hashlib.sha256(shown.encode()).hexdigest() == PINNED


def test_another_seed_gives_another_fleet() -> None:
    assert make_fleet(seed=1) != make_fleet(seed=2)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("size", [0, 1, 2, 3, 12, 13, 1000])
def test_fleet_has_exactly_as_many_live_cvms_as_asked_for(seed: int, size: int) -> None:
    assert len(live_cvms(make_fleet(seed, size))) == size


def test_no_two_cvms_of_a_fleet_share_an_id() -> None:
    cvms = [cvm for dummy, cvm in live_cvms(make_fleet(cvms=2000))]
    for ids in ({cvm.id for cvm in cvms}, {cvm.instance_id or cvm.id for cvm in cvms}):
        assert len(ids) == len(cvms)


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(lambda app: app.minimal, id="minimal"),
        pytest.param(lambda app: len(app.cvms) > 2, id="replicas"),
        pytest.param(lambda app: not app.cvms and app.current_cvm, id="current CVM alone"),
        pytest.param(lambda app: not app.minimal and not app.all_cvms, id="no CVM"),
        pytest.param(lambda app: app.all_cvms and not app.live_cvms, id="deleted CVM alone"),
        pytest.param(lambda app: app.live_cvms and len(app.live_cvms) < len(app.all_cvms), id="one deleted CVM"),
        pytest.param(lambda app: any(cvm.is_dev for cvm in app.cvms), id="dev image"),
        pytest.param(lambda app: any(cvm.gpu_count for cvm in app.cvms), id="GPU"),
        pytest.param(lambda app: any(cvm.vm_uuid is None for cvm in app.cvms), id="no ids"),
        pytest.param(lambda app: app.name == "" and app.cvms, id="no name"),
    ],
)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_twelve_cvms_are_enough_for_every_kind_of_app(kind: Callable[[App], object], seed: int) -> None:
    assert any(kind(app) for app in make_fleet(seed, 12))


def test_fleet_has_namesakes_in_different_apps() -> None:
    names = [(cvm.name, app.app_id) for app, cvm in live_cvms(make_fleet())]
    assert len({name for name, dummy in names}) < len(set(names))


def test_large_fleet_has_all_regions_and_domains_with_and_without_a_port() -> None:
    cvms = [cvm for dummy, cvm in live_cvms(make_fleet(cvms=200))]
    assert {cvm.region for cvm in cvms} == {None, "US-WEST-1", "US-EAST-1", "EU-WEST-1"}
    assert {":" in cvm.gateway_domain for cvm in cvms if cvm.gateway_domain} == {True, False}
    assert {"running", "stopped"} < {cvm.status for cvm in cvms}


def test_app_written_by_hand_gets_ids_that_follow_from_its_names() -> None:
    app = App(name="web", cvms=(Cvm(name="web-1", region="US-WEST-1"), Cvm(name="web-2")))
    again = App(name="web", cvms=(Cvm(name="web-1", region="US-WEST-1"),))
    assert again.app_id == app.app_id
    assert again.cvms[0] == app.cvms[0]
    assert app.cvms[0].instance_id != app.cvms[1].instance_id
    assert app.current_cvm is app.cvms[0]


def test_namesakes_within_an_app_get_ids_of_their_own() -> None:
    app = App(name="web", cvms=(Cvm(name="web"), Cvm(name="web")))
    assert len({cvm.vm_uuid for cvm in app.cvms}) == 2


def test_null_is_kept_where_it_is_said() -> None:
    (cvm,) = App(name="web", cvms=(Cvm(name="web", vm_uuid=None, gateway_domain=None),)).cvms
    assert (cvm.vm_uuid, cvm.gateway_domain) == (None, None)
    assert cvm.instance_id is not None


def test_current_cvm_that_is_listed_too_is_the_same_cvm() -> None:
    second = Cvm(name="web-2")
    app = App(name="web", cvms=(Cvm(name="web-1"), second), current_cvm=second)
    assert app.current_cvm is app.cvms[1]
    assert len(app.live_cvms) == 2


def test_machine_follows_from_the_instance_type() -> None:
    (cvm,) = App(name="web", cvms=(Cvm(instance_type="h200.small", vcpu=7),)).cvms
    assert (cvm.vcpu, cvm.memory, cvm.disk_size, cvm.gpu_count) == (7, 196608, 500, 1)
