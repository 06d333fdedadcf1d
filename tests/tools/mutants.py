# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how many mutants of each helper its unit tests kill, and fail where they kill too few.

mutmut makes the mutants, each with one small error. The tests are collected once for each helper; each mutant then gets a
fork of that process, which ends with the first test that fails. Run this in a folder that holds a copy of the collection at
`ansible_collections/phala/cloud`; `mutants.toml` says which tests belong to which helper, and why a mutant may survive.
"""

from __future__ import annotations

import argparse
import contextlib
import difflib
import fnmatch
import gc
import io
import itertools
import multiprocessing
import os
import random
import signal
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import hypothesis
import pytest
import tomllib
from mutmut.mutation.file_mutation import MutatedFile, mutate_file_contents
from mutmut.mutation.trampoline import set_mutant_under_test
from mutmut.state import state

COLLECTION = Path("ansible_collections/phala/cloud")
HELPERS = COLLECTION / "plugins/plugin_utils"
UNIT_TESTS = COLLECTION / "tests/unit/plugins/plugin_utils"
PACKAGE = str(HELPERS).replace("/", ".")
INTEGRATION_TESTS = (str(COLLECTION / "tests/integration"), "-m", "not slow and not command")  # commands take too long
UNIT_SECONDS, INTEGRATION_SECONDS = 60, 10  # of tests for each mutant, the shortest first
LEAST = 85  # percent
NO_TEST = -1
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
FORK = multiprocessing.get_context("fork")
PYTEST = ("-p", "no:cacheprovider", "-p", "no:unraisableexception", "--tb=native", "--basetemp")  # the second collects garbage


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("helpers", nargs="*", metavar="HELPER", help="such as _names (default: all)")
    parser.add_argument("--sample", type=int, help="run the integration tests on as many survivors (default: 200 of all helpers)")
    parser.add_argument("--seed", type=int, default=1, help="choose another sample (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(Path.cwd())
    Path("pyproject.toml").write_text(f'[tool.mutmut]\nsource_paths = ["{HELPERS}"]\n', encoding="utf-8")
    settings = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    helpers = arguments.helpers or sorted(path.stem for path in HELPERS.glob("_*.py"))
    tests = [[str(UNIT_TESTS / name) for name in settings["tests"].get(helper, [f"test{helper}.py"])] for helper in helpers]
    survivors: list[str] = []
    too_few = []
    for helper, (count, left) in zip(helpers, run_all([[helper] for helper in helpers], tests, UNIT_SECONDS), strict=True):
        rate = 100 * (count - len(left)) // count if count else 100
        print(f"{helper}: {count - len(left)} of {count} killed, {rate} %")
        for mutant, change in left.items():
            print(f"    {mutant}: {explain(helper, change, settings['reasons'])}")
        sys.stdout.flush()
        survivors += left
        too_few += [helper] if rate < LEAST else []
    size = (0 if arguments.helpers else 200) if arguments.sample is None else arguments.sample
    if size and survivors:
        try_integration_tests(random.Random(arguments.seed).sample(survivors, min(size, len(survivors))))
    if too_few:
        print(f"Less than {LEAST} % killed: {', '.join(too_few)}")
    return bool(too_few)


def try_integration_tests(sample: Sequence[str]) -> None:
    """Show which of these survivors the integration tests kill."""
    shares = [sorted(sample[core::CORES]) for core in range(min(CORES, len(sample)))]
    helpers = [sorted({mutant.partition(".")[0] for mutant in share}) for share in shares]
    results = run_all(helpers, [INTEGRATION_TESTS] * len(shares), INTEGRATION_SECONDS, shares)
    left = [mutant for _count, found in results for mutant in found]
    print(f"Of a sample of {len(sample)} survivors, the integration tests kill {len(sample) - len(left)}. These are left:")
    print("".join(f"    {mutant}\n" for mutant in sorted(left)), end="")


def run_all(
    helpers: Sequence[Sequence[str]],
    tests: Sequence[Sequence[str]],
    seconds: float,
    mutants: Sequence[Sequence[str]] | None = None,
) -> Iterator[tuple[int, dict[str, str]]]:
    """Run each selection of tests on its helpers, in as many processes as there are cores."""
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(run, helpers, tests, itertools.repeat(seconds), mutants or itertools.repeat(()))


def run(helpers: Sequence[str], tests: Sequence[str], seconds: float, mutants: Sequence[str]) -> tuple[int, dict[str, str]]:
    """Run the tests on these mutants of the helpers, or on all. Return how many there are, and how the survivors differ."""
    sources = {helper: (HELPERS / f"{helper}.py").read_text(encoding="utf-8") for helper in helpers}
    mutated = {helper: mutate_file_contents(f"{HELPERS}/{helper}.py", source) for helper, source in sources.items()}
    runs = Runs(mutants or [f"{helper}.{name}" for helper in helpers for name in mutated[helper].mutant_names], seconds)
    if not runs.mutants:
        return 0, {}
    for helper in helpers:
        replace_file(HELPERS / f"{helper}.py", mutated[helper].code)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            ended = pytest.main([*PYTEST, str(Path(f"tests-{os.getpid()}").absolute()), *tests], plugins=[runs])
    finally:
        for helper, source in sources.items():
            replace_file(HELPERS / f"{helper}.py", source)
    if ended != pytest.ExitCode.OK:
        raise RuntimeError(f"The tests of {', '.join(helpers)} fail without a mutant: {shown.getvalue()}")
    return len(runs.mutants), {mutant: difference(mutated, mutant) for mutant in runs.survivors}


def replace_file(path: Path, text: str) -> None:
    """Write the file in one step, for the tests of other helpers may be reading it."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


