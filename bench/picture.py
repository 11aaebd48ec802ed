"""Curves as an SVG, in colours that are readable on a light and on a dark background."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import ceil, floor, log10
from typing import Any, NamedTuple

Row = dict[str, Any]

COLOURS = ("#2f81c7", "#c9681c", "#2e9d5b", "#a55fc4")
INK = "#7d8590"
"""The colour of texts and axes."""
PLOT, GAP_X, GAP_Y, MARGIN = (360, 200), 90, 140, 70
"""Width and height of the lines in a panel, the gaps between panels, and the margin around them."""
ACROSS = 2
"""Panels in a row."""
MARKS = 4
"""Marks above zero on the axis of costs."""


class Caption(NamedTuple):
    """The words of a picture.

    title: the title. unit: the unit of the costs. across: the name of the sizes.
    """

    title: str
    unit: str
    across: str


def picture(rows: Sequence[Row], most: float, caption: Caption) -> str:
    """Return an SVG with a panel for each operation and a curve for each kind: cost by size.

    most: the highest ratio of a cost to the first cost of its curve; a dotted line shows it.
    """
    operations = list(dict.fromkeys(row["operation"] for row in rows))
    width = 2 * MARGIN + ACROSS * PLOT[0] + (ACROSS - 1) * GAP_X
    down = ceil(len(operations) / ACROSS)
    height = MARGIN + down * (PLOT[1] + GAP_Y) + 14
    kinds = dict(zip(dict.fromkeys(row["kind"] for row in rows), COLOURS, strict=False))
    panels = [
        _group(
            MARGIN + number % ACROSS * (PLOT[0] + GAP_X),
            MARGIN + number // ACROSS * (PLOT[1] + GAP_Y),
            Panel([row for row in rows if row["operation"] == operation], kinds, most).draw(
                f"{operation}: {caption.unit}"
            ),
        )
        for number, operation in enumerate(operations)
    ]
    text = f'font-family="sans-serif" font-size="13" fill="{INK}"'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" {text}>'
    title = f"<title>{escape(caption.title)}</title>"
    note = _text(MARGIN, height - 14, f"across: {caption.across}; dotted: {most} times the first point of a curve")
    return "\n".join([head, title, *panels, note, "</svg>", ""])


class Panel:
    """The curves of one operation, each in the colour of its kind."""

    def __init__(self, rows: Sequence[Row], colours: Mapping[str, str], most: float) -> None:
        self._rows, self._most = rows, most
        self._kinds = {kind: colour for kind, colour in colours.items() if self._of(kind)}
        sizes = [log10(row["size"]) for row in rows]
        self._first, self._span = min(sizes), max(sizes) - min(sizes) or 1.0
        highest = max(max(row["ns"], most * self._of(row["kind"])[0]["ns"]) for row in rows)
        self._step = _round_step(1.05 * highest / MARKS)

    def draw(self, title: str) -> str:
        """Return the panel: title, axes, curves, and a key with the ratio of the last point to the first."""
        parts = [_text(0, -14, title, weight="bold"), *self._axes()]
        for number, (kind, colour) in enumerate(self._kinds.items()):
            parts += [*self._curve(self._of(kind), colour), *self._key(kind, colour, PLOT[1] + 42 + 18 * number)]
        return "\n".join(parts)

    def _of(self, kind: str) -> list[Row]:
        return [row for row in self._rows if row["kind"] == kind]

    def _axes(self) -> list[str]:
        sizes = sorted({row["size"] for row in self._rows})
        marks = [number * self._step for number in range(MARKS + 1)]
        return [
            *[_line(0, self._y(cost), PLOT[0], self._y(cost), INK, opacity=0.25) for cost in marks],
            *[_text(-8, self._y(cost) + 4, f"{cost / 1000:g}", anchor="end") for cost in marks],
            *[_text(self._x(size), PLOT[1] + 18, f"{size:,}".replace(",", " "), anchor="middle") for size in sizes],
        ]

    def _curve(self, rows: Sequence[Row], colour: str) -> list[str]:
        places = [(self._x(row["size"]), self._y(row["ns"])) for row in rows]
        path, limit = " ".join(f"{x:.1f},{y:.1f}" for x, y in places), self._y(self._most * rows[0]["ns"])
        return [
            _line(0, limit, PLOT[0], limit, colour, opacity=0.6, more='stroke-dasharray="3 6" stroke-width="1.5"'),
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>',
            *[f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{colour}"/>' for x, y in places],
        ]

    def _key(self, kind: str, colour: str, y: float) -> list[str]:
        ratio = self._of(kind)[-1]["ratio"]
        text = _text(28, y, f"{kind}: {ratio:.2f} times the first")
        return [_line(0, y - 4, 20, y - 4, colour, more='stroke-width="3"'), text]

    def _x(self, size: int) -> float:
        return PLOT[0] * (log10(size) - self._first) / self._span

    def _y(self, cost: float) -> float:
        return PLOT[1] * (1 - cost / (MARKS * self._step))


def _round_step(least: float) -> float:
    """Return the next round number that is not smaller than ``least``."""
    power = 10.0 ** floor(log10(least))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if step * power >= least)


def _group(x: float, y: float, inside: str) -> str:
    return f'<g transform="translate({x} {y})">\n{inside}\n</g>'


def _line(x1: float, y1: float, x2: float, y2: float, colour: str, *, opacity: float = 1, more: str = "") -> str:
    ends = f'x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"'
    return f'<line {ends} stroke="{colour}" stroke-opacity="{opacity}" {more}/>'


def _text(x: float, y: float, text: str, *, anchor: str = "start", weight: str = "normal") -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}"'
    return f"<text {place}>{escape(text)}</text>"
