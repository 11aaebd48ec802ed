"""Errors of modd pickle and copy with their text, and groups of errors name their first cause."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from inspect import signature
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import anyio
import pytest

from modd import Bus, InvalidOption, Message, ModdError, NoHandler, NotAComponent, TurnFailed
from modd.cqrs import Command, CommandBus, HandlersFailed, RateLimited
from modd.errors import UnpicklableError
from modd.middleware import RateLimit
from modd.ports import Tagged
from modd.texts import text_of
from tests.names import A, N

ROOT = Path(__file__).parents[1]


class Ping(Command[int]): ...


class TwoArguments(Exception):
    """An error that pickle writes and cannot read."""

    def __init__(self, sku: str, left: int) -> None:
        super().__init__(f"{left} {sku} left")


class Unshowable(Exception):
    def __str__(self) -> str:
        raise ValueError("no text")

    __repr__ = __str__


def rope_is_out(message: A) -> None:
    raise KeyError("rope")


def ping(command: Ping) -> int:
    return 1


def kinds(kind: type[ModdError] = ModdError) -> Iterator[type[ModdError]]:
    """All errors of modd, without those that tests derive."""
    for each in kind.__subclasses__():
        if each.__module__.startswith("modd."):
            yield each
        yield from kinds(each)


for path in (ROOT / "modd").rglob("[!_]*.py"):  # some errors are in modules that are imported late
    import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))

VALUES: dict[str, Any] = {
    "str": "text",
    "str | None": "text",
    "type | str": N,
    "type": N,
    "float": 1.5,
    "float | None": 1.5,
    "int": 404,
    "bool": True,
    "object": [1, 2],
    "Any": "text",
    "Message": N(n=1),
    "Exception": ValueError("no"),
    "BaseException": ValueError("no"),
    "Iterable[str]": ["a", "b"],
    "Sequence[str]": ["a", "b"],
    "Iterable[type]": [N, A],
    "Sequence[Any]": ["a fault"],
    "Tagged": Tagged("a", "b", types=[N]) | Tagged("c"),
    "Sequence[Exception]": [ValueError("no"), KeyError("k")],
    "Sequence[tuple[str, str]]": [("$.n", "is odd")],
    "Sequence[tuple[type, str, type]]": [(N, "a", N)],
}


def example(kind: type[ModdError]) -> ModdError:
    """An error of this type, made of values that fit its annotations."""
    if issubclass(kind, BaseExceptionGroup):
        return kind("2 failures", [ValueError("no"), kind("inner", [KeyError("k")])])
    if "__init__" not in vars(kind):
        return kind("text")
    return kind(*(VALUES[parameter.annotation] for parameter in signature(kind).parameters.values()))


def through_pickle(error: ModdError) -> ModdError:
    restored = pickle.loads(pickle.dumps(error))
    assert isinstance(restored, ModdError)
    return restored


WAYS: list[Callable[[ModdError], ModdError]] = [through_pickle, copy.copy, copy.deepcopy]


def comparable(value: Any) -> Any:
    """Errors do not compare by value; types and texts do."""
    if isinstance(value, BaseException):
        return type(value), str(value)
    return [comparable(item) for item in value] if isinstance(value, (list, tuple)) else value


@pytest.mark.costly
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("kind", list(dict.fromkeys(kinds())), ids=lambda kind: kind.__name__)
def test_every_error_pickles_and_copies_with_its_text_and_attributes(
    kind: type[ModdError], way: Callable[[ModdError], ModdError]
) -> None:
    # DF-9
    error = example(kind)
    error.add_note("seen twice")
    restored = way(error)
    assert type(restored) is kind and restored is not error
    assert str(restored) == str(error)
    assert comparable(restored.args) == comparable(error.args)
    assert restored.__dict__.keys() - {"text"} == error.__dict__.keys()
    for name, value in error.__dict__.items():
        assert comparable(restored.__dict__[name]) == comparable(value)
    if isinstance(error, ExceptionGroup):
        assert isinstance(restored, ExceptionGroup) and len(restored.exceptions) == 2


def ask_too_often() -> None:
    commands = CommandBus([ping], middleware=[RateLimit(1, per=60)])

    async def twice() -> None:
        await commands.ask(Ping())
        await commands.ask(Ping())

    anyio.run(twice)


def fail_in_a_turn() -> None:
    anyio.run(Bus([rope_is_out], name="shop"), A())


@pytest.mark.costly
def test_an_error_of_modd_leaves_a_pool_of_processes_in_order() -> None:
    # DF-9
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        with pytest.raises(RateLimited):
            pool.submit(ask_too_often).result()
        with pytest.raises(TurnFailed) as caught:
            pool.submit(fail_in_a_turn).result()
        assert str(caught.value) == "1 failure in a turn of shop: KeyError: 'rope'"
        assert pool.submit(len, "abc").result() == 3


def test_an_attribute_that_cannot_be_pickled_arrives_as_its_text_and_is_copied_as_it_is() -> None:
    class Local(Message): ...

    error = NoHandler(Local, "shop", [N, Local])
    restored = pickle.loads(pickle.dumps(error))
    assert str(restored) == str(error)
    assert restored.intent == repr(Local) and restored.handled == (N, repr(Local))
    assert copy.copy(error).intent is Local

    lock = copy.deepcopy(NotAComponent(pickle.Unpickler, "no"))
    assert lock.value is pickle.Unpickler
    generator = (letter for letter in "ab")
    assert copy.deepcopy(InvalidOption("limit", generator, "give a number")).value is generator


def test_a_value_whose_repr_fails_harms_neither_the_error_nor_its_pickle() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise ValueError("no repr")

    error = InvalidOption("limit", Odd(), "give a number")
    restored = pickle.loads(pickle.dumps(error))
    assert str(restored) == str(error) and "Odd, whose repr raised ValueError>: give a number" in str(error)
    assert "whose repr raised ValueError>" in restored.value
    assert "Odd, whose repr raised ValueError> (Odd) cannot be" in str(NotAComponent(Odd(), "no"))


def test_an_error_in_a_group_that_does_not_survive_pickle_is_replaced_by_its_text() -> None:
    # DF-9
    class Local(Exception): ...

    group = TurnFailed("3 failures", [TwoArguments("rope", 0), Local("here"), KeyError("rope")])
    restored = pickle.loads(pickle.dumps(group))
    lost, local, found = restored.exceptions
    assert type(lost) is UnpicklableError and str(lost) == "TwoArguments: 0 rope left"
    assert type(local) is UnpicklableError and str(local) == "Local: here"
    assert type(found) is KeyError
    assert copy.copy(group).exceptions == group.exceptions


def test_turn_failed_pickles_what_left_without_the_bus() -> None:
    # DF-9
    bus = Bus([], name="shop")
    failed = TurnFailed("1 failure in a turn of shop", [KeyError("rope")], [N(1)], bus)
    failed.result = 7
    restored = pickle.loads(pickle.dumps(failed))
    assert (restored.outbound, restored.bus, restored.result) == ((N(1),), None, 7)
    for copied in (copy.copy(failed), copy.deepcopy(failed)):
        assert (copied.outbound, copied.bus, copied.result) == ((N(1),), bus, 7)


def test_a_pickle_of_turns_inside_each_other_grows_with_their_depth_and_not_by_doubling() -> None:
    failed = TurnFailed("1 failure", [KeyError("rope")])
    for _ in range(60):
        failed = TurnFailed("1 failure", [failed])
    assert str(pickle.loads(pickle.dumps(failed))) == str(failed)


def test_the_text_of_a_group_names_its_first_cause_however_deep_it_is() -> None:
    # DF-9
    cause: Exception = KeyError("rope")
    for _ in range(1500):
        cause = ExceptionGroup("around", [cause])  # pyright: ignore[reportArgumentType]
    failed = TurnFailed("2 failures in a turn of shop", [cause, ValueError("later")])
    assert str(failed) == "2 failures in a turn of shop: KeyError: 'rope'"
    assert text_of(failed) == "TurnFailed: 2 failures in a turn of shop: KeyError: 'rope'"
    assert str(HandlersFailed("2 handlers failed", [OSError("gone")])) == "2 handlers failed: OSError: gone"
    assert str(TurnFailed("1 failure", [Unshowable()])) == "1 failure: Unshowable, whose text raises ValueError"


@pytest.mark.anyio
async def test_the_sender_reads_the_first_cause_in_one_line() -> None:
    # DF-9
    with pytest.raises(TurnFailed) as caught:
        await Bus([Bus([rope_is_out], name="inner"), rope_is_out], name="shop")(A())
    assert str(caught.value) == "2 failures in a turn of shop: KeyError: 'rope'"
