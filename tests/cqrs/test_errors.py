"""Errors take values, write their own sentence and name the cure."""

from __future__ import annotations

import copy
import pickle

import pytest

import modd.cqrs
from modd import ModdError
from modd.cqrs import (
    CircuitOpen,
    DispatchTimeout,
    FeatureDisabled,
    Forbidden,
    GiveUp,
    HandlersFailed,
    InvalidIntent,
    LockTimeout,
    MultipleHandlers,
    NoHandler,
    NotAnswered,
    NotOpen,
    RateLimited,
    RetryLater,
    Sealed,
    UnsafeOrder,
    WrongBus,
)
from modd.cqrs.errors import MISUSE
from modd.texts import text_of
from tests.cqrs.shop import Create, Get

ERRORS: list[tuple[Exception, type[Exception], str]] = [
    (NoHandler(Create, "shop", [Get]), LookupError, "no handler for Create; shop handles: Get"),
    (MultipleHandlers(Get, "shop", ["a", "b"]), LookupError, "2 typed buses in shop handle Get: a, b"),
    (NotAnswered(Get, "shop"), RuntimeError, "Get got no result in shop"),
    (InvalidIntent(Create, [("$.name", "is long")]), ValueError, "Create is not valid: $.name: is long"),
    (Forbidden(Create, "ada", "no admin"), PermissionError, "ada may not Create: no admin"),
    (
        Forbidden(Create, None, "no admin"),
        PermissionError,
        "no actor was given for Create: no admin; dispatch with an Actor stamp, or give Authorizer a rule that needs "
        "none",
    ),
    (FeatureDisabled(Create), RuntimeError, "Create is switched off"),
    (LockTimeout("user-1", 0.5), TimeoutError, "the lock 'user-1' was not free within 0.5 s"),
    (DispatchTimeout(Create, 2), TimeoutError, "Create took longer than 2 s"),
    (RateLimited(Create, 1.25), RuntimeError, "too many Create; try again in 1.25 s"),
    (CircuitOpen(Create, 30.0), RuntimeError, "Create failed too often and is not tried for 30 s"),
    (NotOpen("shop", ["webhooks"]), RuntimeError, "shop has work for the background (webhooks)"),
    (WrongBus("Cacher", "commands", "queries only"), TypeError, "Cacher in commands: queries only"),
    (UnsafeOrder("Cacher", "Authorizer", "q", "leak"), ValueError, "give Authorizer before Cacher"),
    (Sealed("shop", "register handlers"), RuntimeError, "shop is in use: register handlers before"),
    (GiveUp("no such user"), Exception, "no such user"),
    (RetryLater(5), Exception, "try again in 5 s"),
    (RetryLater(5, "busy"), Exception, "busy"),
]


@pytest.mark.parametrize(("error", "kind", "text"), ERRORS, ids=lambda given: type(given).__name__)
def test_every_error_is_public_and_speaks(error: Exception, kind: type[Exception], text: str) -> None:
    # MI-2
    assert isinstance(error, ModdError) and isinstance(error, kind) and text in str(error)
    assert type(error).__name__ in modd.cqrs.__all__


def test_values_are_on_the_error() -> None:
    # MI-2
    assert RateLimited(Create, 1.25).retry_after == 1.25 == CircuitOpen(Create, 1.25).retry_after
    assert (RetryLater(5).seconds, GiveUp("x").reason) == (5, "x")
    assert InvalidIntent(Create, [("$", "bad")]).errors == (("$", "bad"),)
    assert (LockTimeout("k", 1).key, LockTimeout("k", 1).timeout) == ("k", 1)


def test_misuse_is_never_tried_again() -> None:
    # MI-38
    assert {InvalidIntent, Forbidden, NoHandler, GiveUp} <= {*MISUSE}
    assert not issubclass(RetryLater, MISUSE) and not issubclass(LockTimeout, MISUSE)


def test_the_text_of_an_error_for_stamps() -> None:
    # MI-38
    assert text_of(ValueError("boom")) == "ValueError: boom" and text_of(KeyError()) == "KeyError"


def test_a_group_of_handlers_errors_is_split_as_groups_are() -> None:
    # MI-6
    group = HandlersFailed("2 handlers", [ValueError("a"), KeyError("b")])
    match, rest = group.split(ValueError)
    assert isinstance(match, HandlersFailed) and isinstance(rest, HandlersFailed)
    assert copy.copy(group).exceptions == group.exceptions
    assert str(pickle.loads(pickle.dumps(group))) == str(group)


class Wordless(Exception):
    def __str__(self) -> str:
        raise TypeError


def test_the_text_of_an_error_can_be_kept_whatever_the_error_is() -> None:
    assert text_of(Wordless()) == "Wordless, whose text raises TypeError"
    assert text_of(ValueError("half a \ud83d")) == r"ValueError: half a \ud83d"
    assert text_of(ValueError()) == "ValueError"
