# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show how many mutants of each helper its unit tests kill, and fail where they kill too few.

mutmut makes the mutants, each with one small error, and runs the tests. Run this in a folder that holds
`ansible_collections/phala/cloud`; `mutants.toml` says which tests belong to which helper, and why a mutant may survive.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomllib
from mutmut.mutation.diff_apply import get_diff_for_mutant

COLLECTION = Path("ansible_collections/phala/cloud")
HELPERS = COLLECTION / "plugins/plugin_utils"
UNIT_TESTS = COLLECTION / "tests/unit/plugins/plugin_utils"
INTEGRATION_TESTS = COLLECTION / "tests/integration"
SURVIVED = (0, 5, 33)  # as mutmut records them: all tests passed, or none ran
LEAST = 85  # percent


def main() -> int:
    parser = argparse.ArgumentParser(prog="make mutants", description=__doc__)
    parser.add_argument("helpers", nargs="*", metavar="HELPER", help="such as _names (default: all)")
    parser.add_argument("--sample", type=int, help="run the integration tests on as many survivors (default: 200 of all helpers)")
    parser.add_argument("--seed", type=int, default=1, help="choose another sample (default: %(default)s)")
    arguments = parser.parse_args()
    os.environ["ANSIBLE_COLLECTIONS_PATH"] = str(Path("mutants").absolute())
    settings = tomllib.loads(Path(__file__).with_suffix(".toml").read_text(encoding="utf-8"))
    survivors: dict[str, str] = {}
    too_few = []
    for helper in arguments.helpers or sorted(path.stem for path in HELPERS.glob("_*.py")):
        own = f"test{helper}.py"
        results = run_mutmut([helper], [UNIT_TESTS / name for name in settings["tests"].get(helper, [own])])
        found = {name: explain(name, settings["reasons"]) for name, code in results.items() if code in SURVIVED}
        rate = 100 * (len(results) - len(found)) // len(results) if results else 100
        print(f"{helper}: {len(results) - len(found)} of {len(results)} killed, {rate} %")
        print("".join(f"    {name.rpartition('.')[2]}: {line}\n" for name, line in found.items()), end="", flush=True)
        survivors |= found
        too_few += [helper] if rate < LEAST else []
    size = (0 if arguments.helpers else 200) if arguments.sample is None else arguments.sample
    if size and survivors:
        try_integration_tests(random.Random(arguments.seed).sample(sorted(survivors), min(size, len(survivors))))
    if too_few:
        print(f"Less than {LEAST} % killed: {', '.join(too_few)}")
    return bool(too_few)


def try_integration_tests(sample: Sequence[str]) -> None:
    """Show which of these survivors the integration tests kill."""
    results = run_mutmut(sorted({name.split(".")[-2] for name in sample}), [INTEGRATION_TESTS], sample)
    left = [name for name in sample if results[name] in SURVIVED]
    print(f"Of a sample of {len(sample)} survivors, the integration tests kill {len(sample) - len(left)}. These are left:")
    print("".join(f"    {name.rpartition('.plugin_utils.')[2]}\n" for name in left), end="")


def run_mutmut(helpers: Sequence[str], tests: Iterable[Path], mutants: Iterable[str] = ()) -> dict[str, int | None]:
    """Run the tests on these mutants, or on all of the helpers, and return how each run ended."""
    settings = {
        "source_paths": [str(COLLECTION / "plugins")],
        "only_mutate": [f"{HELPERS}/{helper}.py" for helper in helpers],
        "also_copy": [str(COLLECTION)],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:unraisableexception"],  # the latter collects garbage
        "pytest_add_cli_args_test_selection": [str(path) for path in tests],
        "on_dependency_change": "ignore",
        "timeout_constant": 4.0,  # a mutant that hangs is killed, one on a busy machine is not
    }
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    Path("pyproject.toml").write_text("\n".join(["[tool.mutmut]", *lines, ""]), encoding="utf-8")
    done = subprocess.run(("mutmut", "run", *mutants), capture_output=True, text=True, check=False)
    recorded: dict[str, Any] = {}
    for helper in helpers:
        recorded |= json.loads(Path("mutants", HELPERS, f"{helper}.py.meta").read_text(encoding="utf-8"))["exit_code_by_key"]
    if recorded and done.returncode != 0:
        sys.exit(f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return recorded


def explain(name: str, reasons: Mapping[str, str]) -> str:
    """Return how this mutant differs, and why it may survive, where a reason is given."""
    helper = name.split(".")[-2]
    shown = get_diff_for_mutant(name, path=HELPERS / f"{helper}.py").splitlines()
    change = " -> ".join(line[1:].strip() for line in shown if line[:1] in ("+", "-") and line[:3] not in ("+++", "---"))
    known = (reason for pattern, reason in reasons.items() if fnmatch.fnmatchcase(f"{helper}: {change}", pattern))
    return next((f"{change}  # {reason}" for reason in known), change)


if __name__ == "__main__":
    sys.exit(main())
