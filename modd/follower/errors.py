"""The errors of followers."""

from __future__ import annotations

from collections.abc import Iterable

from modd.errors import ModdError


class PartStopped(ModdError, RuntimeError):
    """A part of a follower stands before an event that it cannot do, or cannot be opened, so it cannot catch up.

    part: the name of the flow or the projection.
    position: that of the event; 0 for a part that cannot be opened, such as one whose tables cannot be made.
    reason: type and text of the error.

    Mend the functions of the part, or pass over the event: ``await follower.skip(part, position=position)``.
    """

    def __init__(self, part: str, position: int, reason: str) -> None:
        self.part, self.position, self.reason = part, position, reason
        stands = (
            f"{part} stands before event {position}, which it cannot do: {reason}; mend its functions, or pass over "
            f"the event: follower.skip({part}, position={position})"
        )
        super().__init__(stands if position else f"{part} cannot be opened: {reason}; mend what the error tells")


class NotStuck(ModdError, LookupError):
    """An instance of a flow, or an event of a part, was to be resumed or skipped, and is not set aside.

    part: the name of the flow or the projection.
    subject: the words for the instance or the event.
    stuck: the keys of the instances that are set aside.
    """

    def __init__(self, part: str, subject: str, stuck: Iterable[str] = ()) -> None:
        self.part, self.subject, self.stuck = part, subject, tuple(stuck)
        known = f"; these are: {', '.join(map(repr, self.stuck))}" if self.stuck else ""
        super().__init__(f"{subject} of {part} is not set aside{known}")


class UnknownPart(ModdError, LookupError):
    """A follower was asked about a part that it does not have.

    part: the name of the part. parts: the names of the parts that it has.
    """

    def __init__(self, part: str, parts: Iterable[str]) -> None:
        self.part, self.parts = part, tuple(parts)
        super().__init__(f"this follower has no part {part!r}; its parts: {', '.join(self.parts)}")
