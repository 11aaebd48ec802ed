"""The flow charts of a catalog, in Mermaid, from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from modd.catalog.entries import AggregateEntry, Catalog, ContextEntry, FlowEntry, ReactionEntry
from modd.texts import escape_mermaid

MOST_NAMES = 3
"""The most names of messages on one arrow."""


class Node(msgspec.Struct, frozen=True):
    """A part in the overview.

    id, label: in Mermaid. takes, gives: the names of messages. context: the context that it is in.
    follows: True for a flow and a projection, which take events from the log, whichever context has recorded them.
    """

    id: str
    label: str
    takes: frozenset[str]
    gives: tuple[str, ...]
    context: ContextEntry
    follows: bool = False

    def sends(self, name: str, taker: Node) -> bool:
        """Return True if a message goes from this part to another one: within a context, into it, or let out of it."""
        home, away = self.context, taker.context
        is_inside = away.name == home.name or away.name.startswith(f"{home.name}.")
        is_free = self.follows or taker.follows or name in home.lets_out
        return name in taker.takes and (is_inside or is_free)


def draw_overview(catalog: Catalog) -> str:
    """Return a chart of all parts, in a box for each context, with an arrow for the messages between two."""
    nodes, lines = list[Node](), ["flowchart TB"]
    for at, context in enumerate(catalog.contexts):
        own = [*_nodes(context, len(nodes))]
        nodes += own
        if own:
            lines += _box(f"c{at}", context.name, [f'{each.id}["{escape_mermaid(each.label)}"]' for each in own])
    lines += [f'    {giver.id} -->|"{text}"| {taker.id}' for giver, text, taker in _arrows(nodes)]
    return "\n".join(lines)


def draw_aggregate(aggregate: AggregateEntry) -> str:
    """Return a chart of the commands of an aggregate, and of the events that each is known to record."""
    lines = ["flowchart TB"]
    events = {each.message.name: f"e{at}" for at, each in enumerate(aggregate.events)}
    for at, command in enumerate(aggregate.commands):
        lines.append(f'    m{at}(["{escape_mermaid(command.message.name)}"])')
        lines += [f"    m{at} --> {events[name]}" for name in command.records]
    lines += [f'    {id}["{escape_mermaid(name)}"]' for name, id in events.items()]
    return "\n".join(lines)


def draw_flow(flow: FlowEntry) -> str:
    """Return a chart of the events and timeouts of a flow, and of the commands that follow from each."""
    lines = ["flowchart TB"]
    commands: dict[str, str] = {}
    for at, reaction in enumerate((*flow.begins, *flow.reacts)):
        lines += [f'    e{at}["{escape_mermaid(reaction.on)}"]', *_sent(f"e{at}", reaction, commands)]
    for at, reaction in enumerate(flow.timeouts):
        lines += [f'    t{at}{{{{"{escape_mermaid(reaction.on)}"}}}}', *_sent(f"t{at}", reaction, commands)]
    lines += [f'    {id}(["{escape_mermaid(name)}"])' for name, id in commands.items()]
    return "\n".join(lines)


def _sent(id: str, reaction: ReactionEntry, commands: dict[str, str]) -> Iterator[str]:
    """Yield an arrow to each command, which gets an id at its first one."""
    for name in reaction.sends:
        yield f"    {id} --> {commands.setdefault(name, f'm{len(commands)}')}"


def _nodes(context: ContextEntry, first: int) -> Iterator[Node]:
    """Yield the parts in a context, numbered from a first number."""
    parts = [*_parts(context)]
    following = [*_following_parts(context)]
    for at, (label, takes, gives) in enumerate([*parts, *following]):
        yield Node(f"n{first + at}", label, frozenset(takes), tuple(gives), context, at >= len(parts))


def _following_parts(context: ContextEntry) -> Iterator[tuple[str, Iterable[str], Iterable[str]]]:
    """Yield the same as `_parts` for flows and projections."""
    for flow in context.flows:
        reactions = [*flow.begins, *flow.reacts, *flow.timeouts]
        events = [each.on for each in (*flow.begins, *flow.reacts)]
        yield f"flow {flow.name}", events, dict.fromkeys(name for each in reactions for name in each.sends)
    for projection in context.projections:
        yield f"projection {projection.name}", [each.on for each in projection.events], []


def _parts(context: ContextEntry) -> Iterator[tuple[str, Iterable[str], Iterable[str]]]:
    """Yield the label of each part with the names of the messages that it takes and gives."""
    for aggregate in context.aggregates:
        commands = [each.message.name for each in aggregate.commands]
        yield aggregate.name, commands, [each.message.name for each in aggregate.events]
    for bus in context.buses:
        yield bus.name, [each.message.name for each in bus.messages], bus.emits
    for component in context.components:
        yield component.function.name, component.accepts, component.returns


def _box(id: str, name: str, lines: Iterable[str]) -> Iterator[str]:
    if not name:
        yield from (f"    {line}" for line in lines)
        return
    yield f'    subgraph {id}["{escape_mermaid(name)}"]'
    yield from (f"        {line}" for line in lines)
    yield "    end"


def _arrows(nodes: Iterable[Node]) -> Iterator[tuple[Node, str, Node]]:
    """Yield each pair of parts with the names of the messages that go from one to the other."""
    nodes = [*nodes]
    for giver in nodes:
        for taker in nodes:
            names = [name for name in giver.gives if giver.sends(name, taker)]
            if names:
                yield giver, escape_mermaid(_label(names)), taker


def _label(names: list[str]) -> str:
    more = len(names) - MOST_NAMES
    return ", ".join(names[:MOST_NAMES]) + (f" and {more} more" if more > 0 else "")
