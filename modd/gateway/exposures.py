"""Exposures: the types of message that clients can send, ask and hear."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from inspect import iscoroutinefunction
from typing import Any, Literal, TypeAlias

from modd.checks import checked_callable, checked_subclasses, checked_text
from modd.core import Message, wire_name
from modd.cqrs import Actor
from modd.errors import InvalidOption

Rule: TypeAlias = Callable[[Any, Any], Any]
"""A function, sync or async, of the actor and of the message or channel: true if the actor may."""

_NAME = re.compile(r"[a-z0-9-]{1,64}")
_NEXT_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_OTHER = re.compile(r"[^a-z0-9]+")
_LINE_BREAKS = re.compile(r"[^\x20-\x7e]")


class Everybody:
    """The rule that allows everything to everybody, without asking for an actor."""

    def __call__(self, actor: Actor | None, subject: Any) -> bool:
        """Return True."""
        return True

    def __repr__(self) -> str:
        return "EVERYBODY"


EVERYBODY = Everybody()
"""The rule for what is public: ``answer(Prices, allow=EVERYBODY)``. No actor is needed."""


def role(*roles: str) -> Rule:
    """Return a rule that allows an actor who has one of these roles: ``accept(PlaceOrder, allow=role("customer"))``.

    Raises:
        InvalidOption: no role is given, or one is no text.
    """
    if not roles:
        raise InvalidOption("role", roles, "name at least one role")
    names = frozenset(checked_text("role", each) for each in roles)

    def has_role(actor: Actor | None, subject: Any) -> bool:
        return actor is not None and not names.isdisjoint(actor.roles)

    return has_role


@dataclass(frozen=True)
class Exposure:
    """A type of command or query that clients may send.

    way: "commands" or "queries", the first part of its path.
    kind: the type.
    name: its name in the path.
    allow: its rule; None if any known actor may send it.
    cache: the value of ``Cache-Control`` in a response.
    """

    way: Literal["commands", "queries"]
    kind: type[Message]
    name: str
    allow: Rule | None
    cache: str = "no-store"

    @property
    def is_public(self) -> bool:
        """True if no actor is needed."""
        return self.allow is EVERYBODY

    @property
    def label(self) -> str:
        """The words for it in errors."""
        return f"{'accept' if self.way == 'commands' else 'answer'}({self.kind.__qualname__})"


@dataclass(frozen=True)
class Forward:
    """Types of message that clients may hear in channels.

    types: the types. to: a function from a message to its channel, several channels, or None for none.
    allow: the rule for an actor and a channel; None if any known actor may hear each channel.
    """

    types: tuple[type[Message], ...]
    to: Callable[[Any], str | Iterable[str] | None]
    allow: Rule | None

    @cached_property
    def names(self) -> dict[type[Message], str]:
        """The names of the types, as clients know them."""
        return {kind: kebab_case(wire_name(kind)) for kind in self.types}

    @property
    def is_public(self) -> bool:
        """True if no actor is needed."""
        return self.allow is EVERYBODY

    @property
    def label(self) -> str:
        """The words for it in errors."""
        return f"forward({', '.join(kind.__qualname__ for kind in self.types)})"


def accept(kind: type[Message], *, allow: Rule | None = None, name: str | None = None) -> Exposure:
    """Return the exposure of a type of command: ``POST /commands/NAME``.

    kind: the type.
    allow: a function, sync or async, of the actor and the command; if it returns False, the response is a 403. By
        default, each actor that the gateway's ``who`` knows may send it. `EVERYBODY` for a public command.
    name: the name in the path, of ``a`` to ``z``, ``0`` to ``9`` and ``-``; by default the name on the wire in this
        form: ``place-order`` for ``PlaceOrder``.

    Raises:
        InvalidOption: an option has a value that cannot work.
    """
    return _exposure("commands", kind, allow, name, "no-store")


def answer(
    kind: type[Message], *, allow: Rule | None = None, name: str | None = None, cache: str = "no-store"
) -> Exposure:
    """Return the exposure of a type of query: ``GET`` or ``POST /queries/NAME``.

    kind: the type.
    allow: a function, sync or async, of the actor and the query; as for `accept`.
    name: the name in the path; as for `accept`.
    cache: the header ``Cache-Control`` of the responses, such as ``"private, max-age=60"``; by default "no-store".

    Raises:
        InvalidOption: an option has a value that cannot work.
    """
    if _LINE_BREAKS.search(checked_text("cache", cache)) or not cache:
        raise InvalidOption("cache", cache, 'give the value of Cache-Control, such as "private, max-age=60"')
    return _exposure("queries", kind, allow, name, cache)


def forward(
    *types: type[Message], to: Callable[[Any], str | Iterable[str] | None], allow: Rule | None = None
) -> Forward:
    """Return the exposure of types of message that clients hear when they are put into the gateway's feed.

    types: the types.
    to: a function from a message to the channel for it, to several channels, or to None if no client is to hear it.
    allow: a function, sync or async, of the actor and a channel; asked for each subscription. By default, each actor
        that the gateway's ``who`` knows may hear each channel. `EVERYBODY` for public channels.

    Raises:
        InvalidOption: an option has a value that cannot work.
    """
    kinds = checked_subclasses("types", types, Message, least=1, unique=True)
    checked_callable("to", to, "give a function from a message to its channel", arguments=1)
    if iscoroutinefunction(to):
        raise InvalidOption("to", to, "give a function that is not async; it is called once for each event")
    for kind in kinds:
        if kind.__module__.startswith("modd."):
            raise InvalidOption("types", kind, "name the types that clients are to hear; a base class forwards none")
        _checked_name(kebab_case(wire_name(kind)))
    return Forward(kinds, to, _checked_rule(allow))


def kebab_case(name: str) -> str:
    """Return a name on the wire as it is in paths: ``place-order`` for ``PlaceOrder``."""
    return _OTHER.sub("-", _NEXT_WORD.sub("-", name).lower()).strip("-")


def _exposure(
    way: Literal["commands", "queries"], kind: Any, allow: Rule | None, name: str | None, cache: str
) -> Exposure:
    if not (isinstance(kind, type) and issubclass(kind, Message)):
        raise InvalidOption("kind", kind, "give one type of message, such as PlaceOrder")
    path = kebab_case(wire_name(kind)) if name is None else name
    return Exposure(way, kind, _checked_name(path), _checked_rule(allow), cache)


def _checked_name(name: Any) -> str:
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InvalidOption("name", name, "give 1 to 64 of the characters a to z, 0 to 9 and -")
    return name


def _checked_rule(allow: Any) -> Rule | None:
    if allow is role:
        raise InvalidOption("allow", allow, 'call it with the roles: allow=role("customer")')
    if allow is not None:
        checked_callable("allow", allow, "give a function of the actor and the message, or EVERYBODY", arguments=2)
    return allow  # type: ignore[no-any-return]
