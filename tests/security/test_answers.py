# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Whatever the service answers, the inventory is safe and whole, or nothing; what fuzzing found stays so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, given, settings

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .answers import CORPUS, Answer, Prover, answers
from .project import KEY, Project

SETTINGS: Final[Mapping[str, Any]] = {
    "deadline": None,
    "database": None,
    "derandomize": True,
    "phases": (Phase.generate,),  # a failing answer is small enough as it is, and shrinking takes minutes
    "suppress_health_check": list(HealthCheck),
}


@pytest.fixture(scope="module")
def prover(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prover]:
    with Simulator(fleet=(), api_key=KEY) as simulator:
        yield Prover(Project(tmp_path_factory.mktemp("answers"), simulator.url), simulator)


@given(answer=answers())
@settings(max_examples=8, **SETTINGS)
def test_every_cvm_is_a_host_and_nothing_is_run(prover: Prover, answer: Answer) -> None:
    prover.prove(answer.body, answer.vm_uuids)


@pytest.mark.slow
@given(answer=answers())
@settings(max_examples=200, **SETTINGS)
def test_every_cvm_of_many_answers_is_a_host(prover: Prover, answer: Answer) -> None:
    prover.prove(answer.body, answer.vm_uuids)


@pytest.mark.parametrize("case", sorted(CORPUS.iterdir()), ids=lambda case: case.name)
def test_a_case_of_the_corpus_is_safe(prover: Prover, case: Path) -> None:
    prover.prove(case.read_bytes())
