"""The conformance suite for documents."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd.errors import InvalidOption
from modd.ports.documents import Documents
from modd.ports.errors import Conflict, DocumentConflict
from modd.testing.conformance.base import Suite

KEYS = ["a", "A", "a ", "a:b", "a%", "ä", "a\N{COMBINING DIAERESIS}", "'; --", "\N{GRINNING FACE}", "x" * 1_000]


def add_up(state: int | None, value: int) -> int | None:
    """Return the sum; None, which removes it, for 0."""
    return ((state or 0) + value) or None


def encode_number(state: int) -> bytes:
    """Return a number as its digits."""
    return b"%d" % state


class DocumentsConformance(Suite[Documents]):
    """The promises of `modd.ports.Documents`; those about transactions are in `StorageConformance`."""

    async def test_a_body_is_what_was_put_last(self) -> None:
        """An unknown key has none, and a removed one neither; an empty body is a body."""
        async with self.create() as documents:
            assert await documents.get("a") is None
            for body in (b"1", b"", b"\x00\xff" * 1_000):
                await documents.put("a", body)
                assert await documents.get("a") == body
            await documents.delete("a")
            await documents.delete("a")
            assert await documents.get("a") is None

    async def test_keys_are_any_text(self) -> None:
        """Similar keys are different keys, and their order is that of their characters."""
        async with self.create() as documents:
            for number, key in enumerate(KEYS):
                await documents.put(key, b"%d" % number)
            assert [await documents.get(key) for key in KEYS] == [b"%d" % number for number in range(len(KEYS))]
            assert [key for key, _ in await documents.items()] == sorted(KEYS)

    async def test_many_are_got_at_once(self) -> None:
        """In the order of the keys that were asked for, without those that have no body."""
        async with self.create() as documents:
            for number in range(250):
                await documents.put(str(number), b"%d" % number)
            asked = [str(number) for number in range(300, -1, -1)]
            assert [*(await documents.get_many(asked)).items()] == [
                (str(number), b"%d" % number) for number in range(249, -1, -1)
            ]
            assert await documents.get_many([]) == await documents.get_many(["none"]) == {}
            assert await documents.get_many(["1", "1"]) == {"1": b"1"}

    async def test_many_are_put_at_once(self) -> None:
        """In place of the earlier bodies; None removes, be there a body or not."""
        async with self.create() as documents:
            await documents.put("a", b"1")
            await documents.put("b", b"1")
            await documents.put_many({"a": b"2", "b": None, "c": b"", "none": None})
            assert await documents.items() == [("a", b"2"), ("c", b"")]
            await documents.put_many({str(number): b"%d" % number for number in range(250)})
            assert len(await documents.items(limit=300)) == 252
            await documents.put_many({})

    async def test_items_are_read_page_by_page_in_the_order_of_keys(self) -> None:
        """The next page begins after a key, be there one or not; documents that come meanwhile are included."""
        async with self.create() as documents:
            assert await documents.items() == []
            for key in ("c", "a", "b"):
                await documents.put(key, key.encode())
            assert await documents.items(limit=2) == [("a", b"a"), ("b", b"b")]
            await documents.put("bb", b"bb")
            await documents.put("c", b"new")
            assert await documents.items("b", 2) == [("bb", b"bb"), ("c", b"new")]
            await documents.delete("bb")
            assert await documents.items("ba", 2) == await documents.items("bb", 2) == [("c", b"new")]
            assert await documents.items("c") == []

    async def test_a_swap_replaces_the_body_that_was_read_and_no_other(self) -> None:
        """The error names space and key, not the bodies; nothing is changed then."""
        async with self.create() as documents:
            await documents.swap("a", b"secret", None)
            for expected in (None, b"", b"other"):
                with pytest.raises(DocumentConflict) as conflict:
                    await documents.swap("a", b"2", expected)
                assert conflict.value.key == "a" and isinstance(conflict.value, Conflict)
                assert "secret" not in str(conflict.value)
            assert await documents.get("a") == b"secret"
            await documents.swap("a", b"secret", b"secret")
            with pytest.raises(DocumentConflict):
                await documents.swap("a", b"2", b"2")
            await documents.swap("a", b"2", b"secret")
            await documents.swap("a", None, b"2")
            assert await documents.get("a") is None
            await documents.swap("a", None, None)
            with pytest.raises(DocumentConflict):
                await documents.swap("a", b"3", b"2")

    async def test_of_several_swaps_at_once_one_wins(self) -> None:
        """And the rest are conflicts."""
        outcomes: list[str] = []

        async def swap(number: int) -> None:
            try:
                await documents.swap("a", b"%d" % number, None)
                outcomes.append("swapped")
            except DocumentConflict:
                outcomes.append("refused")

        async with self.create() as documents:
            async with anyio.create_task_group() as tasks:
                for number in range(10):
                    tasks.start_soon(swap, number)
            assert sorted(outcomes) == ["refused"] * 9 + ["swapped"]

    async def test_values_are_folded_in_their_order(self) -> None:
        """Into the present body, or None without one; a state of None removes it, be it in between."""

        def join(state: str | None, value: str) -> str | None:
            return None if value == "end" else f"{state}{value}"

        async with self.create() as documents:
            await documents.put("a", b"0")
            pairs = [("a", "1"), ("b", "1"), ("a", "2"), ("c", "1"), ("c", "end"), ("b", "end"), ("b", "2")]
            await documents.fold(iter(pairs), join, bytes.decode, str.encode)
            assert await documents.items() == [("a", b"012"), ("b", b"None2")]
            await documents.fold([("a", "end"), ("none", "end")], join, bytes.decode, str.encode)
            assert await documents.items() == [("b", b"None2")]
            await documents.fold([], join, bytes.decode, str.encode)

    async def test_those_who_fold_into_one_document_at_once_lose_nothing(self) -> None:
        """Nor is any of them a conflict."""
        async with self.create() as documents:
            async with anyio.create_task_group() as tasks:
                for number in range(1, 51):
                    tasks.start_soon(documents.fold, [("a", number), ("b", 1)], add_up, int, encode_number)
            assert await documents.get_many(["a", "b"]) == {"a": b"1275", "b": b"50"}

    async def test_a_fold_that_fails_changes_nothing(self) -> None:
        """Of all keys: an error of each function comes out; other folds at the same time are not harmed."""

        def fail(*_: Any) -> Any:
            raise ZeroDivisionError

        async with self.create() as documents:
            await documents.put("a", b"1")
            await documents.put("text", b"\xff")
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(documents.fold, [("a", 1)], add_up, int, encode_number)
                for functions in ((fail, int, encode_number), (add_up, fail, encode_number), (add_up, int, fail)):
                    tasks.start_soon(self._expect, ZeroDivisionError, documents.fold([("b", 1), ("a", 1)], *functions))
                tasks.start_soon(
                    self._expect,
                    ValueError,
                    documents.fold([("text", 1)], add_up, lambda body: int(body.decode()), str),  # type: ignore[arg-type]
                )
                tasks.start_soon(self._expect, InvalidOption, documents.fold([("a", 1)], add_up, int, str))  # type: ignore[arg-type]
            assert await documents.items() == [("a", b"2"), ("text", b"\xff")]

    async def _expect(self, kind: type[Exception], call: Any) -> None:
        with pytest.raises(kind):
            await call

    async def test_what_cannot_be_stored_is_an_error(self) -> None:
        """A key that is no text or empty, a body that is no bytes, a limit below 1, functions that are none."""
        wrong: Any
        async with self.create() as documents:
            for wrong in ("", None, 7, "\ud800"):
                calls = (
                    documents.get(wrong),
                    documents.get_many([wrong]),
                    documents.put(wrong, b""),
                    documents.put_many({"a": b"", wrong: b""}),
                    documents.delete(wrong),
                    documents.swap(wrong, b"", None),
                    documents.fold([(wrong, 1)], add_up, int, encode_number),
                )
                for call in calls:
                    await self._expect(InvalidOption, call)
            wrong = "text"
            for call in (
                documents.put("a", wrong),
                documents.put_many({"a": b"", "b": wrong}),
                documents.put_many(wrong),
                documents.swap("a", wrong, None),
                documents.swap("a", None, wrong),
            ):
                await self._expect(InvalidOption, call)
            await self._expect(InvalidOption, documents.items(limit=0))
            await self._expect(InvalidOption, documents.items(after=7))  # type: ignore[arg-type]
            functions: list[Any] = [(wrong, int, encode_number), (add_up, wrong, encode_number), (add_up, int, wrong)]
            for arguments in functions:
                await self._expect(InvalidOption, documents.fold([("a", 1)], *arguments))
            wrong = ["abc", 7]
            for pair in wrong:
                await self._expect(InvalidOption, documents.fold([pair], add_up, int, encode_number))
            assert await documents.items() == []
