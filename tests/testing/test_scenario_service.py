"""Given, when, then for a service: no loop, no store."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from modd import Bus, InvalidOption
from modd.cqrs import Actor, Envelope
from modd.service import DomainError, ImpureCall, Service
from modd.testing import given
from tests.aggregate.billing import invoices
from tests.service.desk import CloakroomError, Coats, Emptied, Full, Hang, Hung, NoCoat, Take, Taken, decide

cloakroom = Service(decide)

untyped: Any = given

ADA = Coats(("ada",))


def message_of(expectation: Callable[..., object], *args: Any) -> str:
    with pytest.raises(AssertionError) as caught:
        expectation(*args)
    return str(caught.value)


def test_a_model_a_command_and_its_events() -> None:
    # WM-70
    given(cloakroom, ADA).when(Hang("bob")).then(Hung("bob", 1))
    given(cloakroom, ADA).when(Take("ada")).then(Taken("ada"), Emptied())


def test_a_command_without_effect() -> None:
    # WM-70
    def nothing(command: Take, times: int = 1) -> None: ...

    given(Service(nothing)).when(Take("ada")).then_nothing()
    given(Service(nothing), 2).when(Take("ada")).then()
    given(Service(nothing), times=2).when(Take("ada")).then()


def test_an_error_is_expected_by_its_type_and_returned() -> None:
    # WM-70
    when = given(cloakroom, ADA).when(Take("bob"))
    assert str(when.then_error(NoCoat)) == "bob"
    assert isinstance(when.then_error(CloakroomError), NoCoat)
    given(cloakroom, Coats(("ada", "eve"))).when(Hang("bob")).then_error(Full)


def test_the_difference_is_told_in_words() -> None:
    # WM-70
    hung, refused = given(cloakroom, ADA).when(Hang("bob")), given(cloakroom, ADA).when(Take("bob"))
    assert message_of(hung.then, Hung("bob", 2)).splitlines() == [
        "the events differ (- expected, + decided):",
        "- Hung(owner='bob', hook=2)",
        "?                        ^",
        "+ Hung(owner='bob', hook=1)",
        "?                        ^",
    ]
    assert "+ Hung(owner='bob', hook=1)" in message_of(hung.then_nothing)
    assert message_of(hung.then_error, Full) == "Full was expected, but Hung(owner='bob', hook=1) was decided"
    assert message_of(refused.then, Taken("bob")) == (
        "Taken(owner='bob') was expected, but the command failed with NoCoat('bob')"
    )
    assert message_of(refused.then_nothing) == "no event was expected, but the command failed with NoCoat('bob')"
    assert message_of(refused.then_error, Full) == "Full was expected, but it was NoCoat('bob')"


def test_an_impure_call_is_found_although_the_service_is_not_guarded() -> None:
    # WM-70 WM-48
    def execute(command: Take) -> Taken:
        return Taken(f"{command.owner} at {time.time()}")

    with pytest.raises(ImpureCall, match="execute is to be pure"):
        given(Service(execute)).when(Take("ada"))


def test_an_error_that_is_none_of_the_domain_is_raised() -> None:
    # WM-70
    def execute(command: Take) -> None:
        raise KeyError(command.owner)

    with pytest.raises(KeyError, match="ada"):
        given(Service(execute)).when(Take("ada"))


@pytest.mark.parametrize(
    ("begin", "option"),
    [
        (lambda: untyped(cloakroom, ADA, by=Actor("ada")), "stamps"),
        (lambda: untyped(cloakroom, ADA).when("hang"), "command"),
        (lambda: untyped(cloakroom, ADA).when(Envelope(Hang("bob"))), "command"),
        (lambda: untyped(invoices(), coats=ADA), "coats"),
        (lambda: untyped(Bus([], name="shop"), coats=ADA), "coats"),
    ],
)
def test_misuse_fails_when_it_is_given(begin: Callable[[], object], option: str) -> None:
    # WM-70
    with pytest.raises(InvalidOption) as refused:
        begin()
    assert refused.value.option == option


def test_the_errors_of_the_domain_have_one_base() -> None:
    # WM-70
    def execute(command: Take) -> DomainError:
        return DomainError("closed")

    assert given(Service(execute)).when(Take("ada")).then_error(DomainError).args == ("closed",)
