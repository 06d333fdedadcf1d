# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""The checks of this collection, each in a virtual environment of its own below .nox/; `make help` lists the usual ones."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import nox

from tests.tools.package_index import find_pip_settings, pip_configuration, uv_variables

ROOT = Path(__file__).parent
REQUIREMENTS = "tests/requirements"
COVERING_TESTS = ("tests/unit", "tests/integration", "tests/security")
# Of the pages, what starts few commands; and one login through the gateway. `make guides` runs all.
QUICK_TESTS = (
    *(
        f"tests/docs/test_{subject}.py"
        for subject in ("development", "filtering", "generated", "glossary", "links", "messages", "plugin_documentation")
    ),
    "tests/docs/test_pages.py::test_page_is_true_when_followed_word_for_word[README.md]",
    "tests/e2e/test_choices.py::test_the_gateway_that_the_api_names_wins",
)
MATRIX_TESTS = ("tests/unit/plugins", "tests/integration")
# For a second Python: what the inventory holds, and what is read from files, the network and the cache.
PYTHON_TESTS = (
    "tests/unit/plugins",
    *(f"tests/integration/test_{subject}.py" for subject in ("cache", "commands", "failures", "variables", "whole_inventory")),
)
HOSTILE_TESTS = ("tests/security/test_hostile_text.py", "tests/security/test_outputs.py")
WIRE_TESTS = tuple(f"tests/security/test_{subject}.py" for subject in ("faults", "odd_json", "transport", "whole_fleet"))
REACHING_TESTS = ("tests/e2e/test_refused.py", "tests/e2e/test_restart.py")
WITH_VALUE = ("-k", "-m", "-n", "-p", "-o", "-r", "-W")  # options of pytest that an argument follows
NO_TESTS = 5  # the exit status of pytest
WORKERS = min((os.cpu_count() or 1) + 1, 4)  # one more than cores, for many tests wait most of their time

GITHUB_SCHEMAS = {
    "vendor.github-workflows": "workflows/*.yml",
    "custom.github-workflows-require-timeout": "workflows/*.yml",
    "vendor.dependabot": "dependabot.yml",
    "vendor.github-issue-forms": "ISSUE_TEMPLATE/[!c]*.yml",
    "vendor.github-issue-config": "ISSUE_TEMPLATE/config.yml",
}

# Each supported ansible-core, oldest first, with the Pythons that it runs on.
CORES = {
    "2.16": ("3.10", "3.11", "3.12"),
    "2.17": ("3.10", "3.11", "3.12"),
    "2.18": ("3.11", "3.12", "3.13"),
    "2.19": ("3.11", "3.12", "3.13"),
    "2.20": ("3.12", "3.13", "3.14"),
    "2.21": ("3.12", "3.13", "3.14"),
    "2.22": ("3.13", "3.14", "3.15"),
}

SUPPORTED_PYTHONS = sorted(set(itertools.chain.from_iterable(CORES.values())))

nox.options.default_venv_backend = "uv"
nox.options.envdir = ".nox"
nox.options.reuse_venv = "yes"
nox.options.tags = ["test"]

# What a developer has set for their own work must not decide how a test ends.
for variable in [name for name in os.environ if name.startswith(("ANSIBLE_", "PHALA_CLOUD_", "PYTHONPATH", "UV_PYTHON"))]:
    del os.environ[variable]
os.environ["UV_PYTHON_DOWNLOADS"] = "never"
os.environ["UV_SYSTEM_CERTS"] = "true"  # as pip does: a company's proxy is trusted by the system alone
os.environ["UV_COMPILE_BYTECODE"] = "true"  # the tests start Ansible hundreds of times
PIP_SETTINGS = find_pip_settings()
os.environ.update({**uv_variables(PIP_SETTINGS), **os.environ})


class Pair(NamedTuple):
    """An ansible-core and a Python to run it with."""

    core: str
    python: str

    def __str__(self) -> str:
        return f"{self.core}-py{self.python}"


