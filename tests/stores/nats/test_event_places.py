"""The place of a revision: noted for some, and searched for in few requests for the rest."""

from __future__ import annotations

import pytest

from modd.stores.nats.event_places import MOST_PLACES, EventPlaces
from modd.stores.nats.record import PENDING, Record

pytestmark = pytest.mark.anyio


class Events:
    """The events of a stream at some sequences, in place of a server."""

    def __init__(self, *sequences: int) -> None:
        self.records = [Record("e", place, 0.0, {"revision": number}) for number, place in enumerate(sequences, 1)]
        self.requests = 0

    async def next(self, filter: str, after: int) -> Record | None:
        self.requests += 1
        return next((record for record in self.records if record.sequence > after), None)


def test_places_are_noted_up_to_a_number_and_not_before_the_commit() -> None:
    # NA-20
    places = EventPlaces()
    places.note("e", 1, PENDING)
    assert places.find("e", 1) is None
    for number in range(MOST_PLACES + 1):
        places.note("e", number, number + 1)
    assert places.find("e", 0) is None and places.find("e", 1) == 2


@pytest.mark.parametrize("sequences", [range(1, 65), range(64, 128), [1, 2, 3, 1000, 2000, 2001, 10_000], [7]])
async def test_the_events_after_a_revision_are_behind_the_place_that_is_found(sequences: list[int]) -> None:
    # NA-20
    for revision in range(len(sequences)):
        events = Events(*sequences)
        place = await EventPlaces().locate(events, "e", revision, events.records[-1])
        assert events.requests <= 32
        found = await events.next("e", place)
        assert found is not None and found.meta["revision"] == revision + 1


async def test_an_event_that_was_removed_by_hand_does_not_hold_the_search_up() -> None:
    # NA-20
    events = Events(1, 5, 9)
    del events.records[1]
    assert await EventPlaces().locate(events, "e", 1, events.records[-1]) < 9
