"""What is on the disk when the power comes back; `power_disk` says what is assumed of a disk.

``MODD_PROOF_STATES`` says how many states are looked at in all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random

import pytest

from tests.proofs.apsw_connection import IN_TRUNCATE_MODE, NOT_WAITING
from tests.proofs.power import Judge, Outcome, record, reopened

pytestmark = [pytest.mark.anyio, pytest.mark.slow]

STATES = int(os.environ.get("MODD_PROOF_STATES", "400")) // 4
"""In each of the modes, on each of the loops."""
STATES_OF_RUN = 500
OPENED = 50
"""Of so many states one is opened with a store, too, which then works on."""

MODES: dict[str, Mapping[str, str]] = {"wal": {}, "truncate": IN_TRUNCATE_MODE}
in_both_modes = pytest.mark.parametrize("mode", MODES)


async def _judged(instead: Mapping[str, str], seed: int, states: int, folder: Path) -> Outcome:
    random = Random(seed)
    run = await record(folder / f"run-{seed}.db", instead, random)
    outcome = Judge(run).judge(states, random)
    if instead in MODES.values():
        outcome.wrong += await reopened(run, 1 + states // OPENED, random)
    return outcome


@in_both_modes
async def test_a_loss_of_power_leaves_all_that_was_acknowledged_and_no_half_of_a_transaction(
    mode: str, tmp_path: Path, anyio_backend: str, record_property: Callable[[str, object], None]
) -> None:
    # ST-62
    looked = 0
    for seed in range(-(-STATES // STATES_OF_RUN)):
        states = min(STATES_OF_RUN, STATES - seed * STATES_OF_RUN)
        outcome = await _judged(MODES[mode], seed, states, tmp_path)
        assert (outcome.corrupt, outcome.wrong) == ([], []), f"run {seed}"
        looked += outcome.states
    record_property("states", looked)
    print(f"loss of power, {mode} on {anyio_backend}: {looked} states, 0 corrupt, 0 with something lost")
    assert looked >= STATES


@in_both_modes
async def test_a_connection_that_does_not_wait_for_the_disk_does_lose_what_was_acknowledged(
    mode: str, tmp_path: Path
) -> None:
    # ST-62
    outcome = await _judged({**MODES[mode], **NOT_WAITING}, 0, 200, tmp_path)
    print(f"control, {mode}: of {outcome.states} states {len(outcome.wrong)} with something lost")
    assert outcome.wrong