def find_pythons() -> dict[str, str]:
    """Map each Python version of this machine to an interpreter that works, which a shim of pyenv may not."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    folders = [*pyenv.glob("versions/*/bin"), *map(Path, os.get_exec_path())]
    candidates = ((version, folder / f"python{version}") for version in SUPPORTED_PYTHONS for folder in folders)
    pythons: dict[str, str] = {}
    for version, candidate in candidates:
        if version not in pythons and candidate.exists() and works(candidate):
            pythons[version] = str(candidate)
    return pythons


def works(python: Path) -> bool:
    return subprocess.run([python, "-c", ""], capture_output=True, check=False).returncode == 0


def make_pairs() -> Iterator[Pair]:
    """Give each ansible-core with the oldest and with the newest Python of this machine that it runs on."""
    for core, supported in CORES.items():
        usable = [python for python in supported if python in PYTHONS]
        yield from (Pair(core, python) for python in dict.fromkeys((*usable[:1], *usable[-1:])))


PYTHONS = find_pythons()
PAIRS = list(make_pairs())
NEWEST = PAIRS[-1]
PROSE_PYTHON = [python for python in PYTHONS if python != "3.15"][-1]  # proselint does not run on Python 3.15 yet
WITH_OLDEST_REQUESTS = PAIRS[1:2]
WITH_ALL = {pair.core: pair for pair in (*PAIRS, PAIRS[0])}.values()  # for each core one pair: a second Python changes little
WITH_PARAMIKO = [pair for pair in PAIRS if pair.core == "2.20"][-1:]  # the last that has the connection, which 2.18 changed
# 2.19 changed which text is run as a template, 2.22 which text is shown; the first and the last pair run all tests.
WITH_HOSTILE_TEXT = {pair.core: pair for pair in reversed(PAIRS) if pair.core in ("2.18", "2.19", "2.22")}.values()
DEVEL = Pair("devel", NEWEST.python)
LACKING = [Pair(core, end) for core, ends in CORES.items() for end in (ends[0], ends[-1]) if end not in PYTHONS]


def test_on(pair: Pair) -> Callable[[nox.Session], None]:
    """Make the session that tests on this pair, on the newest thoroughly."""

    def session(session: nox.Session) -> None:
        link_checkout(session, pair)
        if pair == NEWEST:
            session.install("--no-deps", "--requirement", f"{REQUIREMENTS}/sdk.txt")
            add_posix_collection(session, pair)
            (run_tests if session.posargs else measure_coverage)(session)
        elif pair == PAIRS[0]:
            add_posix_collection(session, pair)
            ignored = (f"--ignore={test}" for test in WIRE_TESTS)  # no matter of ansible-core
            run_tests(session, *MATRIX_TESTS, "tests/security", *ignored)
        elif pair in WITH_OLDEST_REQUESTS:
            add_posix_collection(session, pair)
            session.install(*Path("requirements.txt").read_text(encoding="utf-8").replace(">=", "==").split())
            run_tests(session, *MATRIX_TESTS, *WIRE_TESTS, *REACHING_TESTS, commands=pair in WITH_ALL)
        elif pair in WITH_PARAMIKO:
            add_posix_collection(session, pair)
            run_tests(session, *MATRIX_TESTS, *REACHING_TESTS)
        else:
            hostile = HOSTILE_TESTS if pair in WITH_HOSTILE_TEXT else ()
            tests = MATRIX_TESTS if pair in WITH_ALL else PYTHON_TESTS
            run_tests(session, *tests, *hostile, commands=pair in WITH_ALL)

    return session


def skip_for(pair: Pair) -> Callable[[nox.Session], None]:
    """Make the session that names a missing Python, and fails where no other one runs this ansible-core."""

    def session(session: nox.Session) -> None:
        give_up = session.skip if pair.core in {pair.core for pair in PAIRS} else session.error
        give_up(f"Python {pair.python} is not on this machine")

    return session


for pair in reversed(PAIRS):
    tags = ["matrix", "test" if pair in (PAIRS[0], NEWEST) else "rest", *(["newest"] if pair == NEWEST else [])]
    nox.session(test_on(pair), name=f"core-{pair}", python=PYTHONS[pair.python], tags=tags)
for pair in LACKING:
    nox.session(skip_for(pair), name=f"core-{pair}", python=False, tags=["matrix", "rest"])


@nox.session(python=PYTHONS[DEVEL.python], name="core-devel", tags=["devel"], default=False)
def devel(session: nox.Session) -> None:
    """Run the unit, integration and hostile-text tests on the development branch of ansible-core."""
    link_checkout(session, DEVEL)
    run_tests(session, *MATRIX_TESTS, *HOSTILE_TESTS)


@nox.session(python=False, default=False)
def pythons(session: nox.Session) -> None:
    """Show which of the supported Pythons this machine has, and which it lacks."""
    for version in SUPPORTED_PYTHONS:
        session.log(f"Python {version}: {PYTHONS.get(version, 'MISSING, so nothing is tested on it')}")


def add_posix_collection(session: nox.Session, pair: Pair) -> None:
    """Take the collection ansible.posix, which has synchronize, out of the package ansible."""
    target = site_packages(session, pair) / "ansible_collections" / "ansible" / "posix"
    if target.exists():
        return
    with tempfile.TemporaryDirectory() as folder:
        session.install(
            "--no-deps", "--target", folder, "--requirement", f"{REQUIREMENTS}/posix.txt", env={"UV_COMPILE_BYTECODE": "false"}
        )
        shutil.copytree(Path(folder, "ansible_collections", "ansible", "posix"), target)


def site_packages(session: nox.Session, pair: Pair) -> Path:
    return Path(session.virtualenv.location, "lib", f"python{pair.python}", "site-packages")


def link_checkout(session: nox.Session, pair: Pair) -> None:
    """Install what the tests need, and this checkout as the collection."""
    install(session, f"ansible-core-{pair.core}", "test")
    packages = site_packages(session, pair)
    link = packages / "ansible_collections" / "phala" / "cloud"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.unlink(missing_ok=True)
    link.symlink_to(ROOT, target_is_directory=True)
    # A copy that the developer has installed would go before the one in site-packages.
    session.env["ANSIBLE_COLLECTIONS_PATH"] = str(packages)
    session.env["ANSIBLE_HOME"] = str(Path(session.virtualenv.location, "ansible-home"))


def measure_coverage(session: nox.Session) -> None:
    """Run the tests; what they cover of plugins/, without the commands that they start, must suffice."""
    session.run("coverage", "erase")
    run_tests(session, *COVERING_TESTS, *QUICK_TESTS, runner=("coverage", "run", "-m", "pytest"))
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report")


def run_tests(session: nox.Session, *folders: str, runner: Sequence[str] = ("pytest",), commands: bool = True) -> None:
    """Run pytest on these folders, or on the files that the command line names; its options may choose no test of them."""
    success_codes = [0, NO_TESTS] if session.posargs else [0]
    chosen = () if name_files(session.posargs) else folders
    marked = () if commands else ("-m", "not slow and not command")
    session.run(*runner, f"--numprocesses={WORKERS}", *marked, *chosen, *session.posargs, success_codes=success_codes)


def name_files(arguments: Sequence[str]) -> bool:
    """Return whether arguments of pytest name a file, a folder or a test in a file."""
    given = (
        name for option, name in itertools.pairwise(("", *arguments)) if option not in WITH_VALUE and not name.startswith("-")
    )
    return any(Path(name.partition("::")[0]).exists() for name in given)


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def demo(session: nox.Session) -> None:
    """Show the collection at work against a stand-in service; `make demo` does so without nox's own lines."""
    session.install(
        "--requirement", f"{REQUIREMENTS}/ansible-core-{NEWEST.core}.txt",
        "--requirement", "requirements.txt",
        "--requirement", "tests/simulator/requirements.txt",
        "--requirement", "tests/e2e/requirements.txt",
        "--constraint", f"{REQUIREMENTS}/constraints.txt",
    )  # fmt: skip
    session.run("python", "-m", "tests.demo", *session.posargs)


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def pins(session: nox.Session) -> None:
    """Choose the newest versions of what the tests' requirements require in turn, for every supported Python at once."""
    session.run(
        "uv", "pip", "compile", "--quiet", "--upgrade", "--universal", "--python-version", CORES["2.16"][0],
        "--no-annotate", "--no-header", "--output-file", f"{REQUIREMENTS}/constraints.txt",
        "--no-emit-package", "ansible-core", "--no-emit-package", "resolvelib",  # each ansible-core has its own
        f"{REQUIREMENTS}/ansible-core-2.16.txt", f"{REQUIREMENTS}/test.txt",
        external=True,
    )  # fmt: skip


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def docs(session: nox.Session) -> None:
    """Build the documentation as a site; a warning is an error."""
    link_checkout(session, NEWEST)
    session.install("--requirement", f"{REQUIREMENTS}/docs.txt", "--constraint", f"{REQUIREMENTS}/constraints.txt")
    session.run("python", "docs/docsite/build.py", ".nox/site")


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def pages(session: nox.Session) -> None:
    """Write what pages have from the code, and the outputs of their commands; the tests of the pages then compare nothing."""
    link_checkout(session, NEWEST)
    add_posix_collection(session, NEWEST)
    session.env["PHALA_PAGES_WRITE"] = "1"
    session.run("pytest", "tests/docs", *session.posargs)


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def fuzz(session: nox.Session) -> None:
    """Fuzz the plugin with answers; where atheris cannot be had for this Python, they are made up without its guidance."""
    link_checkout(session, NEWEST)
    session.install("--only-binary", ":all:", "--requirement", f"{REQUIREMENTS}/fuzz.txt", success_codes=range(256))
    session.run("python", "-m", "tests.security.fuzz", *session.posargs)


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def mutants(session: nox.Session) -> None:
    """Show how many mutants of each helper its unit tests kill; fail where they kill too few."""
    install(session, f"ansible-core-{NEWEST.core}", "test", "mutants")
    with copied_checkout() as collection, session.chdir(collection.parents[2]):
        session.run("python", str(ROOT / "tests/tools/mutants.py"), *session.posargs)


