"""Items: what is no text is found out by who gives it, and not by who claims it."""

from __future__ import annotations

from typing import Any

import pytest

from modd.errors import InvalidOption
from modd.ports import Item

TEXTS = "give texts for names and values"


@pytest.mark.parametrize(
    ("headers", "cure"),
    [({"a": 1}, TEXTS), ({1: "a"}, TEXTS), ({"a": None}, TEXTS), ([], "a dict"), ("a", "a dict"), (None, "a dict")],
)
def test_headers_are_texts(headers: Any, cure: str) -> None:
    with pytest.raises(InvalidOption, match=f"^headers=.*: .*{cure}"):
        Item(b"", headers)


def test_what_is_in_wrong_headers_is_not_told() -> None:
    with pytest.raises(InvalidOption) as raised:
        Item(b"", {"password": b"hunter2"})  # type: ignore[dict-item]
    assert "hunter2" not in str(raised.value)


@pytest.mark.parametrize("tags", [["a"], "a", None, {"a"}, ("a", 1), (b"a",), ("a", ""), ("\ud800",)])
def test_tags_are_a_tuple_of_texts_that_are_not_empty(tags: Any) -> None:
    # WM-2
    with pytest.raises(InvalidOption, match=r"^tags=.*: give a tuple of texts that are not empty"):
        Item(b"", tags=tags)


@pytest.mark.parametrize("option", ["key", "id"])
@pytest.mark.parametrize("given", [5, b"a", True, object])
def test_a_key_and_an_id_are_texts_if_there_are_any(option: str, given: Any) -> None:
    with pytest.raises(InvalidOption, match=f"^{option}=.*: give a text, or None"):
        Item(b"", **{option: given})
    empty: dict[str, Any] = {option: ""}
    assert getattr(Item(b"", **empty), option) == ""
