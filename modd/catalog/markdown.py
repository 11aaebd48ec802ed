"""A catalog as Markdown, with flow charts in Mermaid: pages for people who do not read the code."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from modd.catalog.diagrams import draw_aggregate, draw_flow, draw_overview
from modd.catalog.entries import (
    AggregateEntry,
    BusEntry,
    Catalog,
    CommandEntry,
    ComponentEntry,
    ContextEntry,
    EventEntry,
    FieldEntry,
    FlowEntry,
    FunctionEntry,
    MessageEntry,
    ProjectionEntry,
    ReactionEntry,
    StateEntry,
)
from modd.catalog.parts import describe_parts
from modd.texts import encodable

SPECIAL = re.compile(r"[\\`*_{}\[\]()#|]")
"""Characters with a meaning in Markdown that a backslash takes away."""


BEGINNING = re.compile(r"^(\d*)([-+=.])")
"""The beginning of a line that would be an item of a list or the underline of a title."""


ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "~": "&#126;", "$": "&#36;"}
"""Characters that some kinds of Markdown do not let a backslash escape."""


def catalog(*parts: Any) -> str:
    """Return the catalog of a program as Markdown with diagrams in Mermaid: the text of ``python -m modd catalog``.

    parts: a `Bus`, a `modd.cqrs.TypedBus`, a `modd.aggregate.Aggregate`, a `modd.flow.Flow`, a
        `modd.projection.Projection`, a `modd.follower.Follower`, or lists of these.

    Raises:
        InvalidOption: one is none of these, or there is none.
    """
    return render_markdown(describe_parts(*parts))


def render_markdown(catalog: Catalog) -> str:
    """Return a catalog as Markdown."""
    blocks = ["# Catalog", _fenced(draw_overview(catalog))]
    for context in catalog.contexts:
        blocks += _context(context)
    return encodable("\n\n".join(blocks) + "\n")


def code(text: str) -> str:
    """Return a text as code, in one line."""
    line = " ".join(text.split()) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    return f"{fence} {line} {fence}" if "`" in line else f"{fence}{line}{fence}"


def prose(text: str) -> str:
    """Return a text in which nothing has a meaning in Markdown, in one line."""
    line = BEGINNING.sub(r"\1\\\2", SPECIAL.sub(r"\\\g<0>", " ".join(text.split())))
    return "".join(ENTITIES.get(char, char) for char in line)


def _context(context: ContextEntry) -> Iterator[str]:
    yield f"## {context.kind.capitalize()} {code(context.name)}" if context.name else "## Parts in no context"
    crossing = (("Takes", context.takes), ("Lets out", context.lets_out))
    yield from (f"{verb} {_names(names)}." for verb, names in crossing if names)
    for aggregate in context.aggregates:
        yield from _aggregate(aggregate)
    for bus in context.buses:
        yield from _bus(bus)
    for flow in context.flows:
        yield from _flow(flow)
    for projection in context.projections:
        yield from _projection(projection)
    if context.components:
        yield "### Components"
        yield _bullets(map(_component, context.components))


def _aggregate(aggregate: AggregateEntry) -> Iterator[str]:
    yield f"### Aggregate {code(aggregate.name)}"
    identity = aggregate.identity
    boundary = "It decides on the events of a query."
    yield boundary if identity is None else f"There is one for each value of {code(identity)}."
    yield _fenced(draw_aggregate(aggregate))
    yield from _state(aggregate.state)
    yield from _middleware(aggregate.middleware)
    if aggregate.inline:
        yield f"Writes {_names(aggregate.inline)} in the commit of its events."
    for command in aggregate.commands:
        yield from _command(command)
    for event in aggregate.events:
        yield from _event(event)


def _command(command: CommandEntry) -> Iterator[str]:
    yield from _message(command.message)
    yield "Its chain:"
    yield "\n".join(f"{at}. {_function(each)}" for at, each in enumerate(command.chain, 1))
    if command.records:
        yield f"Records {_names(command.records)}."


def _event(event: EventEntry) -> Iterator[str]:
    yield from _message(event.message)
    yield f"Applied by {_function(event.function)}"
    if len(event.versions) > 1:
        yield f"Versions {event.versions[0]} to {event.versions[-1]} can be read."


def _bus(bus: BusEntry) -> Iterator[str]:
    yield f"### Typed bus {code(bus.name)}"
    yield from _middleware(bus.middleware)
    if bus.emits:
        yield f"Emits {_names(bus.emits)}."
    for handled in bus.messages:
        yield from _message(handled.message)
        yield "Handled by:"
        yield _bullets(map(_function, handled.handlers))


def _flow(flow: FlowEntry) -> Iterator[str]:
    yield f"### Flow {code(flow.name)}{_version(flow.version)}"
    yield f"There is one for each value of {code(flow.identity)} in its events."
    yield _fenced(draw_flow(flow))
    yield from _state(flow.state)
    for title, reactions in (("Begins with", flow.begins), ("Reacts to", flow.reacts), ("Timeouts", flow.timeouts)):
        yield from _reactions(title, reactions)


def _projection(projection: ProjectionEntry) -> Iterator[str]:
    yield f"### Projection {code(projection.name)}{_version(projection.version)}"
    if projection.state is not None:
        yield f"There is a state for each value of {code(projection.key or '')} in its events."
        yield from _state(projection.state)
    if projection.tables:
        yield "Tables:"
        yield _bullets(f"{code(name)}: {code(columns)}" for name, columns in projection.tables.items())
    yield from _reactions("Made from", projection.events)


def _reactions(title: str, reactions: Iterable[ReactionEntry]) -> Iterator[str]:
    lines = [f"{code(each.on)}: {_function(each.function)}{_sends(each)}" for each in reactions]
    if lines:
        yield f"{title}:"
        yield _bullets(lines)


def _sends(reaction: ReactionEntry) -> str:
    return f" (sends {_names(reaction.sends)})" if reaction.sends else ""


def _state(state: StateEntry) -> Iterator[str]:
    yield f"State {code(state.type)}{_about(state.doc)}"
    yield from _fields(state.fields, is_state=True)


def _version(version: int) -> str:
    return f", version {version}" if version > 1 else ""


def _message(message: MessageEntry) -> Iterator[str]:
    yield f"#### {message.kind.capitalize()} {code(message.name)}{_version(message.version)}"
    if message.doc:
        yield prose(message.doc)
    yield from _fields(message.fields)
    if message.result is not None:
        yield f"Its result: {code(message.result)}"


def _fields(fields: Iterable[FieldEntry], *, is_state: bool = False) -> Iterator[str]:
    """Yield a list of fields; those of a state all have a value from the beginning."""
    lines = [f"{code(each.name)}: {code(each.type)}{_marks(each, is_state=is_state)}" for each in fields]
    if lines:
        yield _bullets(lines)


def _marks(field: FieldEntry, *, is_state: bool) -> str:
    optional = "" if field.required or is_state else ", optional"
    return f"{optional}{', **sensitive**' if field.sensitive else ''}"


def _middleware(middleware: Iterable[FunctionEntry]) -> Iterator[str]:
    lines = [*map(_function, middleware)]
    if lines:
        yield "Middleware, the first one outermost:"
        yield _bullets(lines)


def _component(component: ComponentEntry) -> str:
    accepts = "everything" if component.everything else _names(component.accepts)
    returns = f", returns {_names(component.returns)}" if component.returns else ""
    return f"{_function(component.function)} (takes {accepts}{returns})"


def _function(function: FunctionEntry) -> str:
    return f"{code(function.name)}{_about(function.doc)}"


def _about(doc: str) -> str:
    return f": {prose(doc)}" if doc else ""


def _names(names: Iterable[str]) -> str:
    return ", ".join(map(code, names)) or "nothing"


def _bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _fenced(diagram: str) -> str:
    return f"```mermaid\n{diagram}\n```"
