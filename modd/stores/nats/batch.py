"""The messages of a commit: each carries one condition; those that find no place get a message of their own."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from modd.stores.nats.errors import WrongSequence
from modd.stores.nats.record import Guard, Write

SCRATCH_SECONDS = 60.0
"""Seconds after which the server removes a message that only carries a condition."""


def plan_messages(writes: Sequence[Write], guards: Iterable[Guard], scratch: str) -> list[Write]:
    """Return the messages of a commit: first those that only carry a condition, then the writes in their order.

    The server compares all conditions with the state before the batch. It refuses a condition on a subject that an
    earlier message of the batch has written, so that such a condition is carried by the first write of its subject.

    scratch: the subject for messages that only carry a condition, each with a number at its end.

    Raises `WrongSequence` for two conditions that cannot hold together.
    """
    guards = [*guards]
    if len(writes) == 1 and not guards:  # a message of most queues: a tenth of the time of its commit
        return [*writes]
    left = _remaining(writes, guards)
    messages = list(writes)
    first_writes: dict[str, int] = {}
    for place, write in enumerate(writes):
        first_writes.setdefault(write.subject, place)
    _let_own_subjects_carry(messages, left, first_writes)
    _let_any_carry(messages, left)
    carriers = [
        Write(f"{scratch}.{number}", {}, ttl=SCRATCH_SECONDS, expected=sequence, expected_of=filter)
        for number, (filter, sequence) in enumerate(left.items())
    ]
    return carriers + messages


def _remaining(writes: Sequence[Write], guards: Iterable[Guard]) -> dict[str, int]:
    """Return the conditions that no write carries."""
    carried: dict[str, int] = {}
    for write in writes:
        if write.guard is not None:
            _note(carried, write.guard)
    left = dict(carried)
    for guard in guards:
        _note(left, guard)
    return {filter: sequence for filter, sequence in left.items() if filter not in carried}


def _note(conditions: dict[str, int], guard: Guard) -> None:
    if conditions.setdefault(guard.filter, guard.sequence) != guard.sequence:
        raise WrongSequence


def _let_own_subjects_carry(messages: list[Write], left: dict[str, int], first_writes: dict[str, int]) -> None:
    for filter in [filter for filter in left if filter in first_writes]:
        place = first_writes[filter]
        if messages[place].guard is None:
            messages[place] = messages[place].with_guard(Guard(filter, left.pop(filter)))


def _let_any_carry(messages: list[Write], left: dict[str, int]) -> None:
    subjects = {message.subject for message in messages}
    for place, message in enumerate(messages):
        free = next((filter for filter in left if filter not in subjects), None)
        if free is None:
            return
        if message.guard is None:
            messages[place] = message.with_guard(Guard(free, left.pop(free)))
