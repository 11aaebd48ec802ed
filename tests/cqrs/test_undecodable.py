"""Bytes that are no envelope are one kind of error, whatever is wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from modd.cqrs import Identity, UnknownStamp
from modd.cqrs.codec import Codec
from modd.cqrs.errors import Undecodable
from tests.cqrs.shop import Create

CODEC = Codec([Create])
IDENTITY = {"$stamp": "Identity", "id": "1", "correlation_id": "1", "at": 1.0}


def encoded(*stamps: Any, **changed: Any) -> bytes:
    whole = {"identity": IDENTITY, "message": {"$type": "Create", "name": "Ada"}, "stamps": stamps}
    return msgspec.json.encode(whole | changed)


WRONG: list[bytes] = [
    b"",
    b"null",
    b"\xff",
    b"[" * 100_000,
    b'{"identity": ' + b"[" * 100_000,
    encoded(identity=None),
    encoded(identity=IDENTITY | {"id": 3}),
    encoded(identity=IDENTITY | {"id": ""}),
    encoded(message=None),
    encoded(message={"$type": "Charge"}),
    encoded(message={"$type": ["Create"]}),
    encoded(message={"$type": "Create", "name": 3}),
    encoded(3),
    encoded({"at": 1.0}),
    encoded({"$stamp": "Handled"}),
    encoded({"$stamp": "Handled", "result": "x"}),
    encoded({"$stamp": "Emitted", "event": 3}),
    encoded({"$stamp": "Delay", "seconds": -1}),
    encoded({"$stamp": "Redispatched", "stamps": [{"$stamp": "Handled", "result": "x"}], "at": 1.0}),
]


@pytest.mark.parametrize("data", WRONG, ids=[str(at) for at in range(len(WRONG))])
def test_what_is_no_envelope_is_undecodable(data: bytes) -> None:
    # MI-11
    with pytest.raises(Undecodable):
        CODEC.decode(data)


def test_an_unknown_stamp_is_kept_whatever_is_in_it() -> None:
    # MI-11
    data = {"$stamp": "Other", "at": "soon", "deep": [{"x": 1}]}
    envelope = CODEC.decode(encoded(data))
    unknown = envelope.first(UnknownStamp)
    assert unknown is not None and unknown.data == data and isinstance(unknown.at, float)
    assert data in msgspec.json.decode(CODEC.encode(envelope))["stamps"]


def test_one_envelope_has_one_identity() -> None:
    # MI-9 MI-11
    envelope = CODEC.decode(encoded(IDENTITY | {"id": "2"}))
    assert [stamp.id for stamp in envelope.stamps if isinstance(stamp, Identity)] == ["1"]
