"""Authorizer lets only permitted messages through."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from inspect import isawaitable
from typing import Any, ClassVar, TypeAlias, TypedDict

from modd.checks import checked_callable
from modd.core import Message, name_of
from modd.cqrs.chain import Next
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Forbidden
from modd.cqrs.stamps import Actor
from modd.errors import InvalidOption
from modd.middleware.options import MiddlewareWithOptions

AccessRule: TypeAlias = Callable[[Actor | None, Any], bool | Awaitable[bool]]
"""Takes the actor and the intent, and returns True to allow it; sync or async."""


class _AuthorizerOptions(TypedDict, total=False):
    rule: AccessRule


class Authorizer(MiddlewareWithOptions):
    """Lets a message through only if the rule for its type allows it; a type without a rule is denied.

    Add it outermost, before all middleware that stores results or queues messages:
    ``Authorizer({GetUser: authenticated, RemoveUser: has_role("admin"), Query: anyone})``. The actor is the last
    `Actor` stamp. Events that a message causes carry the same stamp, so the rules hold for reactions too.

    rules: by message type, a function ``(actor, intent) -> bool``, sync or async; the actor is None if the envelope has
        no `Actor` stamp. For a derived type the rule of its nearest base counts. Only ``True`` allows. An error of a
        rule ends the dispatch. Ready rules: `anyone`, `authenticated`, `has_role`.

    Raises:
        InvalidOption: a rule is no function.
        NoHandler: when the bus is checked, if it handles no type of a rule.
        Forbidden: while dispatching, if the rule denies the message, or there is no rule.
    """

    role: ClassVar[str] = "authorizer"
    """Its name in the rules of order: outside of middleware that stores results or queues messages."""

    def __init__(self, rules: Mapping[type[Message], AccessRule]) -> None:
        if not isinstance(rules, Mapping):
            raise InvalidOption("Authorizer(rules)", rules, "give a mapping from message type to rule")
        super().__init__(_AuthorizerOptions, {}, {kind: {"rule": rule} for kind, rule in rules.items()}, _check)

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Call the next link if the rule allows it; raise `Forbidden` otherwise."""
        kind, actor = type(envelope.message), envelope.last(Actor)
        actor_id = None if actor is None else actor.id
        rule = self._options.of(kind).get("rule")
        if rule is None:
            raise Forbidden(kind, actor_id, "there is no rule for it")
        allowed = rule(actor, envelope.message)
        if isawaitable(allowed):
            allowed = await allowed
        if allowed is not True:
            returned = "False" if allowed is False else "neither True nor False"
            raise Forbidden(kind, actor_id, f"its rule {name_of(rule)} returned {returned}")
        await call_next(envelope)


def anyone(actor: Actor | None, intent: object) -> bool:
    """Allow every sender, with or without an actor."""
    return True


def authenticated(actor: Actor | None, intent: object) -> bool:
    """Allow every sender with an actor."""
    return actor is not None


def has_role(*roles: str) -> AccessRule:
    """Return a rule that allows actors with at least one of these roles. Raises `InvalidOption`."""
    if not roles or not all(isinstance(role, str) and role for role in roles):
        raise InvalidOption("has_role", roles, 'give the names of one or more roles: has_role("admin")')

    def rule(actor: Actor | None, intent: object) -> bool:
        return actor is not None and not set(roles).isdisjoint(actor.roles)

    rule.__qualname__ = f"has_role({', '.join(map(repr, roles))})"
    return rule


def _check(options: _AuthorizerOptions) -> None:
    checked_callable("rule", options.get("rule", anyone), "give a function (actor, intent) -> bool, sync or async")
