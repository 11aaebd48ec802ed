"""Explanations: the reasons for which a command would be rejected now."""

from __future__ import annotations

from typing import Any

import msgspec

from modd.aggregate.chain import Chain
from modd.aggregate.instance import Instance
from modd.core import Message
from modd.cqrs.envelope import Envelope


class Explanation(msgspec.Struct, frozen=True):
    """The answer to the question if a command would be accepted now, as `Aggregate.explain` returns it.

    reasons: the reasons of all rejections, in the order of the chain; none if it would be accepted.
    functions: the names of the functions that reject, one for each reason.
    events: the events that would be recorded; none if it would be rejected.

    It counts as true if the command would be accepted.
    """

    reasons: tuple[str, ...] = ()
    functions: tuple[str, ...] = ()
    events: tuple[Message, ...] = ()

    @property
    def allowed(self) -> bool:
        """True if the command would be accepted."""
        return not self.reasons

    def __bool__(self) -> bool:
        return self.allowed


async def explain(chain: Chain, instance: Instance[Any], envelope: Envelope[Any]) -> Explanation:
    """Run all checks of a chain, and the command itself if they pass.

    An error of a check is raised, unless a check before has rejected: those behind may rely on it.
    """
    found: list[tuple[str, str]] = []
    try:
        for step in chain.steps:
            if step is chain.steps[-1] and found:
                break
            try:
                decision = await chain.decide(instance, envelope, [step])
            except Exception:
                if not found:
                    raise
            else:
                rejection: Any = decision.rejection
                found += [] if rejection is None else [(rejection.reason, step.name)]
    finally:
        instance.close()
    if found:
        return Explanation(tuple(reason for reason, _ in found), tuple(name for _, name in found))
    return Explanation(events=tuple(instance.published))
