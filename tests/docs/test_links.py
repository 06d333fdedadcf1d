# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every link leads somewhere, every page can be reached, and the picture shows what is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from .pages import DOCS, REPOSITORY, ROOT, TOP_PAGES, all_pages, anchors, links, prose

PLACEHOLDER = "host"  # of messages that say how to write a URL
OWN_HOSTS = ("example.org", "cloud-api.phala.com", "127.0.0.1")
COMMUNITY_HOSTS = ("docs.ansible.com", "forum.ansible.com", "semver.org", "pre-commit.com")  # of the pages of the top folder
PLATFORM_HOSTS = ("cloud.phala.com", "docs.phala.com", "github.com")
PLATFORM = ("https://cloud.phala.com/dashboard", "https://docs.phala.com/", "https://github.com/Dstack-TEE/dstack")
ELSEWHERE = (*(f"https://{host}" for host in COMMUNITY_HOSTS), f"{REPOSITORY}/issues")


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_every_link_of_page_leads_somewhere(page: Path) -> None:
    dead = [target for target in links(page) if not leads_somewhere(page, target)]
    assert not dead


def leads_somewhere(page: Path, target: str) -> bool:
    if target.startswith(PLATFORM):
        return True
    if target.startswith(ELSEWHERE):
        return page.name in TOP_PAGES
    path, _hash, anchor = target.partition("#")
    aim = (page.parent / path).resolve() if path else page
    if not aim.exists() or ROOT not in [aim, *aim.parents]:
        return False
    return not anchor or anchor in anchors(aim)


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_page_names_no_host_but_the_service_and_examples(page: Path) -> None:
    hosts = re.findall(r"https?://(?:\w+:\w+@)?([\w.-]+)", page.read_text(encoding="utf-8"))
    known = (*OWN_HOSTS, *PLATFORM_HOSTS, *(COMMUNITY_HOSTS if page.name in TOP_PAGES else ()))
    assert [host for host in hosts if not host.rstrip(".").endswith(known) and host != PLACEHOLDER] == []


def test_readme_has_only_absolute_links_for_its_page_on_galaxy() -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", prose(ROOT / "README.md"))
    assert [target for target in targets if not target.startswith("https://")] == []


def test_every_page_is_reached_from_the_readme() -> None:
    reached, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [(page.parent / target.partition("#")[0]).resolve() for target in links(page)]
    assert set(all_pages()) <= reached


@pytest.mark.parametrize("page", all_pages(), ids=name_of)
def test_page_begins_with_its_licence_and_one_title(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text.startswith(
        "<!--\nSPDX-FileCopyrightText: The phala.cloud collection contributors\nSPDX-License-Identifier: GPL-3.0-or-later\n-->\n"
    )
    assert len(re.findall(r"^# ", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)) == 1


def test_every_picture_says_what_it_shows() -> None:
    for page in all_pages():
        assert not re.search(r"!\[\]\(", page.read_text(encoding="utf-8")), page
    assert list(DOCS.glob("*.svg"))