def benchmark_on(pair: Pair) -> Callable[[nox.Session], None]:
    """Make the session that measures on this pair; the newest is compared with the plugins of the package ``ansible`` too."""

    def session(session: nox.Session) -> None:
        link_checkout(session, pair)
        if pair == NEWEST:
            session.install("--no-deps", "--requirement", f"{REQUIREMENTS}/benchmarks.txt")
        session.run("python", "-m", "tests.benchmarks", *session.posargs)

    return session


for pair in (NEWEST, PAIRS[0]):
    nox.session(benchmark_on(pair), name=f"bench-{pair}", python=PYTHONS[pair.python], tags=["bench"], default=False)


@nox.session(python=PYTHONS[NEWEST.python], tags=["lint"], default=False)
def style(session: nox.Session) -> None:
    """Check how the files are written."""
    install(session, "lint")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("yamllint", "--strict", ".")
    session.run("codespell")
    session.run("reuse", "lint", "--lines")
    session.run("shellcheck", ".ci/run", *map(str, Path("tests").rglob("*.sh")))
    session.run("zizmor", "--offline", "--persona=pedantic", "--quiet", ".github")
    for schema, pattern in GITHUB_SCHEMAS.items():
        session.run("check-jsonschema", "--builtin-schema", schema, *map(str, Path(".github").glob(pattern)))


