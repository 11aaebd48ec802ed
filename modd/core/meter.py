"""Counting the messages of turns (MO-8, MO-9)."""

from __future__ import annotations

BEAT = 256
"""Messages of a bus between two checkpoints."""


class Meter:
    """Counts the messages of an outermost turn and all within it; an exclusive bus keeps one for all its turns."""

    __slots__ = ("beat", "horizon", "room")

    def __init__(self, room: int = BEAT, horizon: int = BEAT, beat: int = BEAT) -> None:
        self.room = room
        """How many messages may come before a turn has to `look`."""
        self.horizon = horizon
        """The count at which that is."""
        self.beat = beat
        """The count at which to let others run again."""

    @property
    def count(self) -> int:
        """The messages so far, those still queued included."""
        return self.horizon - self.room

    def copy(self) -> Meter:
        """A meter that goes on from here, for a turn that overlaps with others."""
        return Meter(self.room, self.horizon, self.beat)
