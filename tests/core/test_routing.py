"""What a component accepts, how a bus is made, and what bad input gets (MO-4, MO-13)."""

from __future__ import annotations

import gc
import weakref
from functools import partial
from typing import Any

import pytest

from modd import (
    Accepts,
    Bus,
    BusInsideItself,
    InvalidOption,
    Message,
    ModdError,
    NotAComponent,
    Part,
    UnknownComponent,
    UnresolvedAnnotation,
)
from modd.core.component import accepts_of, name_of
from modd.testing import Recorder
from tests.core import postponed
from tests.names import A, B, Start


@pytest.mark.parametrize(("component", "types", "everything"), postponed.EXPECTED)
def test_a_component_accepts_what_its_first_parameter_is_annotated_with(
    component: Any, types: set[type], everything: bool
) -> None:
    # MO-4
    accepts = accepts_of(component)
    found = {kind for kind in accepts.types if kind.__name__ != "Local"}
    assert (found, accepts.everything) == (types, everything)


def test_a_local_type_is_looked_for_in_the_closure() -> None:
    # MO-4
    component, local = postponed.local_type()
    assert accepts_of(component) == Accepts((local,))


@pytest.mark.parametrize("component", [postponed.hidden_local_type(), postponed.type_checking_import])
def test_an_annotation_that_cannot_be_resolved_names_component_and_both_usual_causes(component: Any) -> None:
    # MO-13
    with pytest.raises(UnresolvedAnnotation) as caught:
        Bus([component])
    text = str(caught.value)
    assert name_of(component) in text and "TYPE_CHECKING" in text and "local type" in text
    assert isinstance(caught.value, ModdError)


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ("text", "cannot be called"),
        (None, "cannot be called"),
        (7, "cannot be called"),
        (A(), "cannot be called"),
        (A, "it is a class"),
        (postponed.Handler, r"did you mean Handler\(\)\?"),
        (postponed.decorated, r"did you mean decorated\(\)\?"),
        (lambda *, message: None, "takes no message"),
        (lambda **message: None, "takes no message"),
        (postponed.with_settings, r"functools.partial\(with_settings, message=...\)"),
        (lambda message, *, key: None, "it requires 'key'"),
    ],
)
def test_what_cannot_take_a_message_is_refused_when_the_bus_is_made_or_added_to(wrong: Any, says: str) -> None:
    # MO-13
    for make in (lambda: Bus([wrong]), lambda: Bus().add(wrong), lambda: Part(wrong)):
        with pytest.raises(NotAComponent, match=says) as caught:
            make()
        assert isinstance(caught.value, TypeError)


def takes_text(message: str) -> None: ...
def takes_list(message: list[A]) -> None: ...
def takes_either(message: A | int) -> None: ...


@pytest.mark.parametrize("wrong", [takes_text, takes_list, takes_either])
def test_a_component_that_accepts_what_is_not_a_message_type_is_refused(wrong: Any) -> None:
    # MO-13
    with pytest.raises(NotAComponent, match=r"derive it from modd\.Message"):
        Bus([wrong])


@pytest.mark.parametrize("wrong", [Bus(), print, 7, A])
def test_components_are_given_in_a_list(wrong: Any) -> None:
    # MO-13
    with pytest.raises(NotAComponent, match=r"Bus\(\[\.\.\.\]\)"):
        Bus(wrong)


def test_a_bus_cannot_be_added_to_itself_directly_or_through_others() -> None:
    # MO-13
    bus = Bus(name="bus")
    middle = Bus([Part(bus)], name="middle")
    outer = Bus([middle], name="outer")
    for inner, path in ((bus, ("bus", "bus")), (outer, ("bus", "outer", "middle", "Part", "bus"))):
        with pytest.raises(BusInsideItself) as caught:
            bus.add(inner)
        assert caught.value.path == path and "outbound" in str(caught.value)
    assert bus.components == ()


@pytest.mark.parametrize("option", ["inbound", "outbound"])
@pytest.mark.parametrize("wrong", [A, "A", [A()], [str], [1], 7])
def test_a_boundary_is_a_list_of_message_types(option: str, wrong: Any) -> None:
    # MO-13
    options: dict[str, Any] = {option: wrong}
    with pytest.raises(InvalidOption, match=option):
        Bus(**options)


