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
INTEGRATION_TESTS = (str(COLLECTION / "tests/integration"), "-m", "not slow and not command")  # commands take too long
LEAST = 85  # percent
NO_TEST = -1
CORES = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count()
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
    for helper, (count, left) in zip(helpers, run_all(helpers, tests), strict=True):
        rate = 100 * (count - len(left)) // count if count else 100
        print(f"{helper}: {count - len(left)} of {count} killed, {rate} %")
        print("".join(f"    {name}: {explain(helper, change, settings['reasons'])}\n" for name, change in left.items()), end="")
        sys.stdout.flush()
        survivors += [f"{helper}.{name}" for name in left]
        too_few += [helper] if rate < LEAST else []
    size = (0 if arguments.helpers else 200) if arguments.sample is None else arguments.sample
    if size and survivors:
        try_integration_tests(random.Random(arguments.seed).sample(survivors, min(size, len(survivors))))
    if too_few:
        print(f"Less than {LEAST} % killed: {', '.join(too_few)}")
    return bool(too_few)


def try_integration_tests(sample: Sequence[str]) -> None:
    """Show which of these survivors the integration tests kill."""
    chosen: dict[str, list[str]] = {}
    for helper, _dot, name in sorted(text.partition(".") for text in sample):
        chosen.setdefault(helper, []).append(name)
    results = run_all(list(chosen), [INTEGRATION_TESTS] * len(chosen), list(chosen.values()))
    left = [f"{helper}.{name}" for helper, (_count, names) in zip(chosen, results, strict=True) for name in names]
    print(f"Of a sample of {len(sample)} survivors, the integration tests kill {len(sample) - len(left)}. These are left:")
    print("".join(f"    {name}\n" for name in left), end="")


def run_all(
    helpers: Sequence[str], tests: Sequence[Sequence[str]], mutants: Sequence[Sequence[str]] | None = None
) -> Iterator[tuple[int, dict[str, str]]]:
    """Run the tests of each helper, in as many processes as there are cores."""
    with ProcessPoolExecutor(CORES, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        yield from pool.map(run, helpers, tests, mutants or itertools.repeat(()))


def run(helper: str, tests: Sequence[str], mutants: Sequence[str]) -> tuple[int, dict[str, str]]:
    """Run the tests on these mutants of the helper, or on all. Return how many there are, and how the survivors differ."""
    path = HELPERS / f"{helper}.py"
    source = path.read_text(encoding="utf-8")
    mutated = mutate_file_contents(str(path), source)
    runs = Runs(f"{path.with_suffix('')}".replace("/", "."), mutants or mutated.mutant_names)
    if not runs.mutants:
        return 0, {}
    replace_file(path, mutated.code)
    try:
        with contextlib.redirect_stdout(io.StringIO()) as shown:
            ended = pytest.main([*PYTEST, str(Path(helper).absolute()), *tests], plugins=[runs])
    finally:
        replace_file(path, source)
    if ended != pytest.ExitCode.OK:
        raise RuntimeError(f"The tests of {helper} fail without a mutant: {shown.getvalue()}")
    return len(runs.mutants), {name: difference(mutated, name) for name in runs.survivors}


def replace_file(path: Path, text: str) -> None:
    """Write the file in one step, for the tests of other helpers may be reading it."""
    new = path.with_suffix(".new")
    new.write_text(text, encoding="utf-8")
    new.replace(path)


class Runs:
    """A plugin of pytest that runs each collected test on the mutants that it can reach, instead of once."""

    def __init__(self, module: str, mutants: Sequence[str]) -> None:
        self.module = module
        self.mutants = mutants
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
            killer = in_fork(partial(self.find_killer, mutant, session.items, order), 5 + 10 * sum(tests.values()))
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
                reached[function.rpartition(".")[2]][index] = time.monotonic() - start
            state()._stats.clear()
        return "\n".join(self.failures) or dict(reached)

    def find_killer(self, mutant: str, items: Sequence[pytest.Item], order: Sequence[int]) -> int:
        """Return the first test that fails."""
        set_mutant_under_test(f"{self.module}.{mutant}")
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


def difference(mutated: MutatedFile, name: str) -> str:
    """Return the lines of the mutant that differ, as they were and as they are."""
    lines = mutated.code.splitlines()
    original = f"{name.partition('__mutmut_')[0]}__mutmut_orig"
    spans = [mutated.line_span_by_function_name[function] for function in (original, name)]
    before, after = ([line.replace(original, name) for line in lines[span.start - 1 : span.end]] for span in spans)
    changes = itertools.islice(difflib.unified_diff(before, after, n=0, lineterm=""), 2, None)
    return " -> ".join(line[1:].strip() for line in changes if not line.startswith("@@"))


def explain(helper: str, change: str, reasons: Mapping[str, str]) -> str:
    """Return the change, and why the mutant may survive, where a reason is given."""
    known = (reason for pattern, reason in reasons.items() if fnmatch.fnmatchcase(f"{helper}: {change}", pattern))
    return next((f"{change}  # {reason}" for reason in known), change)


if __name__ == "__main__":
    sys.exit(main())
