"""The file of a store fails at any moment, in every way in which a disk can.

``MODD_PROOF_FAULTS`` says how many operations are made to fail, of each kind, in each mode, on each loop.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import pytest

from modd.ports import Item
from modd.stores.errors import StoreBusy
from modd.stores.sqlite.errors import NotAStore, StoreCorrupt, StoreReadOnly
from tests.proofs.apsw_connection import IN_TRUNCATE_MODE
from tests.proofs.faults import Faulty, failing
from tests.proofs.faults_vfs import BUSY, CUT, EMPTY, KINDS, UNOPENED, Faults

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

FAULTS = int(os.environ.get("MODD_PROOF_FAULTS", "2"))
MODES: dict[str, Mapping[str, str]] = {"wal": {}, "truncate": IN_TRUNCATE_MODE}
CASES = [(mode, kind) for mode in MODES for kind in KINDS if (mode, kind) != ("truncate", CUT.name)]


@pytest.mark.parametrize("many", [1, 10], ids=["once", "for a while"])
@pytest.mark.parametrize(("mode", "kind"), CASES)
async def test_whatever_fails_each_caller_is_told_and_all_is_done_once_when_the_cause_is_gone(
    mode: str, kind: str, many: int, tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    # ST-63
    faultless = Faults(KINDS[kind])
    await Faulty(tmp_path / "store.db", MODES[mode], faultless).run()
    told, places = 0, range(0, faultless.count, max(faultless.count // FAULTS, 1, many // 2))
    for first in places:
        run = Faulty(tmp_path / f"{first}.db", MODES[mode], Faults(KINDS[kind], first, many))
        await run.run()
        assert [error for error in run.errors if not isinstance(error, (*KINDS[kind].told, StoreBusy))] == []
        told += len(run.errors)
    record_property("faults", len(places))
    print(f"{kind}, {mode}, {many} in a row: at {len(places)} of {faultless.count} operations, {told} errors told")
    assert told or kind == BUSY.name  # for a lock that is free again SQLite waits


async def test_a_read_for_which_the_file_cannot_be_opened_says_so_and_the_next_goes_well(tmp_path: Path) -> None:
    faults = Faults(UNOPENED)
    with failing(tmp_path / "store.db", {}, faults) as (store, _):
        async with store:
            faults.begin()
            with pytest.raises(StoreReadOnly, match=r"store\.db: .*SQLITE_CANTOPEN"):
                await store.queue("orders").stats()
            faults.begin()
            async with store.transaction() as tx:
                with pytest.raises(StoreReadOnly, match=r"store\.db: .*SQLITE_CANTOPEN"):
                    await tx.fetch("SELECT 1")
                assert await tx.fetch("SELECT 1") == [(1,)]


@pytest.mark.parametrize("skipped", range(8))
async def test_what_was_read_wrong_once_is_read_again(skipped: int, tmp_path: Path) -> None:
    faults = Faults(EMPTY)
    with failing(tmp_path / "store.db", IN_TRUNCATE_MODE, faults) as (store, _):
        queue = store.queue("orders")
        async with store:
            await queue.put(*(Item(b"x" * 100, id=str(number)) for number in range(300)))
        async with store:
            faults.begin(skipped)
            with suppress(StoreCorrupt, NotAStore):
                await queue.stats()
            assert (await queue.stats()).ready == 300
            faults.begin(skipped)
            with suppress(StoreCorrupt, NotAStore):
                await queue.cancel("7")
            await queue.cancel("7")
            assert (await queue.stats()).ready == 299
