"""Ready-made checks for chains: ``commands={Pay: [only.if_exists(), only.if_in_phase("open"), pay]}``."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from inspect import isawaitable
from typing import Any, TypeAlias, TypeVar

from modd.aggregate.instance import Instance
from modd.aggregate.options import field_reader
from modd.aggregate.rejected import Rejected
from modd.checks import checked_flag, checked_methods, checked_text
from modd.core import Message
from modd.cqrs.envelope import Envelope
from modd.cqrs.stamps import Tenant
from modd.errors import InvalidOption
from modd.middleware.content_check import Check, compile_check

S = TypeVar("S")


ReadyCheck: TypeAlias = Callable[[Instance[S], Any], Any]
"""A check for the chain of any command and any state."""


def if_exists() -> ReadyCheck[S]:
    """Reject a command for an instance that does not exist: "Peer group does not exist."."""

    @_named("if_exists", "Reject a command for an instance that does not exist.")
    def check(instance: Instance[Any], command: Message) -> Rejected | None:
        return None if instance.exists() else Rejected(f"{humanise(instance.aggregate)} does not exist.")

    return check


def if_not_exists() -> ReadyCheck[S]:
    """Reject a command for an instance that exists: "Peer group already exists."."""

    @_named("if_not_exists", "Reject a command for an instance that exists.")
    def check(instance: Instance[Any], command: Message) -> Rejected | None:
        return Rejected(f"{humanise(instance.aggregate)} already exists.") if instance.exists() else None

    return check


def if_validated_by(schema: Any) -> ReadyCheck[S]:
    """Reject a command whose data is not valid: "Data is invalid." or, for a part of it, "Pets/1 is invalid.".

    schema: a JSON schema as a mapping (needs ``modd[jsonschema]``), a type for msgspec, or a predicate of the command.
    Raises `InvalidOption` for None and anything else.
    """
    find = _compile("if_validated_by", schema)

    @_named("if_validated_by", "Reject a command whose data is not valid.")
    async def check(instance: Instance[Any], command: Message) -> Rejected | None:
        return await _rejection(find, command)

    return check


def if_state_validated_by(schema: Any) -> ReadyCheck[S]:
    """Reject a command if the state of the instance is not valid. schema: as for `if_validated_by`, of the state."""
    find = _compile("if_state_validated_by", schema)

    @_named("if_state_validated_by", "Reject a command if the state of the instance is not valid.")
    async def check(instance: Instance[Any], command: Message) -> Rejected | None:
        return await _rejection(find, instance.state)

    return check


def if_in_phase(phases: str | Collection[str], property: str = "phase") -> ReadyCheck[S]:
    """Reject a command unless the instance is in one of some phases: "Invalid phase.".

    phases: the name of a phase, or several. property: the field of the state with the phase; "phase" by default.
    """
    allowed = {phases} if isinstance(phases, str) else {*_checked_phases(phases)}
    checked_text("property", property, "give the name of a field of the state")

    @_named("if_in_phase", f"Reject a command unless the {property} is {' or '.join(sorted(allowed))}.")
    def check(instance: Instance[Any], command: Message) -> Rejected | None:
        return None if getattr(instance.state, property) in allowed else Rejected("Invalid phase.")

    return check


def if_aggregate_exists(aggregate: Any, identity: str | Callable[[Any], Any], optional: bool = False) -> ReadyCheck[S]:
    """Reject a command unless an instance of another aggregate exists: "Customer does not exist.".

    aggregate: an `Aggregate`. identity: the field of the command with its identity, or a function of the command.
    optional: True to let a command without an identity (None) pass; False by default.
    """
    checked_methods("aggregate", aggregate, ["get"], "give a modd.aggregate.Aggregate")
    checked_flag("optional", optional)
    find = field_reader("identity", identity, (), "command", "each command")

    @_named("if_aggregate_exists", f"Reject a command unless an instance of {aggregate.name} exists.")
    async def check(instance: Instance[Any], command: Message, envelope: Envelope) -> Rejected | None:
        id = find(command)
        if id is None and optional:
            return None
        tenant = envelope.last(Tenant)
        other = None if id is None else await aggregate.get(id, tenant=None if tenant is None else tenant.id)
        exists = other is not None and other.exists()
        return None if exists else Rejected(f"{humanise(aggregate.name)} does not exist.")

    return check


READY = (if_exists, if_not_exists, if_validated_by, if_state_validated_by, if_in_phase, if_aggregate_exists)
"""The functions that return checks, which are no checks themselves."""


def humanise(name: str) -> str:
    """Return a name as people write it: "peerGroup", "peer-group" and "peer_group" as "Peer group"."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|[-_]+", " ", name).strip().lower()
    return words[:1].upper() + words[1:]


def _named(name: str, doc: str) -> Callable[[Callable[..., Any]], ReadyCheck[Any]]:
    """Return a decorator that names a check as it is made, for explanations and errors, and documents it."""

    def rename(check: Callable[..., Any]) -> ReadyCheck[Any]:
        check.__qualname__, check.__doc__ = name, doc
        return check

    return rename


async def _rejection(check: Check, value: Any) -> Rejected | None:
    misfits = check(value, "$")
    if isawaitable(misfits):
        misfits = await misfits
    return Rejected(f"{_subject(misfits[0][0])} is invalid.") if misfits else None


def _subject(path: str) -> str:
    """Return the words for a path: ``$.pets[1]`` as "Pets/1", the whole as "Data"."""
    first, *rest = re.findall(r"[^.\[\]]+", path.removeprefix("$")) or ["data"]
    return "/".join([humanise(first), *rest])


def _compile(option: str, schema: Any) -> Check:
    if schema is None:
        raise InvalidOption(option, schema, "give a JSON schema as a mapping, a type for msgspec, or a predicate")
    return compile_check(option, schema, f"only.{option}")


def _checked_phases(phases: Any) -> Collection[str]:
    if not isinstance(phases, Collection) or not phases or not all(isinstance(each, str) for each in phases):
        raise InvalidOption("phases", phases, 'give the name of a phase, or a list such as ["open", "sent"]')
    return phases