class Runs:
    """A plugin of pytest that runs each collected test on the mutants that it can reach, instead of once."""

    def __init__(self, mutants: Sequence[str], seconds: float) -> None:
        self.mutants = mutants
        self.seconds = seconds
        self.survivors: list[str] = []
        self.failures: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failures.append(f"{report.nodeid}\n{report.longreprtext}")

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        if session.testsfailed:
            raise session.Interrupted("errors while collecting")
        phases = (hypothesis.Phase.explicit, hypothesis.Phase.generate)  # shrinking takes long
        few = hypothesis.settings(deadline=None, database=None, derandomize=True, max_examples=20, phases=phases)
        hypothesis.settings.register_profile("mutants", few)
        hypothesis.settings.load_profile("mutants")
        gc.freeze()
        reached = in_fork(partial(self.try_without_mutant, session.items), 600)
        if not isinstance(reached, dict):
            raise session.Interrupted(str(reached))
        kills: Counter[int] = Counter()
        for mutant in self.mutants:
            tests = reached.get(mutant.partition("__mutmut_")[0], {})
            order = sorted(tests, key=lambda index: (-kills[index], tests[index]))
            spent = itertools.accumulate(tests[index] for index in order)
            within = [index for index, seconds in zip(order, spent, strict=True) if seconds < self.seconds]
            killer = in_fork(partial(self.find_killer, mutant, session.items, within), 10 + 3 * sum(tests.values()))
            if killer == NO_TEST:
                self.survivors.append(mutant)
            kills[killer] += 1
        return True

    def try_without_mutant(self, items: Sequence[pytest.Item]) -> Mapping[str, Mapping[int, float]] | str:
        """Return for each function the tests that reach it, with the seconds that each takes; or say which tests fail."""
        set_mutant_under_test("stats")
        reached: dict[str, dict[int, float]] = defaultdict(dict)
        for index, item in enumerate(items):
            start = time.monotonic()
            item.ihook.pytest_runtest_protocol(item=item, nextitem=None)
            for function in state()._stats:
                reached[function.removeprefix(f"{PACKAGE}.")][index] = time.monotonic() - start
            state()._stats.clear()
        return "\n".join(self.failures) or dict(reached)

    def find_killer(self, mutant: str, items: Sequence[pytest.Item], order: Sequence[int]) -> int:
        """Return the first test that fails."""
        set_mutant_under_test(f"{PACKAGE}.{mutant}")
        for index in order:
            items[index].ihook.pytest_runtest_protocol(item=items[index], nextitem=None)
            if self.failures:
                return index
        return NO_TEST


def in_fork(call: Callable[[], object], seconds: float) -> Any:
    """Return what the call returns in a fork of this process, or None if it takes longer or the process ends in another way."""

    def child() -> None:
        try:
            os.setpgid(0, 0)
            sending.send(call())
        finally:
            os._exit(0)  # leaves threads of the tests behind

    receiving, sending = FORK.Pipe(duplex=False)
    process = FORK.Process(target=child)
    process.start()
    sending.close()
    try:
        return receiving.recv() if receiving.poll(seconds) else None
    except EOFError:
        return None
    finally:
        receiving.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.join()


def difference(mutated: Mapping[str, MutatedFile], mutant: str) -> str:
    """Return the lines of the mutant that differ, as they were and as they are."""
    helper, _dot, name = mutant.partition(".")
    lines = mutated[helper].code.splitlines()
    original = f"{name.partition('__mutmut_')[0]}__mutmut_orig"
    spans = [mutated[helper].line_span_by_function_name[function] for function in (original, name)]
    before, after = ([line.replace(original, name) for line in lines[span.start - 1 : span.end]] for span in spans)
    changes = itertools.islice(difflib.unified_diff(before, after, n=0, lineterm=""), 2, None)
    return " -> ".join(line[1:].strip() for line in changes if not line.startswith("@@"))


def explain(helper: str, change: str, reasons: Mapping[str, str]) -> str:
    """Return the change, and why the mutant may survive, where a reason is given."""
    known = (reason for pattern, reason in reasons.items() if fnmatch.fnmatchcase(f"{helper}: {change}", pattern))
    return next((f"{change}  # {reason}" for reason in known), change)


if __name__ == "__main__":
    sys.exit(main())
