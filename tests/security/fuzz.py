# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fuzz the plugin with answers until the time is up: `python -m tests.security.fuzz --seconds 300`.

With atheris two targets are guided by coverage: raw bodies, which start from the corpus, and whole answers of the
described shapes. Without it hypothesis makes up the answers. What fails is kept in the corpus, which the tests run.
"""

from __future__ import annotations

import argparse
import importlib
import inspect
import multiprocessing
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from ansible.plugins.loader import init_plugin_loader

init_plugin_loader()

from hypothesis import HealthCheck, given, settings

from ansible_collections.phala.cloud.tests.simulator import Simulator

from .answers import CORPUS, Answer, Prover, answers
from .project import KEY, Project

PACKAGE: Final = "ansible_collections.phala.cloud.plugins"
PLUGIN_UTILS: Final = Path(__file__).parents[2] / "plugins" / "plugin_utils"
MANY: Final = 1_000_000
LARGEST_BODY: Final = 8192
UNLIMITED: Final = ("-rss_limit_mb=0", "-len_control=0")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=int, default=300, help="how long, in all (default: %(default)s)")
    seconds = parser.parse_args().seconds
    targets = (fuzz_bodies, fuzz_answers) if importlib.util.find_spec("atheris") else (try_answers,)
    results = [run_apart(target, seconds // len(targets)) for target in targets]
    for found in CORPUS.glob("found-*"):
        found.rename(found.with_suffix(".json"))
    return max(results)


def run_apart(target: Callable[[int], None], seconds: int) -> int:
    """Run a target in a process of its own: libFuzzer ends the one that it runs in."""
    process = multiprocessing.get_context("spawn").Process(target=target, args=[seconds])
    process.start()
    process.join()
    return abs(process.exitcode or 0)


@contextmanager
def prover() -> Iterator[Prover]:
    """Serve in a folder of its own, in which a canary would be created."""
    with tempfile.TemporaryDirectory(prefix="phala-fuzz-") as folder, Simulator(fleet=(), api_key=KEY) as simulator:
        os.chdir(folder)
        yield Prover(Project(Path(folder), simulator.url), simulator)


def fuzz_bodies(seconds: int) -> None:
    """Mutate the bodies of the corpus; a failing one is kept by libFuzzer."""
    import atheris

    instrument(atheris)
    with prover() as proving, tempfile.TemporaryDirectory(prefix="phala-corpus-") as scratch:
        options = [
            f"-max_total_time={seconds}",
            f"-max_len={LARGEST_BODY}",
            f"-artifact_prefix={CORPUS}/found-",
            "-rss_limit_mb=4096",
        ]
        # The first folder takes what covers more; only what fails belongs to the corpus of the tests.
        atheris.Setup([sys.argv[0], *options, scratch, str(CORPUS)], proving.prove)
        atheris.Fuzz()


def fuzz_answers(seconds: int) -> None:
    """Let coverage guide what hypothesis draws; a failing answer is kept as the body that was served."""
    import atheris

    instrument(atheris)
    with prover() as proving:
        property_of_answers = property_for(proving, MANY)
        options = [
            f"-max_total_time={seconds}",
            *UNLIMITED,
            f"-max_len={LARGEST_BODY}",
            f"-artifact_prefix={tempfile.gettempdir()}/",
        ]
        atheris.Setup([sys.argv[0], *options], property_of_answers.hypothesis.fuzz_one_input)
        atheris.Fuzz()


def try_answers(seconds: int) -> None:
    """Make up answers without guidance."""
    with prover() as proving:
        limit = time.monotonic() + seconds
        while time.monotonic() < limit:
            property_for(proving, 200)()


def property_for(proving: Prover, examples: int) -> Any:
    @given(answer=answers())
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def every_cvm_is_a_host(answer: Answer) -> None:
        proving.prove_and_keep(answer.body, answer.vm_uuids)

    return every_cvm_is_a_host


def instrument(atheris: ModuleType) -> None:
    """Have atheris see the coverage of the plugin's helpers, which core's loader imports past its hook."""
    for path in sorted(PLUGIN_UTILS.glob("*.py")):
        module = importlib.import_module(f"{PACKAGE}.plugin_utils.{path.stem}")
        owners = [
            module,
            *(kind for _name, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__),
        ]
        for owner in owners:
            for _name, function in inspect.getmembers(owner, inspect.isfunction):
                if function.__module__ == module.__name__ and not hasattr(function, "__wrapped__"):
                    atheris.instrument_func(function)


if __name__ == "__main__":
    sys.exit(main())
