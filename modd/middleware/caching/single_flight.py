"""Coalescing: of those who want the same at the same time one gets it, and the others wait for that (MI-29)."""

from __future__ import annotations

from weakref import WeakValueDictionary

from modd.core import Gate


class Fill(Gate):
    """What those who want the same wait at; it is forgotten when nobody waits or works any more."""

    __slots__ = ("unkept",)

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.unkept = False
        """Whether the last one was done and left nothing for the others, so that to wait for the next is of no use."""


class Fills:
    """The fills that are going on, one for each key. ``with hold(fills.of(key, name))`` one at a time is inside."""

    def __init__(self) -> None:
        self._going: WeakValueDictionary[str, Fill] = WeakValueDictionary()

    def of(self, key: str, name: str) -> Fill:
        """The fill for a key, which the caller has to hold on to; ``name``: what a `Deadlock` calls it."""
        fill = self._going.get(key)
        if fill is None:
            fill = self._going[key] = Fill(name)
        return fill