@nox.session(python=PYTHONS[PROSE_PYTHON], tags=["lint"], default=False)
def prose(session: nox.Session) -> None:
    """Check the English of the pages."""
    install(session, "lint")
    session.run("python", "-m", "tests.tools.prose", *session.posargs)


@nox.session(python=PYTHONS[NEWEST.python], tags=["lint"], default=False)
def types(session: nox.Session) -> None:
    """Check the types of the collection and of its tests."""
    install(session, "lint", f"ansible-core-{NEWEST.core}", "test")
    with copied_checkout() as collection, session.chdir(collection.parents[2]):
        Path("tests").symlink_to(collection / "tests")  # some tests import others from the root of the checkout
        sources = [f"ansible_collections/phala/cloud/{folder}" for folder in ("plugins", "tests")]
        session.run("mypy", "--config-file", str(ROOT / "pyproject.toml"), *sources)


@nox.session(python=PYTHONS[NEWEST.python], tags=["lint"], default=False)
def collection(session: nox.Session) -> None:
    """Check what Ansible's community checks of a collection."""
    install(session, "tools", f"ansible-core-{NEWEST.core}")
    live_in(session)
    with copied_checkout() as collection, session.chdir(collection):
        session.run("ansible-lint", "--strict")
        references = ("--validate-collection-refs", "self", "--check-extra-docs-refs")
        session.run("antsibull-docs", "lint-collection-docs", "--plugin-docs", *references, ".")
        session.run("antsibull-changelog", "lint")


@nox.session(python=PYTHONS[NEWEST.python], tags=["package"], default=False)
def package(session: nox.Session) -> None:
    """Build the collection, then import, install, upgrade and use what has been built, without a link to this checkout."""
    install(session, "tools", f"ansible-core-{NEWEST.core}", "test")
    # Of all the files of the package ansible, one plugin is used.
    session.install("--no-deps", "--requirement", f"{REQUIREMENTS}/redis.txt", env={"UV_COMPILE_BYTECODE": "false"})
    run_tests(session, "tests/packaging")


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def build(session: nox.Session) -> None:
    """Build the collection into the checkout; two builds of one commit are the same, byte for byte."""
    install(session, f"ansible-core-{NEWEST.core}")
    build_collection(session)


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def release(session: nox.Session) -> None:
    """Check that the tag of the command line may be released, build the collection, and write its bill of materials."""
    install(session, f"ansible-core-{NEWEST.core}", "release")
    session.run("python", "-m", "tests.tools.release", "check", *session.posargs)
    build_collection(session)
    session.run("python", "-m", "tests.tools.sbom", built_tarball())


