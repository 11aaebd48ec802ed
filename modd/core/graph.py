"""The wiring of a bus, to print or to draw."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from modd.core.component import Accepts, Part, name_of
from modd.texts import escape_mermaid


class Graph:
    """The components inside a bus and the types that each accepts, at the moment when the graph was made.

    ``str(graph)`` is a tree; ``graph.mermaid()`` a flow chart for anything that draws Mermaid; ``graph.nodes`` has
    (path of names, names of the accepted types) for every component, depth first.
    """

    def __init__(self, bus: Part) -> None:
        self.nodes: tuple[tuple[tuple[str, ...], tuple[str, ...]], ...] = tuple(_nodes(bus, bus.accepts, ()))

    def __str__(self) -> str:
        return "\n".join(f"{'  ' * (len(path) - 1)}{path[-1]}: {_accepted(types)}" for path, types in self.nodes)

    def mermaid(self) -> str:
        """Return the wiring as a Mermaid flow chart: an arrow from a bus to each component, labelled with its types."""
        lines = ["flowchart LR"]
        above: list[int] = []
        for number, (path, types) in enumerate(self.nodes):
            del above[len(path) - 1 :]
            lines.append(f'    n{number}["{escape_mermaid(path[-1])}"]')
            if above:
                lines.append(f'    n{above[-1]} -->|"{escape_mermaid(_accepted(types))}"| n{number}')
            above.append(number)
        return "\n".join(lines)


def _nodes(
    component: Any, accepts: Accepts, path: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], tuple[str, ...]]]:
    path = (*path, name_of(component))
    types = tuple(kind.__name__ for kind in accepts.types)
    yield path, (*types, *(["everything"] if accepts.everything else []))
    if isinstance(component, Part):
        for receiver in component.inside:
            yield from _nodes(receiver.component, receiver.accepts, path)


def _accepted(types: tuple[str, ...]) -> str:
    return ", ".join(types) or "nothing"
