"""Stores for tests of middleware that store results."""

from __future__ import annotations

from anyio import Event
from anyio.lowlevel import checkpoint


class PlainStore:
    """A store that has nothing but what the port asks for, and notes what it is told to keep."""

    def __init__(self) -> None:
        self.kept: dict[str, tuple[bytes, float]] = {}
        self.looks = 0

    async def get(self, key: str) -> bytes | None:
        self.looks += 1
        await checkpoint()
        value, _ = self.kept.get(key, (None, 0.0))
        return value

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        await checkpoint()
        self.kept[key] = (value, ttl)

    async def add(self, key: str, value: bytes, ttl: float) -> bool:
        await checkpoint()
        return self.kept.setdefault(key, (value, ttl))[0] is value

    async def delete(self, key: str) -> None:
        await checkpoint()
        self.kept.pop(key, None)


class SlowStore(PlainStore):
    """A store that keeps nothing before it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.asked, self.go = Event(), Event()

    async def set(self, key: str, value: bytes, ttl: float) -> None:
        self.asked.set()
        await self.go.wait()
        await super().set(key, value, ttl)


class Clock:
    """A clock that is set by hand."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now