@nox.session(python=PYTHONS[NEWEST.python], default=False)
def publish(session: nox.Session) -> None:
    """Publish the tarball that lies in the checkout."""
    install(session, f"ansible-core-{NEWEST.core}")
    session.run("python", "-m", "tests.tools.release", "publish", built_tarball(), *session.posargs)


def build_collection(session: nox.Session) -> None:
    committed = subprocess.run(("git", "log", "-1", "--format=%ct"), capture_output=True, text=True, check=True).stdout.strip()
    with copied_checkout() as collection:
        session.run(
            "python", "-m", "tests.tools.build", str(collection), str(ROOT), os.environ.get("SOURCE_DATE_EPOCH", committed)
        )


def built_tarball() -> str:
    """Return the tarball of the version in galaxy.yml."""
    lines = Path("galaxy.yml").read_text(encoding="utf-8").splitlines()
    galaxy = dict(line.split(": ", 1) for line in lines if line.startswith(("namespace: ", "name: ", "version: ")))
    return f"{galaxy['namespace']}-{galaxy['name']}-{galaxy['version']}.tar.gz"


def sanity_on(pair: Pair, *, whole: bool = False) -> Callable[[nox.Session], None]:
    """Make the session that lets ansible-test judge what users install, and run tests on the newest; the whole has all tests."""

    def session(session: nox.Session) -> None:
        install(session, f"ansible-core-{pair.core}", "test", "lint")
        home = live_in(session)
        require_packages_of_index(Path(session.virtualenv.location))
        # ansible-test would fetch a script that installs pip from a server of its own; Python brings one along.
        for version in ("23_1_2", "24_2", "25_2"):
            script = home / f".ansible/test/cache/get_pip_{version}.py"
            script.parent.mkdir(parents=True, exist_ok=True)
            script.write_text("import ensurepip\nensurepip.bootstrap(default_pip=True)\n", encoding="utf-8")
        units = "tests/unit/plugins/" if whole else "tests/unit/plugins/inventory/"
        tests = (("units", units), ("integration", "inventory_phala")) if whole or pair == NEWEST else ()
        with copied_checkout() as collection, session.chdir(collection):
            for command in (("sanity", *(() if whole else ("--exclude", "tests/"))), *tests):
                session.run("ansible-test", *command, "--local", "--python", pair.python)

    return session


def require_packages_of_index(environment: Path) -> None:
    """Have ansible-test's pylint take dill from the package index; that of 2.22 takes it from an archive elsewhere."""
    for requirements in environment.glob("lib/*/site-packages/ansible_test/_data/requirements/sanity.pylint.txt"):
        text = re.sub(r"^dill @ .*$", "dill", requirements.read_text(encoding="utf-8"), flags=re.MULTILINE)
        requirements.unlink()  # uv's cache has the same file
        requirements.write_text(text, encoding="utf-8")


for pair, name, tag in ((DEVEL, "sanity-devel", "devel"), (NEWEST, "sanity-whole", "sanity-rest")):
    nox.session(
        sanity_on(pair, whole=True), name=name, python=PYTHONS[pair.python], venv_params=["--seed"], tags=[tag], default=False
    )
for pair in reversed(WITH_ALL):
    nox.session(
        sanity_on(pair),
        name=f"sanity-{pair}",
        python=PYTHONS[pair.python],
        venv_params=["--seed"],
        tags=["sanity" if pair in (PAIRS[0], NEWEST) else "sanity-rest"],
        default=False,
    )


def install(session: nox.Session, *names: str) -> None:
    """Install the requirements of these names."""
    files = [f"{REQUIREMENTS}/{name}.txt" for name in names]
    constraints = ["--constraint", f"{REQUIREMENTS}/constraints.txt"] if "test" in names else []
    session.install(*itertools.chain.from_iterable(("--requirement", file) for file in files), *constraints)


def live_in(session: nox.Session) -> Path:
    """Give the session's commands a home of their own, in which pip finds its settings."""
    home = Path(session.virtualenv.location, "home").absolute()
    settings = home / ".config/pip/pip.conf"
    settings.parent.mkdir(parents=True, exist_ok=True)
    settings.write_text(pip_configuration(PIP_SETTINGS), encoding="utf-8")
    session.env["HOME"] = str(home)
    return home


@contextlib.contextmanager
def copied_checkout() -> Iterator[Path]:
    """Copy what git holds or would take; ansible-test sees nothing through a link."""
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\0")
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder, "ansible_collections/phala/cloud")
        for name in names:
            if Path(name).is_file():
                (copy / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(name, copy / name)
        yield copy
