"""Several processes claim from one queue: none gets what another has, none is told of locks."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from tests.proofs.processes import Job, Outcome, zygote
from tests.proofs.sizes import size_of

pytestmark = pytest.mark.slow

PROCESSES = 4
ITEMS = size_of("ITEMS", 2000)


def wrongly_claimed(outcomes: Iterable[Outcome]) -> list[str]:
    """What was claimed while somebody else's lease lasted, or after it was acknowledged.

    A lease lasts from some time while it was asked for; only what is wrong for each such time is counted.
    """
    claims = sorted((had, asked, lease, acked, id) for outcome in outcomes for asked, had, lease, ids, acked in
                    outcome.named("claimed") for id in ids)  # fmt: skip
    until: dict[str, float] = {}
    wrong = []
    for had, asked, lease, acked, id in claims:
        if had < until.get(id, 0.0):
            wrong.append(id)
        until[id] = float("inf") if acked else asked + lease
    return wrong


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_four_processes_claim_each_item_once_within_a_lease_and_never_meet_a_lock(tmp_path: Path, backend: str) -> None:
    # ST-22
    path = str(tmp_path / "work.db")
    with zygote() as processes:
        [filled] = processes.run(Job("tests.proofs.claimers:fill", {"path": path, "items": ITEMS}))
        outcomes = processes.run(*[Job("tests.proofs.claimers:claim", {"path": path}, backend)] * PROCESSES)
    ends: list[dict[str, Any]] = [end for each in outcomes for end in each.told if "longest" in end]
    seconds = max(end["ended"] for end in ends) - min(end["begun"] for end in ends)
    longest, modes = max(end["longest"] for end in ends), {mode for end in ends for mode in end["modes"]}
    acked = [id for each in outcomes for *_, ids, acks in each.named("claimed") if acks for id in ids]
    shares = [sum(len(each[3]) for each in outcome.named("claimed")) for outcome in outcomes]
    print(f"{PROCESSES} processes, {ITEMS} items on {backend}: {len(acked) / seconds:.0f} a second, shares {shares}, "
          f"longest wait {longest:.3f} s, {modes}")  # fmt: skip
    assert [each.code for each in outcomes] == [0] * PROCESSES
    assert [error for each in outcomes for error in each.named("error")] == []
    assert sorted(acked) == sorted(filled.named("ids")[0])
    assert wrongly_claimed(outcomes) == []
    assert modes == {"wal"}


def test_the_proof_finds_what_is_claimed_twice() -> None:
    first = Outcome(
        [{"claimed": (1.0, 1.1, 5.0, ["a", "b"], False)}, {"claimed": (2.0, 2.1, 5.0, ["c"], True)}], 0, None
    )
    other = Outcome(
        [{"claimed": (5.0, 5.9, 5.0, ["a", "d"], True)}, {"claimed": (8.0, 8.9, 5.0, ["b", "c"], True)}], 0, None
    )
    assert wrongly_claimed([first, other]) == ["a", "c"]
