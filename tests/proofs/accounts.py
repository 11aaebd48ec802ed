"""Whether all is right at the end: nothing that was accepted is lost, and nothing was done twice."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator
from typing import Any

from tests.proofs.orders import CUSTOMERS, customer_of, is_poison, key_of

EFFECTS = ("placed", "counted", "mailed")


def problems_of(accepted: Collection[int], offered: int, end: dict[str, Any]) -> list[str]:
    """What is wrong. offered: how many orders somebody tried to place, from 0; end: what `workshop.recover` told."""
    done = {what: [number for each, number in end["effects"] if each == what] for what in EFFECTS}
    problems = [problem for what in EFFECTS for problem in _problems(what, done[what], accepted)]
    if len({frozenset(done[what]) for what in EFFECTS}) > 1:
        problems.append("the effects are not of the same orders")
    for customer in CUSTOMERS:
        if end["totals"][customer] != sum(customer_of(number) == customer for number in done["placed"]):
            problems.append(f"the total of {customer} is wrong")
    most, fewest = (sum(map(is_poison, numbers)) for numbers in (range(offered), accepted))
    if not fewest <= len(end["dead"]) <= most or end["dead_events"]:
        problems.append("other messages are buried than should be")
    if end["integrity"] != [["ok"]]:
        problems.append("the file is damaged")
    return problems


def _problems(what: str, done: list[int], accepted: Collection[int]) -> Iterator[str]:
    doubled = [number for number, times in Counter(done).items() if times > 1]
    if doubled:
        yield f"{what} more than once: {doubled}"
    lost = [number for number in accepted if number not in done and not is_poison(number)]
    if lost:
        yield f"never {what}: {lost}"
    if any(map(is_poison, done)):
        yield f"{what}, though it was buried"
    for customer in CUSTOMERS:
        in_order = [number for number in done if key_of(number) == customer]
        if in_order != sorted(in_order):
            yield f"{what} out of order: {in_order}"
