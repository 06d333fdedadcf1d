# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run every recipe against the stand-in service and compare what comes out."""

from __future__ import annotations

import dataclasses
import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from ansible_collections.phala.cloud.tests.credentials import log_in
from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import App, Cvm, Recorded, Simulator
from ansible_collections.phala.cloud.tests.simulator.faults.answers import Status

from .fleet import API, DEV_IMAGE, FLEET, KEY, OTHER_KEY, WEB
from .pages import EXAMPLES, ROOT, links
from .shell import Ran, Shell

ALL = ["api", "model", "web-1", "web-2", "web-3"]
DEV = ["model", "web-1", "web-2", "web-3"]
RUNNING = ["api", "model", "web-1", "web-2"]
SECONDS_TO_START = 8.0  # longer than the pause between two looks at the status, also on a busy machine
MY_WEB = App(name="my-web", cvms=tuple(Cvm(name=f"my-web-{number}", base_image=DEV_IMAGE) for number in (1, 2)))


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def environment(home: Path, simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PHALA_CLOUD_API_PREFIX", simulator.url)
    monkeypatch.setenv("PHALA_CLOUD_API_KEY", KEY)
    return home


def recipe(name: str, **options: Any) -> Loaded:
    loaded = load([EXAMPLES / name], **options)
    assert not loaded.failures
    return loaded


def members(loaded: Loaded, *groups: str) -> dict[str, list[str]]:
    return {group: loaded.groups[group] for group in groups}


def log_in_twice(home: Path, simulator: Simulator, *, staging: str = OTHER_KEY) -> None:
    """Log in to each of the two accounts."""
    profiles = {name: {"token": key, "api_prefix": simulator.url} for name, key in (("staging", staging), ("production", KEY))}
    log_in(home / ".phala-cloud", **profiles)


# Inventories


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize(
    ("name", "hosts", "groups"),
    [
        ("running-in-region.phala.yml", ["api", "web-1", "web-2"], {"region_US_WEST_1": ["api", "web-1", "web-2"]}),
        (
            "dev-images.phala.yml",
            DEV,
            {"base_image_dstack_dev_0_5_7_9b6a5239": DEV, "reachable_true": ["model", "web-1", "web-2"]},
        ),
        (
            "apps-and-teams.phala.yml",
            ALL,
            {
                "app_web": ["web-1", "web-2", "web-3"],
                "app_api": ["api"],
                "app_model": ["model"],
                "team_example_team": ["api", "web-1", "web-2", "web-3"],
                "team_research": ["model"],
                "os_type_dev": DEV,
                "reachable_true": ["model", "web-1", "web-2"],
            },
        ),
        ("gpu.phala.yml", ["model"], {"gpus_1": ["model"], "instance_type_h200_small": ["model"]}),
        (
            "names.phala.yml",
            ["api-us-west-1", "model-us-east-1", "web-us-east-1", "web-us-west-1-0ac50d74", "web-us-west-1-81449e5d"],
            {"status_stopped": ["web-us-east-1"]},
        ),
        ("awx.phala.yml", RUNNING, {"app_web": ["web-1", "web-2"], "os_type_prod": ["api"], "status_running": RUNNING}),
        ("maintenance.phala.yml", ["model", "web-1", "web-3"], {"node_prod5": ["web-1"], "node_prod9": ["web-3"]}),
        ("ci.phala.yml", ALL, {"status_running": RUNNING}),
        (
            "constructed",
            ALL,
            {
                "reachable": ["model", "web-1", "web-2"],
                "team_example_team": ["api", "web-1", "web-2", "web-3"],
                "team_research": ["model"],
                "region_US_EAST_1": ["model", "web-3"],
            },
        ),
    ],
)
def test_recipe_gives_these_hosts_and_groups(name: str, hosts: list[str], groups: dict[str, list[str]]) -> None:
    loaded = recipe(name)
    assert sorted(loaded.hosts) == hosts
    assert members(loaded, *groups) == groups


@pytest.mark.usefixtures("environment")
def test_recipe_for_a_pipeline_asks_the_service_once_and_survives_its_absence(simulator: Simulator) -> None:
    first = recipe("ci.phala.yml")
    simulator.clear()
    assert recipe("ci.phala.yml").hosts == first.hosts
    assert not simulator.requests


@pytest.mark.usefixtures("environment")
def test_recipe_for_a_private_network_makes_no_address_of_a_missing_id(simulator: Simulator) -> None:
    known = Cvm(name="known", instance_id="ab" * 20)
    simulator.fleet = (App(name="pair", cvms=(known, Cvm(name="new", instance_id=None))),)
    addresses = recipe("private-network.phala.yml").values("ansible_host")
    assert addresses == {"known": f"{'ab' * 20}.vpn.example.org", "new": "no-address.invalid."}


def test_recipe_for_several_accounts_lists_all_of_them_or_none(home: Path, simulator: Simulator) -> None:
    log_in_twice(home, simulator)
    loaded = recipe("accounts.phala.yml")
    assert members(loaded, "account_production", "account_staging") == {"account_production": ALL, "account_staging": ["shop"]}
    log_in_twice(home, simulator, staging="phak_wrong-key")
    failed = load([EXAMPLES / "accounts.phala.yml"])
    assert not failed.hosts
    assert "staging" in " ".join(map(str, failed.failures))


@pytest.mark.usefixtures("home")
def test_recipe_for_two_services_asks_each_with_its_own_key(simulator: Simulator, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "CLOUD_API_URL": simulator.url,
        "CLOUD_API_KEY": KEY,
        "OWN_API_URL": simulator.url.replace("127.0.0.1", "localhost"),
        "OWN_API_KEY": OTHER_KEY,
    }.items():
        monkeypatch.setenv(name, value)
    loaded = recipe("two-urls")
    assert members(loaded, "cloud", "own", "own_region_EU_WEST_1") == {
        "cloud": ALL,
        "own": ["shop"],
        "own_region_EU_WEST_1": ["shop"],
    }


def test_recipe_with_a_vault_opens_with_its_password(tmp_path: Path, simulator: Simulator) -> None:
    shell = Shell(tmp_path / "home", simulator.origin)
    (shell.folder / "password").write_text("example", encoding="utf-8")
    ran = shell.run(f"ansible-inventory -i {EXAMPLES}/vaulted.phala.yml --list --vault-password-file password")
    assert sorted(json.loads(ran.stdout)["phala"]["hosts"]) == ALL


# Playbooks


class HealthPages(ThreadingHTTPServer):
    """Answer 200 to every request, as the replicas' own servers do, and keep the paths."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), HealthPage)
        self.asked: list[str] = []

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class HealthPage(BaseHTTPRequestHandler):
    server: HealthPages

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_arguments: Any) -> None:
        """Keep quiet."""


@pytest.fixture
def health_pages() -> Iterator[HealthPages]:
    with HealthPages() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield server
        server.shutdown()


def play(folder: Path, simulator: Simulator, inventory: str, playbook: str, **variables: Any) -> Ran:
    """Run a playbook on this machine in the CVMs' place; the official CLI keeps what it is asked for in a file."""
    shell = Shell(folder / "home", simulator.origin, PHALA_CLOUD_API_KEY=KEY)
    shell.add_command("phala", f'echo "$@" >> {folder}/phala.log')
    (shell.folder / "variables.json").write_text(json.dumps(variables), encoding="utf-8")
    return shell.run(f"ansible-playbook -i {EXAMPLES / inventory} {EXAMPLES / playbook} -e @variables.json")


def recap(ran: Ran) -> Mapping[str, str]:
    return dict(re.findall(r"^(\S+) +: (ok=\d+ +changed=\d+ +unreachable=\d+ +failed=\d+)", ran.stdout, re.MULTILINE))


def update(folder: Path, simulator: Simulator, **variables: Any) -> Ran:
    """Run the rolling update of an app's replicas on this machine."""
    here = {"ansible_connection": "local", "update_command": "echo updated"}
    return play(folder, simulator, "apps-and-teams.phala.yml", "rolling-update.yml", **{**here, **variables})


def test_rolling_update_takes_the_reachable_replicas_of_one_app_one_at_a_time(
    tmp_path: Path, simulator: Simulator, health_pages: HealthPages
) -> None:
    simulator.fleet = (*FLEET, MY_WEB)
    for app, hosts in {"web": ["web-1", "web-2"], "my-web": ["my-web-1", "my-web-2"]}.items():
        health_pages.asked.clear()
        ran = update(tmp_path / app, simulator, app=app, health_url=f"{health_pages.origin}/{{{{ inventory_hostname }}}}")
        counts = "ok=2    changed=1    unreachable=0    failed=0"
        assert dict.fromkeys(hosts, counts).items() <= recap(ran).items(), ran.stdout + ran.stderr
        assert health_pages.asked == [f"/{host}" for host in hosts]
        assert ran.stdout.count("PLAY [Update") == 2


@pytest.mark.parametrize("app", [{}, {"app": "webb"}, {"app": "api"}], ids=["no app", "unknown app", "no replica with SSH"])
def test_rolling_update_fails_where_no_replica_can_be_reached(
    tmp_path: Path, simulator: Simulator, app: Mapping[str, str]
) -> None:
    ran = update(tmp_path, simulator, **app)
    assert ran.status != 0
    assert re.search(r"0 hosts match 'app_\w+:&reachable_true'", ran.stdout), ran.stdout


def test_rolling_update_stops_at_the_first_replica_that_fails(tmp_path: Path, simulator: Simulator) -> None:
    ran = update(tmp_path, simulator, app="web", update_command="exit 1")
    failed = {host: counts for host, counts in recap(ran).items() if host != "localhost"}
    assert failed == {"web-1": "ok=0    changed=0    unreachable=0    failed=1"}


def restart(folder: Path, simulator: Simulator, **variables: Any) -> Ran:
    return play(folder, simulator, "apps-and-teams.phala.yml", "restart.yml", known_hosts=f"{folder}/known_hosts", **variables)


def test_restart_takes_down_one_replica_at_a_time_although_the_status_lags(tmp_path: Path, simulator: Simulator) -> None:
    simulator.status_lag, simulator.seconds_to_start = 3.0, SECONDS_TO_START
    ran = restart(tmp_path, simulator, target="app_web:&status_running")
    assert ran.status == 0, ran.stdout + ran.stderr
    orders = [request for request in simulator.requests if request.method == "POST"]
    uuids = [cvm.vm_uuid.replace("-", "") for cvm in WEB.cvms[:2] if cvm.vm_uuid]
    assert [order.path for order in orders] == [f"/api/v1/cvms/{uuid}/restart" for uuid in uuids]
    assert orders[1].at - orders[0].at >= simulator.status_lag + simulator.seconds_to_start
    assert all(cvm.status == "running" for cvm in simulator.fleet[0].cvms[:2])
    assert KEY not in ran.stdout + ran.stderr


def test_restart_fails_where_it_does_not_begin(tmp_path: Path, simulator: Simulator) -> None:
    simulator.status_lag = 600.0
    ran = restart(tmp_path, simulator, target="app_web:&status_running", seconds_to_begin=1)
    assert ran.status != 0
    assert [request.method for request in simulator.requests].count("POST") == 1


def test_restart_fails_where_no_host_matches(tmp_path: Path, simulator: Simulator) -> None:
    ran = restart(tmp_path, simulator, target="app_webb")
    assert ran.status != 0
    assert "No host matches 'app_webb'" in ran.stdout


def test_restart_fails_where_a_cvm_is_missing_afterwards(tmp_path: Path, simulator: Simulator) -> None:
    simulator.seconds_to_start = SECONDS_TO_START

    def lose_api(fleet: Sequence[Any], request: Recorded) -> Sequence[Any]:
        is_refreshed = request.path.endswith("/apps") and any(before.method == "POST" for before in simulator.requests)
        return [app for app in fleet if not is_refreshed or app.app_id != API.app_id]

    simulator.evolve = lose_api
    ran = restart(tmp_path, simulator, target="api")
    assert ran.status != 0
    assert "1 CVMs were restarted, and 0 of them are running now" in ran.stdout, ran.stdout


def test_restart_removes_the_host_keys_of_that_cvm_alone(tmp_path: Path, simulator: Simulator) -> None:
    simulator.seconds_to_start = SECONDS_TO_START
    names = [f"{cvm.instance_id}-22.{cvm.gateway_domain}" for cvm in WEB.cvms]
    lines = [f"[{name}]:443 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI{'A' * 42}{digit}\n" for digit, name in enumerate(names)]
    (tmp_path / "known_hosts").write_text("".join(lines), encoding="utf-8")
    ran = restart(tmp_path, simulator, target="web-2")
    assert ran.status == 0, ran.stdout + ran.stderr
    assert (tmp_path / "known_hosts").read_text(encoding="utf-8") == lines[0] + lines[2]


def test_restart_says_why_the_service_refused_it(tmp_path: Path, simulator: Simulator) -> None:
    simulator.misbehave(Status(403), path="restart")
    ran = restart(tmp_path, simulator, target="web-1")
    assert re.search(r"/api/v1/cvms/\w+/restart: .*HTTP Error 403", ran.stdout + ran.stderr), ran.stdout
    assert KEY not in ran.stdout + ran.stderr


def test_compose_file_is_rolled_over_the_replicas_with_the_current_cvm_last(tmp_path: Path, simulator: Simulator) -> None:
    ran = play(tmp_path, simulator, "apps-and-teams.phala.yml", "roll-compose.yml", app="web")
    assert ran.status == 0, ran.stdout + ran.stderr
    first, *others = (cvm.vm_uuid for cvm in WEB.cvms)
    wanted = [f"deploy --cvm-id {uuid} --compose docker-compose.yml --wait" for uuid in (*others, first)]
    assert (tmp_path / "phala.log").read_text(encoding="utf-8").splitlines() == wanted


def test_rolled_compose_file_must_reach_every_replica(tmp_path: Path, simulator: Simulator) -> None:
    first, *others = WEB.cvms
    lagging = dataclasses.replace(first, extra={"compose_hash": "0" * 64})
    simulator.fleet = (dataclasses.replace(WEB, cvms=(lagging, *others), current_cvm=None),)
    ran = play(tmp_path, simulator, "apps-and-teams.phala.yml", "roll-compose.yml", app="web")
    assert ran.status != 0
    assert "The replicas have 2 different compose hashes" in ran.stdout


@pytest.mark.parametrize("job", ["true", "false"])
def test_temporary_cvm_is_used_and_deleted(job: str, tmp_path: Path, simulator: Simulator) -> None:
    new = App(name="job-1", cvms=(Cvm(name="job-1", base_image=DEV_IMAGE),))

    def boot(fleet: Sequence[Any], _request: Recorded) -> Sequence[Any]:
        return fleet if new in fleet or len(simulator.requests) <= 2 else (*fleet, new)

    simulator.evolve = boot
    ran = play(
        tmp_path, simulator, "dev-images.phala.yml", "temporary-cvm.yml",
        cvm_name="job-1", job=job, ansible_connection="local", seconds_between_retries=1,
    )  # fmt: skip
    assert (ran.status == 0) == (job == "true"), ran.stdout + ran.stderr
    assert (tmp_path / "phala.log").read_text(encoding="utf-8").splitlines() == [
        "deploy --name job-1 --compose docker-compose.yml --dev-os --wait",
        f"cvms delete {new.cvms[0].vm_uuid} --force",
    ]


def test_temporary_cvm_that_cannot_be_reached_is_deleted(tmp_path: Path, simulator: Simulator) -> None:
    ran = play(
        tmp_path, simulator, "dev-images.phala.yml", "temporary-cvm.yml",
        cvm_name="job-1", retries_until_reachable=1, seconds_between_retries=0,
    )  # fmt: skip
    assert ran.status != 0
    assert "cvms delete job-1 --force" in (tmp_path / "phala.log").read_text(encoding="utf-8")


# The commands that the files name

# What these need is set up in the tests above, or in test_connecting.py.
RUN_ELSEWHERE = ("dev-images.phala.yml", "restart.yml", "roll-compose.yml", "rolling-update.yml", "temporary-cvm.yml")


def named_commands() -> Iterator[tuple[str, str]]:
    """Yield each file, and a command that its comments name."""
    for path in sorted(EXAMPLES.rglob("*.yml")):
        for command in re.findall(r"^#   (ansible\S* .*)$", path.read_text(encoding="utf-8"), re.MULTILINE):
            yield str(path.relative_to(EXAMPLES)), command


@pytest.mark.parametrize(("name", "command"), [case for case in named_commands() if case[0] not in RUN_ELSEWHERE])
def test_command_that_a_file_names_works(name: str, command: str, reader_home: Path, simulator: Simulator) -> None:
    shell = Shell(
        reader_home, simulator.origin, PHALA_CLOUD_API_KEY=KEY, CLOUD_API_KEY=KEY, OWN_API_KEY=OTHER_KEY,
        CLOUD_API_URL=simulator.url, OWN_API_URL=simulator.url, ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED="true",
    )  # fmt: skip
    log_in_twice(reader_home, simulator)
    shell.run(f"cp -r {EXAMPLES}/. .")
    ran = shell.run_at_terminal(command) if "vault" in command else shell.run(command)
    assert ran.status == 0, ran.stderr
    assert ("$ANSIBLE_VAULT" if command.startswith("ansible-vault") else "web-") in ran.stdout or "gpu" in name


def test_files_of_commands_that_are_run_elsewhere_name_one() -> None:
    assert {name for name, _command in named_commands()} >= set(RUN_ELSEWHERE)


# The list


def test_list_of_recipes_names_every_file() -> None:
    listed = {EXAMPLES / target for target in links(EXAMPLES / "README.md") if not target.startswith("..")}
    folders = {path.parent for path in listed} - {EXAMPLES}
    files = {path for path in EXAMPLES.rglob("*.yml") if path.parent not in folders}
    assert files == {path for path in listed if path.parent == EXAMPLES}
    assert folders == {path for path in EXAMPLES.iterdir() if path.is_dir()}


def test_every_recipe_is_run_by_a_test() -> None:
    tests = Path(__file__).read_text(encoding="utf-8")
    for path in EXAMPLES.iterdir():
        assert path.suffix == ".md" or f'"{path.name}"' in tests or path.name in tests, path


def test_account_of_the_pages_has_the_hosts_that_the_recipes_expect() -> None:
    assert sorted(cvm.name for app in FLEET for cvm in app.live_cvms) == ALL
    assert ROOT in EXAMPLES.parents
