"""Queries for events by their tags and types."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any, NamedTuple

from modd.checks import checked_text
from modd.errors import InvalidOption
from modd.ports.items import Item, checked_tags

TYPE_HEADER = "type"
"""The header of an event that has its type: the name of the message type on the wire."""


MOST_NAMES = 50
"""Most tags, and most types, of one `Tagged`; implementations may have to pass all of them to a database at once."""


class Alternative(NamedTuple):
    """One alternative of a query: an event matches with all of the tags and, if there are types, one of the types.

    tags: texts, at least one, each once.
    types: names of types; an empty tuple for any type.
    """

    tags: tuple[str, ...]
    types: tuple[str, ...]

    def matches(self, tags: Collection[str], type: str | None) -> bool:
        """True if an event with these tags and this type matches."""
        return all(tag in tags for tag in self.tags) and (not self.types or type in self.types)


class Tagged:
    """A query for events that have all of the tags and, if types are given, one of the types.

    ``a | b`` is a query for events that match one of two queries. Example: the events of a course, and of all that a
    student has done only the subscriptions::

        Tagged("course:7") | Tagged("student:3", types=[Subscribed])

    An event gets its tags from `Item.tags`, and its type from the header ``type`` of the item, which a query compares
    as a text: a derived type does not count. To find all events of a type, give these events a tag for it.

    tags: texts that are not empty, 1 to 50.
    types: message types, or their names on the wire, up to 50; none, the default, for any type.

    Attributes:
        alternatives: the queries that are joined by ``|``, each as its `Alternative`.

    Raises:
        InvalidOption: there is no tag, a tag is no text, a type is neither a message type nor a text, or there are too
            many.
    """

    __slots__ = ("alternatives",)

    alternatives: tuple[Alternative, ...]

    def __init__(self, *tags: str, types: Iterable[str | type] = ()) -> None:
        if not 1 <= len(tags) <= MOST_NAMES:
            raise InvalidOption(
                "tags", tags, f"give 1 to {MOST_NAMES} tags; a query without tags would find all events"
            )
        names = _checked_types(types)
        self.alternatives = (Alternative(tuple(dict.fromkeys(checked_tags("tags", tags))), names),)

    def __or__(self, other: Tagged) -> Tagged:
        if not isinstance(other, Tagged):
            return NotImplemented
        joined = object.__new__(Tagged)
        joined.alternatives = tuple(dict.fromkeys((*self.alternatives, *other.alternatives)))
        return joined

    def matches(self, item: Item) -> bool:
        """True if the item, as an event, matches."""
        type = item.headers.get(TYPE_HEADER)
        return any(alternative.matches(item.tags, type) for alternative in self.alternatives)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tagged) and other.alternatives == self.alternatives

    def __hash__(self) -> int:
        return hash(self.alternatives)

    def __repr__(self) -> str:
        return " | ".join(map(_shown, self.alternatives))


def checked_query(query: Any) -> Tagged:
    """Return a query. Raises `InvalidOption`."""
    if not isinstance(query, Tagged):
        raise InvalidOption("query", query, 'give a query such as Tagged("course:7")')
    return query


def _checked_types(types: Any) -> tuple[str, ...]:
    cure = f"give a list of message types or of their names on the wire, at most {MOST_NAMES}"
    if isinstance(types, (str, bytes, type)) or not isinstance(types, Iterable):
        raise InvalidOption("types", types, cure)
    names = tuple(dict.fromkeys(_type_name(each, cure) for each in types))
    if len(names) > MOST_NAMES:
        raise InvalidOption("types", names, cure)
    return names


def _type_name(value: Any, cure: str) -> str:
    """Return the name on the wire; ports know message types by nothing else."""
    config = getattr(value, "__struct_config__", None) if isinstance(value, type) else None
    return checked_text("types", value if config is None else config.tag, cure)


def _shown(alternative: Alternative) -> str:
    types = [f"types={list(alternative.types)}"] if alternative.types else []
    return f"Tagged({', '.join([*map(repr, alternative.tags), *types])})"
