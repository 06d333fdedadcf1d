# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whole answers made up by hypothesis, and what must hold of the inventory whatever the service answers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from ansible.errors import AnsibleError
from hypothesis import strategies as st

from ansible_collections.phala.cloud.tests.loading import Loaded, load
from ansible_collections.phala.cloud.tests.simulator import Simulator
from ansible_collections.phala.cloud.tests.simulator.faults import Body

from .judging import assert_connections_checked, assert_marked_rightly, assert_safe_names, render_everything
from .project import Project
from .texts import SHAPES, apps_with, hostile_texts

CORPUS: Final = Path(__file__).parent / "corpus"
CANARY: Final = "phala-canary"  # in the folder that the tests run in
FRAGMENTS: Final = (
    *hostile_texts(CANARY, long=300).values(),
    *(
        "{{",
        "}}",
        "{%",
        "%}",
        "{#",
        "#}",
        "{",
        "}",
        "#jinja2:",
        "#JinJa2",
        "#",
        "-",
        ".",
        "[[",
        "]]",
        ":",
        "\n",
        " ",
        "\x00",
        "\ud800",
    ),
    *(
        "all",
        "phala",
        "region",
        "localhost",
        "127.1",
        "ansible_host",
        "a",
        "0",
        "_meta",
        "status_running",
        "\u017f",
        "\u2028",
        "é",
    ),
)
IDENTIFYING: Final = ("vm_uuid", "instance_id", "id", "app_id", "deleted_at")
CONSTRUCTED: Final[Mapping[str, Any]] = {
    "hostnames": ["{{ name }}", "{{ phala_status }}{{ phala_region }}", "app_id"],
    "host_filters": ["phala_vm_uuid == phala_vm_uuid"],
    "compose": {
        "joined": "phala_name ~ phala_status",
        "copied": "phala_app",
        "dumped": "phala_app | to_json",
        "keys": "phala_app | list",
    },
    "groups": {"named": "phala_name is string"},
    "keyed_groups": [{"key": "phala_name | string", "prefix": "by_name"}, {"key": "phala_app", "prefix": "app"}],
    "group_by": ["region", "node", "base_image", "status", "app", "instance_type", "kms_type", "kms_slug", "team", "listed"],
}

# Strategies

texts = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), max_size=4).map("".join)
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)


@st.composite
def _records(draw: st.DrawFn, template: Mapping[str, Any]) -> dict[str, Any]:
    """Draw an object with the fields of a template: as described, but for the text, or missing, null or of any type."""
    record: dict[str, Any] = {}
    for name, value in template.items():
        if isinstance(value, dict) and draw(st.booleans()):
            record[name] = draw(_records(value))
        elif draw(st.integers(0, 9)) < 8:
            record[name] = draw(texts if isinstance(value, str) else st.just(value))
        elif draw(st.booleans()):
            record[name] = draw(values)
    return {**record, **draw(st.dictionaries(texts, values, max_size=2))}


@dataclass(frozen=True)
class Answer:
    """The bytes of an answer of one page, and the CVMs that must come out of it."""

    body: bytes
    vm_uuids: Collection[str]


@st.composite
def answers(draw: st.DrawFn) -> Answer:
    """Draw an answer of either shape whose CVMs can be told apart, and of which everything else may be anything."""
    shape = draw(st.sampled_from(sorted(SHAPES)))
    apps: list[dict[str, Any]] = []
    vm_uuids: list[str] = []
    for number in range(draw(st.integers(0, 3))):
        _hostile, template = apps_with("", number, shape)
        cvms = [draw(_cvms(template["current_cvm"], f"{number}-{turn}")) for turn in range(draw(st.integers(0, 3)))]
        vm_uuids += [cvm["vm_uuid"] for cvm in cvms if not cvm.get("deleted_at")]
        fields = {name: value for name, value in template.items() if name not in ("cvms", "current_cvm", "id", "app_id")}
        current = draw(st.none() | st.sampled_from(cvms)) if cvms else None
        kept = cvms if draw(st.booleans()) or len(cvms) != 1 or current is None else []
        app = {**draw(_records(fields)), "id": f"prj_{number}", "app_id": f"app{number}", "cvms": kept, "current_cvm": current}
        apps.append(app)
    page = {"dstack_apps": apps, "page": 1, "page_size": 100, "total": len(apps), "total_pages": min(1, len(apps))}
    return Answer(json.dumps(page).encode(), vm_uuids)


@st.composite
def _cvms(draw: st.DrawFn, template: Mapping[str, Any], identity: str) -> dict[str, Any]:
    fields = {name: value for name, value in template.items() if name not in IDENTIFYING}
    optional = draw(
        st.fixed_dictionaries({}, optional={"instance_id": texts, "id": texts, "app_id": texts, "deleted_at": st.none() | texts})
    )
    cvm = {"status": None, **draw(_records(fields)), **optional, "vm_uuid": identity + draw(texts)}
    return {**cvm, "instance_id": f"{identity}{optional['instance_id']}"} if "instance_id" in optional else cvm


# What must hold


@dataclass(frozen=True)
class Prover:
    """Serve answers to one source without and one with constructed features, and prove what comes of them."""

    project: Project
    simulator: Simulator

    def prove(self, body: bytes, vm_uuids: Collection[str] | None = None) -> None:
        """Assert that the answer gives a safe inventory, with just these CVMs, or is refused as a whole."""
        self.simulator.pages = [Body(body)]
        for options in ({}, CONSTRUCTED):
            outcome = load([self.project.write(timeout=10, **options)])
            if vm_uuids is not None:
                outcome.assert_whole()
                assert len(outcome.hosts) == len(vm_uuids)
            self._judge(outcome)

    def prove_and_keep(self, body: bytes, vm_uuids: Collection[str] | None = None) -> None:
        """Prove, and keep the answer in the corpus if something does not hold."""
        try:
            self.prove(body, vm_uuids)
        except BaseException:
            (CORPUS / f"found-{hashlib.sha256(body).hexdigest()[:12]}.json").write_bytes(body)
            raise

    def _judge(self, outcome: Loaded) -> None:
        if outcome.error is None:
            assert_safe_names(outcome)
            assert_marked_rightly(outcome)
            assert_connections_checked(outcome)
            render_everything(outcome)
            json.dumps(outcome.hosts, ensure_ascii=False, allow_nan=False).encode()
        else:
            assert isinstance(outcome.error, AnsibleError), repr(outcome.error)
            outcome.assert_nothing()
        assert not Path(CANARY).exists()
