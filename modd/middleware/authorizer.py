"""Authorizer: who may do what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, ClassVar, TypeAlias, TypedDict

from modd.core import Message, name_of
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Forbidden
from modd.cqrs.stamps import Actor
from modd.errors import InvalidOption
from modd.middleware.options import Options

Rule: TypeAlias = Callable[[Actor | None, Any], bool | Awaitable[bool]]
"""Says whether an actor may do what an intent asks for; sync or async."""


class _AuthorizerOptions(TypedDict, total=False):
    rule: Rule


class Authorizer:
    """Lets a message through only if the rule for its type allows it; what has no rule is denied.

    Give it outermost, before everything that keeps results or queues:
    ``Authorizer({GetUser: authenticated, RemoveUser: has_role("admin"), Query: anyone})``. The actor is the last
    `Actor` stamp; it is passed on to all that a message causes, so reactions are held to the rules, too.

    rules: by type, ``(actor, intent) -> bool``, sync or async; the actor is None if nobody is known. For derived types
    the nearest base counts. Only ``True`` allows. What a rule raises comes out of the dispatch, which is then not done.
    Ready ones: `anyone`, `authenticated`, `has_role`.

    Raises `InvalidOption` for what is no rule, `NoHandler` when the bus is checked, and `Forbidden`.
    """

    role: ClassVar[str] = "authorizer"
    """What it is for in the rules of order: never inside of what keeps results or queues."""

    def __init__(self, rules: Mapping[type[Message], Rule]) -> None:
        if not isinstance(rules, Mapping):
            raise InvalidOption("Authorizer(rules)", rules, "give a mapping from message type to rule")
        by_type: dict[type[Message], _AuthorizerOptions] = {kind: {"rule": rule} for kind, rule in rules.items()}
        self._options = Options("Authorizer", _AuthorizerOptions, {}, by_type, _check)

    def check(self, bus: Any) -> None:
        """Raise `NoHandler` for a rule of a type that the bus does not handle."""
        self._options.check_types(bus)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Go on if that is allowed; raise `Forbidden` otherwise."""
        kind, actor = type(envelope.message), envelope.last(Actor)
        who = None if actor is None else actor.id
        rule = self._options.of(kind).get("rule")
        if rule is None:
            raise Forbidden(kind, who, "there is no rule for it")
        allowed = rule(actor, envelope.message)
        if isawaitable(allowed):
            allowed = await allowed
        if allowed is not True:
            gave = "False" if allowed is False else "neither True nor False"
            raise Forbidden(kind, who, f"its rule {name_of(rule)} gave {gave}")
        await call_next(envelope)


def anyone(actor: Actor | None, intent: object) -> bool:
    """A rule that allows it to all, known or not."""
    return True


def authenticated(actor: Actor | None, intent: object) -> bool:
    """A rule that allows it to every known actor."""
    return actor is not None


def has_role(*roles: str) -> Rule:
    """A rule that allows it to actors with at least one of these roles. Raises `InvalidOption`."""
    if not roles or not all(isinstance(role, str) and role for role in roles):
        raise InvalidOption("has_role", roles, 'give the names of one or more roles: has_role("admin")')

    def rule(actor: Actor | None, intent: object) -> bool:
        return actor is not None and not set(roles).isdisjoint(actor.roles)

    rule.__qualname__ = f"has_role({', '.join(map(repr, roles))})"
    return rule


def _check(options: _AuthorizerOptions) -> None:
    if not callable(options.get("rule", anyone)):
        raise InvalidOption("rule", options.get("rule"), "give a function (actor, intent) -> bool, sync or async")
