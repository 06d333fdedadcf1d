# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Build the site: put the pages together as they stand in the repository, add the plugin's, and have Sphinx refuse any warning.

    python docs/docsite/build.py FOLDER

The site is FOLDER/html afterwards. The collection must be installed where ansible-doc finds it.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
SINGLE_PAGES = ("README.md", "CONTRIBUTING.md", "MAINTAINERS.md", "SECURITY.md", "CHANGELOG.md", "LICENSE")


def main(folder: Path) -> None:
    source, html = folder / "source", folder / "html"
    for old in (source, html):
        shutil.rmtree(old, ignore_errors=True)
    collect_pages(source)
    # Its helpers are looked up on PATH.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    run("antsibull-docs", "lint-collection-docs", "--plugin-docs", "--validate-collection-refs", "self", ROOT, path=path)
    generate = ("--config-file", HERE / "antsibull-docs.cfg", "collection", "--use-current", "--fail-on-error")
    run("antsibull-docs", *generate, "--dest-dir", source, "phala.cloud", path=path)
    run("sphinx-build", "--fail-on-warning", "--keep-going", "--quiet", "--builder", "html", source, html, path=path)
    sys.stdout.write(f"The site is {html / 'index.html'}\n")


def collect_pages(source: Path) -> None:
    shutil.copytree(ROOT / "docs", source / "docs", ignore=shutil.ignore_patterns(HERE.name))
    for name in SINGLE_PAGES:
        (source / name).write_text(with_relative_links((ROOT / name).read_text(encoding="utf-8")), encoding="utf-8")
    for name in ("conf.py", "index.md"):
        shutil.copy(HERE / name, source)
    shutil.copytree(HERE / "_static", source / "_static")
    show_recipes(source / "docs" / "examples")


def show_recipes(folder: Path) -> None:
    """Add the recipes to the page that lists them, to read and, as an archive, to download."""
    shutil.make_archive(str(folder / "recipes"), "zip", ROOT / "docs" / "examples")
    page = folder / "README.md"
    text = page.read_text(encoding="utf-8")
    parts = [text, "\n## All files\n\nDownload all of them: {download}`recipes.zip`\n"]
    for recipe in sorted(folder.rglob("*.yml")):
        name = str(recipe.relative_to(folder))
        anchor = re.sub(r"[^\w-]", "", name)
        parts[0] = parts[0].replace(f"]({name})", f"](#{anchor})")
        parts.append(f"\n### {name}\n\n```{{literalinclude}} {name}\n:language: yaml\n```\n")
    page.write_text("".join(parts), encoding="utf-8")


def with_relative_links(text: str) -> str:
    """Have links to files of the repository, which are absolute for the page on Galaxy, lead to the pages of the site."""
    (repository,) = re.findall(r"^repository: (\S+)$", (ROOT / "galaxy.yml").read_text(encoding="utf-8"), re.MULTILINE)
    return re.sub(rf"\]\({re.escape(repository)}/(?:blob|raw)/main/", "](", text)


def run(command: str, *arguments: str | Path, path: str) -> None:
    done = subprocess.run([command, *arguments], env={**os.environ, "PATH": path}, check=False)  # noqa: S603
    if done.returncode:
        sys.exit(f"{command} found something to mend, see above")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
