"""The conformance suite for inboxes."""

from __future__ import annotations

import anyio
import pytest

from modd.ports.errors import AlreadyHandled
from modd.ports.inbox import Inbox
from modd.testing.conformance.base import Suite


class InboxConformance(Suite[Inbox]):
    """The promises of `modd.ports.Inbox`."""

    retention_ticks: float | None = None
    """The ticks after which the implementation forgets an id; choose it short. None, the default, skips that test."""

    async def test_an_id_is_noted_when_it_is_added(self) -> None:
        """An add records its id and no other."""
        async with self.create() as inbox:
            assert not await inbox.has("a")
            await inbox.add("a")
            assert await inbox.has("a")
            assert not await inbox.has("b")

    async def test_ids_are_any_text(self) -> None:
        """Similar ids are different ids."""
        async with self.create() as inbox:
            ids = ["a", "A", "a ", "", "a:b", "a%", "ä", "a\N{COMBINING DIAERESIS}", "'; --", "x" * 1_000]
            for each in ids:
                assert not await inbox.has(each)
                await inbox.add(each)
            assert all([await inbox.has(each) for each in ids])

    async def test_an_id_that_is_noted_is_not_added_again(self) -> None:
        """The error has the id; the id stays recorded, and other ids can be added."""
        async with self.create() as inbox:
            await inbox.add("a")
            for _ in range(2):
                with pytest.raises(AlreadyHandled) as handled:
                    await inbox.add("a")
                assert handled.value.id == "a"
            await inbox.add("b")
            assert await inbox.has("a") and await inbox.has("b")

    async def test_of_several_that_add_at_once_one_wins(self) -> None:
        """Of several concurrent adds one succeeds; the rest raise `AlreadyHandled`."""
        outcomes: list[str] = []

        async def add() -> None:
            try:
                await inbox.add("a")
                outcomes.append("added")
            except AlreadyHandled:
                outcomes.append("refused")

        async with self.create() as inbox:
            async with anyio.create_task_group() as tasks:
                for _ in range(10):
                    tasks.start_soon(add)
            assert sorted(outcomes) == ["added"] + ["refused"] * 9

    async def test_an_id_is_kept_for_its_time(self) -> None:
        """The retention begins at the add; after it the id can be added again, for the same time."""
        if self.retention_ticks is None:
            pytest.skip("retention_ticks is None: the suite does not know when an id is forgotten")
        async with self.create() as inbox:
            for _ in range(2):
                assert not await inbox.has("a")
                await inbox.add("a")
                await self.ticks(self.retention_ticks / 2)
                assert await inbox.has("a")
                with pytest.raises(AlreadyHandled):
                    await inbox.add("a")
                await self.ticks(self.retention_ticks * 0.75)
