"""The types of messages that the code of functions names."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache, partial, wraps
from typing import Any
from unittest.mock import call

import pytest

from modd import middleware
from modd.catalog.named_types import types_named_in
from modd.cqrs import Command, Event
from tests.catalog import messages
from tests.catalog.messages import Cancelled, OrderPlaced, Shipped


def by_name() -> Any:
    return OrderPlaced("1", "rope")


def by_module() -> Any:
    return messages.Cancelled("1")


def by_helper() -> Any:
    return [by_name(), again()]


def again() -> Any:
    return by_helper()


def in_a_comprehension() -> Any:
    return [Shipped(str(number)) for number in range(2)]


def in_an_inner_function() -> Any:
    def inner() -> Any:
        return Shipped("1")

    return inner()


def from_around(kind: Any) -> Callable[[], Any]:
    def make() -> Any:
        return kind("1")

    return make


def not_there_yet() -> Callable[[], Any]:
    """Return a function with a variable from around it that has no value any more."""
    later: Any = Shipped

    def make() -> Any:
        return later("1")  # noqa: F821

    del later
    return make


@wraps(by_name)
def wrapping() -> Any: ...


class Made:
    def __call__(self) -> Any:
        return Cancelled("1")

    def method(self) -> Any:
        return Shipped("1")


@cache
def cached() -> Any:
    """Cache it."""
    return Shipped("1")


def of_a_proxy() -> Any:
    return call, OrderPlaced, middleware.Webhook


def of_modd() -> Any:
    return types_named_in


@pytest.mark.parametrize(
    ("function", "found"),
    [
        (by_name, [OrderPlaced]),
        (by_module, [Cancelled]),
        (by_helper, [OrderPlaced]),
        (in_a_comprehension, [Shipped]),
        (in_an_inner_function, [Shipped]),
        (from_around(Cancelled), [Cancelled]),
        (from_around(by_name), [OrderPlaced]),
        (not_there_yet(), []),
        (partial(by_name), [OrderPlaced]),
        (wrapping, [OrderPlaced]),
        (Made(), [Cancelled]),
        (Made().method, [Shipped]),
        (cached, [Shipped]),
        (of_a_proxy, [OrderPlaced]),
        (of_modd, []),
        (len, []),
        (Made, []),
    ],
)
def test_types_are_found_wherever_the_code_names_them(function: Any, found: list[type]) -> None:
    # WM-74
    assert types_named_in([function], Event) == found


def test_nothing_is_imported_for_the_names_in_a_function(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(vars(middleware), "Webhook", raising=False)
    monkeypatch.setitem(sys.modules, "httpx2", None)
    assert types_named_in([of_a_proxy], Event) == [OrderPlaced]


def test_only_types_derived_from_the_base_are_found_each_once() -> None:
    assert types_named_in([by_name, by_helper], Command) == []
    assert types_named_in([by_name, by_helper, in_a_comprehension], Event) == [OrderPlaced, Shipped]
