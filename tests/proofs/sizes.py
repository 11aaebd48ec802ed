"""How long proofs are: short in `make test`, and as the environment says in `make proof`."""

from __future__ import annotations

import os


def size_of(proof: str, short: int) -> int:
    """How many trials: the environment variable ``MODD_PROOF_`` and the name, or so many for short."""
    return int(os.environ.get(f"MODD_PROOF_{proof}", short))
