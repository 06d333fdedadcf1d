# SPDX-FileCopyrightText: The phala.cloud collection contributors
# SPDX-License-Identifier: GPL-3.0-or-later

"""Draw how long each subject takes to load the hosts, as bars."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from xml.sax.saxutils import escape

from .measuring import Result
from .subjects import COLD, MAIN_SIZE

WIDTH, LABELS, BAR, GAP, TOP = 720, 250, 16, 8, 40
OURS, OTHERS = "#1f7a4d", "#9aa5b1"
DARK = "@media (prefers-color-scheme: dark) { .page { fill: #0d1117; } text { fill: #f0f6fc; } }"


def draw(results: Sequence[Result]) -> str:
    """Return an SVG with the loads without delay, of the largest fleet that all were measured with."""
    loads = [result for result in results if result.case.command == "load" and not result.case.delay]
    hosts = max(result.case.hosts for result in loads if result.case.hosts <= MAIN_SIZE)
    shown = sorted((result for result in loads if result.case.hosts in (1, hosts)), key=lambda result: result.cpu)
    height = TOP + len(shown) * (BAR + GAP) + GAP
    title = f"Loading {hosts:,} hosts, ansible-core {results[0].case.core}: seconds of the processor"
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" font-size="12">',
            f"<style>{DARK}</style>",
            f'<rect class="page" width="{WIDTH}" height="{height}" fill="#ffffff"/>',
            f'<text x="{GAP}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>',
            *_bars(shown),
            "</svg>",
            "",
        ]
    )


def _bars(shown: Sequence[Result]) -> Iterator[str]:
    scale = (WIDTH - LABELS - 60) / max(result.cpu for result in shown)
    for number, result in enumerate(shown):
        top = TOP + number * (BAR + GAP)
        length = max(1.0, result.cpu * scale)
        colour = OURS if result.case.subject.startswith(COLD) else OTHERS
        yield f'<text x="{LABELS - GAP}" y="{top + 12}" text-anchor="end">{escape(result.case.subject)}</text>'
        yield f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{colour}"/>'
        yield f'<text x="{LABELS + length + 6:.1f}" y="{top + 12}">{result.cpu:.1f} s</text>'
