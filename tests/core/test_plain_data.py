"""Plain data has the names of types where its hint does not tell them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from modd import Message
from modd.core.plain_data import plain_data


class Leaf(Message):
    size: int


class Twig(Leaf):
    pass


class Untagged(msgspec.Struct):
    leaf: Leaf = msgspec.field(name="the-leaf")


@dataclass
class Branch:
    leaf: Leaf
    any: Any


LEAF, TWIG = {"size": 1}, {"$type": "Twig", "size": 1}
NAMED = {"$type": "Leaf", "size": 1}


@pytest.mark.parametrize(
    ("value", "hint", "data"),
    [
        (Leaf(1), Leaf, LEAF),
        (Leaf(1), Leaf | None, LEAF),
        (Leaf(1), Leaf | int, NAMED),
        (Leaf(1), Any, NAMED),
        (Twig(1), Leaf, TWIG),
        (Twig(1), Leaf | int, TWIG),
        (Untagged(Leaf(1)), Untagged, {"the-leaf": LEAF}),
        (Branch(Leaf(1), Leaf(1)), Branch, {"leaf": LEAF, "any": NAMED}),
        (Branch(Leaf(1), [Leaf(1)]), Any, {"leaf": LEAF, "any": [NAMED]}),
        ({"a": Leaf(1)}, dict[str, Leaf], {"a": LEAF}),
        ({"a": Leaf(1)}, dict, {"a": NAMED}),
        ([Leaf(1), Leaf(1)], list[Leaf], [LEAF, LEAF]),
        ((Leaf(1), Leaf(1), 1), tuple[Leaf, Any, int], [LEAF, NAMED, 1]),
        ((Leaf(1), Leaf(1)), tuple[Leaf, ...], [LEAF, LEAF]),
        (frozenset([Leaf(1)]), frozenset[Leaf], [LEAF]),
        ([Leaf(1)], list, [NAMED]),
        (None, Leaf | None, None),
    ],
)
def test_data_has_the_names_that_its_hint_does_not_tell(value: Any, hint: Any, data: Any) -> None:
    # FA-2
    made = plain_data(value, hint, named=False)
    assert msgspec.json.encode(made) == msgspec.json.encode(data)
