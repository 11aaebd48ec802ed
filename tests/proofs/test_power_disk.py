"""What a disk is assumed to keep when the power goes; the proofs are worth as much as this."""

from __future__ import annotations

from random import Random

from tests.proofs.power_disk import SECTOR, losses
from tests.proofs.power_log import Create, Delete, Entry, Sync, Truncate, Write

CREATED: list[Entry] = [Create("f", 1), Write(1, 0, b"old"), Sync(1, folder=True)]


def _after(*entries: Entry) -> set[bytes | None]:
    """What can become of the file when the power goes after these, as far as many tries show."""
    given = [*CREATED, *entries]
    found = {cut: set[bytes | None]() for cut in range(len(given) + 1)}
    for cut, state in losses(given, 3000, Random(0)):
        found[cut].add(bytes(state["f"]) if "f" in state else None)
    return found[len(given)]


def test_what_was_synced_is_there() -> None:
    assert _after(Write(1, 0, b"new"), Sync(1, folder=False)) == {b"new"}


def test_what_was_written_since_may_be_there_or_not() -> None:
    assert _after(Write(1, 0, b"new")) == {b"old", b"new"}


def test_of_two_writes_the_second_may_be_there_without_the_first() -> None:
    assert _after(Write(1, 0, b"N"), Write(1, 2, b"W")) == {b"old", b"Nld", b"olW", b"NlW"}


def test_a_write_may_be_torn_between_two_sectors() -> None:
    before: list[Entry] = [Write(1, 0, bytes(2 * SECTOR)), Sync(1, folder=False)]
    a, b, nothing = b"a" * SECTOR, b"b" * SECTOR, bytes(SECTOR)
    assert _after(*before, Write(1, 0, a + b)) == {nothing * 2, a + nothing, nothing + b, a + b}


def test_what_made_the_file_shorter_may_not_have_happened() -> None:
    assert _after(Truncate(1, 0)) == {b"", b"old"}


def test_a_file_that_was_growing_may_be_longer_than_what_is_there_of_its_content() -> None:
    found = _after(Write(1, 3, b"more"))
    assert {b"old", b"oldmore", b"old\0\0\0\0"} <= found
    assert {len(content or b"") for content in found} == {3, 7}


def test_a_file_may_be_missing_until_its_folder_was_synced_and_be_there_again_until_then() -> None:
    entries: list[Entry] = [Create("g", 1), Write(1, 0, b"x"), Sync(1, folder=False)]
    assert {"g" in state for cut, state in losses(entries, 100, Random(0)) if cut == len(entries)} == {True, False}
    assert _after(Delete("f", folder=False)) == {b"old", None}
    assert _after(Delete("f", folder=True)) == {None}
