"""What has been noted on an envelope (MI-8)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from modd.cqrs.stamps import Emitted, Handled, Stamp
from modd.errors import InvalidOption
from modd.origin import Origin

S = TypeVar("S", bound=Stamp)


class Stamped(Origin):
    """Something with stamps, in the order in which they were added."""

    __slots__ = ("_at", "_done", "_noted")

    _noted: list[Stamp]
    _done: tuple[Any, str, float] | None
    """The last stamp, as long as nobody has read it: result, handler and time of a `Handled`."""
    _at: float | None

    @property
    def _stamps(self) -> list[Stamp]:
        if self._done is not None:
            result, handler, at = self._done
            self._at = at if self._at is None else self._at
            self._done = None
            self._noted.append(Handled(result, handler, at=at))
        return self._noted

    @property
    def noted(self) -> Sequence[Stamp]:
        """All stamps but the last if that is a `Handled` that nobody has read: it is not made for this."""
        return self._noted

    def add(self, stamp: Stamp) -> None:
        """Note something."""
        self._stamps.extend(checked_stamps((stamp,)))

    def first(self, kind: type[S]) -> S | None:
        """The first stamp of a type, or None."""
        return next(self._of(kind), None)

    def last(self, kind: type[S]) -> S | None:
        """The last stamp of a type, or None."""
        return self.all(kind)[-1] if self.has(kind) else None

    def all(self, kind: type[S]) -> tuple[S, ...]:
        """The stamps of a type, in the order in which they were added."""
        return tuple(self._of(kind))

    def has(self, kind: type[Stamp]) -> bool:
        """Whether there is a stamp of a type."""
        return next(self._of(kind), None) is not None

    def forget_events(self, before: int) -> None:
        """Drop what was emitted since there were so many stamps: what emitted it has failed after all."""
        self._noted[before:] = [stamp for stamp in self._noted[before:] if not isinstance(stamp, Emitted)]

    def _of(self, kind: type[S]) -> Iterator[S]:
        return (stamp for stamp in self._stamps if isinstance(stamp, kind))


def checked_stamps(stamps: tuple[Any, ...]) -> tuple[Stamp, ...]:
    """Stamps, and nothing else; raises `InvalidOption`."""
    for stamp in stamps:
        if not isinstance(stamp, Stamp):
            raise InvalidOption("stamp", stamp, "give instances of types derived from modd.cqrs.Stamp")
    return stamps