@pytest.mark.parametrize("wrong", ["", 7, None])
def test_a_name_is_a_text(wrong: Any) -> None:
    # MO-13
    with pytest.raises(InvalidOption, match="name"):
        Bus(name=wrong)


@pytest.mark.anyio
async def test_bad_input_loses_nothing_of_another_sender() -> None:
    # MO-13
    seen: list[Message] = []
    bus = Bus()

    async def meddles(message: Start) -> A:
        for wrong in (7, A, Bus([bus])):
            with pytest.raises(ModdError):
                bus.add(wrong)  # type: ignore[arg-type]
        with pytest.raises(ModdError):
            await bus("text")  # type: ignore[arg-type]
        return A()

    def keep(message: A) -> None:
        seen.append(message)

    bus.add(meddles)
    bus.add(keep)
    await bus(Start())
    assert seen == [A()]


def test_find_looks_to_any_depth_and_names_what_is_known() -> None:
    # MO-26
    inner = Bus([postponed.one], name="inner")
    bus = Bus([Part(inner), postponed.union], name="bus")
    assert bus.find("inner") is inner and bus.find("one") is postponed.one
    with pytest.raises(UnknownComponent, match="'cart' in bus; it has: Part, inner, one, union") as caught:
        bus.find("cart")
    assert isinstance(caught.value, LookupError)
    with pytest.raises(UnknownComponent, match="it has: none"):
        Bus().find("cart")


def test_find_takes_the_kind_of_the_component_and_names_the_known_ones_of_it() -> None:
    # TK-2
    inner, recorder = Bus([postponed.one], name="one"), Recorder(name="one")
    bus = Bus([postponed.one, recorder, inner, Bus(name="two")], name="bus")
    assert bus.find("one") is postponed.one
    assert bus.find("one", Recorder) is recorder and bus.find("one", Bus) is inner
    with pytest.raises(UnknownComponent, match=r"no component 'two' that is a Recorder in bus; it has: one$"):
        bus.find("two", Recorder)
    with pytest.raises(InvalidOption, match="give a class, such as CommandBus"):
        bus.find("two", "Bus")  # type: ignore[call-overload]


@pytest.mark.anyio
async def test_a_removed_component_gets_no_message_any_more() -> None:
    # MO-5
    seen: list[Message] = []

    def keep(message: Message) -> None:
        seen.append(message)

    bus = Bus([keep, keep, postponed.one])
    bus.remove(keep)
    await bus(A())
    assert seen == [A()] and bus.components == (keep, postponed.one)
    bus.remove(keep)
    await bus(A())
    assert seen == [A()]
    with pytest.raises(UnknownComponent, match="keep"):
        bus.remove(keep)


def test_a_bus_in_two_places_stays_renewed_until_it_is_in_none() -> None:
    # MO-5
    inner = Bus(name="inner")
    outer = Bus([inner, inner], name="outer")
    outer.remove(inner)
    inner.add(postponed.one)
    assert list(outer.accepts.types) == [A]
    outer.remove(inner)
    assert list(outer.accepts.types) == []


def test_a_surrounding_bus_is_not_kept_alive_by_what_is_inside() -> None:
    inner = Bus(name="inner")
    gone = weakref.ref(Bus([inner], name="outer"))
    gc.collect()
    assert gone() is None


def test_names_of_components() -> None:
    # MO-26
    assert name_of(postponed.one) == "one"
    assert name_of(postponed.Handler()) == "Handler"
    assert name_of(postponed.Handler().method) == "Handler.method"
    assert name_of(partial(postponed.with_settings, {})) == "with_settings"
    assert name_of(postponed.hidden_local_type()) == "hidden_local_type.component"
    assert name_of(Bus(name="shop")) == "shop"
    assert repr(Bus([postponed.one, Bus(name="inner")], name="shop")) == "<Bus shop: one, inner>"


def test_a_part_without_components_accepts_everything() -> None:
    assert Part().accepts == Accepts(everything=True) and Part().boundary is None


def test_a_component_may_name_the_bus_that_it_is_being_given_to() -> None:
    # MO-5
    made = postponed.names_its_bus()
    assert made.accepts.types == (A,)


@pytest.mark.anyio
async def test_types_of_one_base_are_found_by_it() -> None:
    # MO-4
    class Special(A):
        pass

    seen: list[Message] = []

    def keep(message: A | B) -> None:
        seen.append(message)

    await Bus([keep])(Special())
    assert seen == [Special()]
