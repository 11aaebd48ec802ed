"""The row that a claim stands for, also one that no queue of a file has made."""

from __future__ import annotations

import pytest

from modd.ports import Claim
from modd.stores.lease import claim_token, leased_row


def claim(token: str) -> Claim:
    return Claim("1", b"", {}, None, 1, token)


def test_a_token_names_position_and_number() -> None:
    row = leased_row(claim(claim_token(0x1F, 0x9C)))
    assert (row.position, row.number, row.id, row.key) == (0x1F, 0x9C, "1", None)


@pytest.mark.parametrize("token", ["", "x.y", "1f", f"{2**63:x}.1", f"1.{2**70:x}"])
def test_a_token_of_another_implementation_names_a_row_that_does_not_exist(token: str) -> None:
    row = leased_row(claim(token))
    assert (row.position, row.number) == (-1, -1)
