"""The catalog of a program: its contexts, aggregates, messages, handlers, flows and projections.

`catalog` returns Markdown; `describe_parts` returns the same as plain data, of which ``msgspec.json.encode`` makes
JSON. Read `entries` first.
"""

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
    HandledEntry,
    MessageEntry,
    ProjectionEntry,
    ReactionEntry,
    StateEntry,
)
from modd.catalog.markdown import catalog
from modd.catalog.parts import describe_parts

__all__ = [
    "AggregateEntry",
    "BusEntry",
    "Catalog",
    "CommandEntry",
    "ComponentEntry",
    "ContextEntry",
    "EventEntry",
    "FieldEntry",
    "FlowEntry",
    "FunctionEntry",
    "HandledEntry",
    "MessageEntry",
    "ProjectionEntry",
    "ReactionEntry",
    "StateEntry",
    "catalog",
    "describe_parts",
]
