"""The annotations of components and handlers: generic bases, aliases, decorators of other modules."""

from __future__ import annotations

import functools
import sys
from typing import Annotated, Any, Generic, Protocol, TypeVar, Union

import pytest
from typing_extensions import TypeAliasType
from typing_extensions import TypeVar as TypeVarWithDefault

from modd import Bus, Message, NotAComponent, UnresolvedAnnotation
from modd.core import members
from modd.core.component import accepts_of
from modd.cqrs import Command, CommandBus, Emit, Envelope, Event, EventBus, InvalidHandler
from tests.core.annotated_elsewhere import Handler, M, Named, bound_by_name, new_type_by_name, timed, traced
from tests.core.annotated_elsewhere import Moved as MovedElsewhere
from tests.names import A, B, C

pytestmark = pytest.mark.anyio

First = TypeVar("First", bound=Message)
Second = TypeVar("Second")
Input_contra = TypeVar("Input_contra", contravariant=True)


class Moved(Message):
    """Another type of this name."""


class Ship(Handler[A]): ...


class Through(Handler[M]): ...


class Last(Through[B]): ...


class Both(Handler[A | B]): ...


class Unnamed(Handler): ...  # type: ignore[type-arg]


class Mixed(Unnamed, Handler[C]): ...


class Two(Generic[First, Second]):
    """Two variables, in another order further down."""

    def first(self, message: First) -> None: ...

    def second(self, message: Second) -> None: ...

    def own(self, message: Moved) -> None: ...


class Swapped(Two[Second, First], Generic[First, Second]): ...  # type: ignore[type-var]


class Swap(Swapped[A, B]): ...


class Takes(Protocol[Input_contra]):
    """A generic protocol."""

    def __call__(self, message: Input_contra) -> None:
        return None


class Taking(Takes[B]):
    def __call__(self, message: Any) -> None: ...


class Inheriting(Takes[B]): ...


class Overriding(Ship):
    """Its own annotation counts."""

    def handle(self, message: B) -> None: ...  # type: ignore[override]


class Unusual(Handler[A]):
    """A subclass with attributes of every kind."""

    value = 1
    part = functools.partial(print)

    @property
    def name(self) -> str:
        return "unusual"


GENERIC: list[tuple[Any, set[type]]] = [
    (Ship(), {A}),
    (Ship().handle, {A}),
    (Ship().cached, {A}),
    (Ship.of_class, {A}),
    (Ship().of_class, {A}),
    (functools.partial(Ship()), {A}),
    (functools.partial(Ship().handle), {A}),
    (traced(Ship().handle), {A}),
    (Ship().union, {A, MovedElsewhere}),
    (Ship().moved, {MovedElsewhere}),
    (Handler[B](), {B}),
    (Handler[B]().handle, {B}),
    (Through[B](), {B}),
    (Last(), {B}),
    (Both(), {A, B}),
    (Mixed(), {C}),
    (Named(), {MovedElsewhere}),
    (Swap().first, {B}),
    (Swap().second, {A}),
    (Swap().own, {Moved}),
    (Inheriting(), {B}),
    (Overriding().handle, {B}),
    (Overriding(), {A}),
    (Unusual(), {A}),
]


@pytest.mark.costly
@pytest.mark.parametrize(("component", "types"), GENERIC)
async def test_a_type_variable_of_a_generic_base_is_the_type_that_the_subclass_names(
    component: Any, types: set[type]
) -> None:
    # DF-5
    accepts = accepts_of(component)
    assert (set(accepts.types), accepts.everything) == (types, False)
    await Bus([component])(C())


@pytest.mark.parametrize("component", [Unnamed(), Handler(), Unnamed().handle, Taking()])
def test_without_a_named_type_the_bound_counts(component: Any) -> None:
    assert accepts_of(component).everything


def on(message: Moved) -> None: ...


class Moving:
    """Methods behind decorators of another module."""

    on_timed = timed(on)
    on_traced = staticmethod(traced(on))

    @functools.lru_cache  # noqa: B019
    def cached(self, message: Moved) -> None: ...

    @traced
    def followed(self, message: Moved) -> None: ...

    @classmethod
    @traced
    def of_class(cls, message: Moved) -> None: ...

    @functools.lru_cache  # noqa: B019
    def __call__(self, message: Moved) -> None: ...


DECORATED: list[Any] = [
    timed(on),
    traced(on),
    functools.lru_cache(on),
    functools.cache(timed(on)),
    timed(functools.lru_cache(traced(on))),
    functools.partial(timed(on)),
    timed(functools.partial(on)),
    functools.partial(functools.partial(functools.lru_cache(on))),
    functools.singledispatch(on),
    staticmethod(on),
    Moving.on_timed,
    Moving.on_traced,
    Moving().cached,
    Moving().followed,
    Moving.of_class,
    Moving(),
    timed(Moving()),
    timed(Moving().cached),
]


@pytest.mark.parametrize("component", DECORATED)
async def test_names_are_looked_up_where_the_annotation_was_written_not_in_the_module_of_a_decorator(
    component: Any,
) -> None:
    # DF-5
    assert accepts_of(component).types == (Moved,)
    await Bus([component])(Moved())


@pytest.mark.parametrize("component", [bound_by_name, new_type_by_name])
def test_a_bound_or_a_supertype_that_is_given_by_name_is_looked_up_in_its_module(component: Any) -> None:
    # DF-5
    assert accepts_of(component).types == (MovedElsewhere,)


Place = TypeVar("Place")


class PlaceOrder(Command[int]): ...


class Ordered(Event): ...


class Paid(Event): ...


OrderEvent = TypeAliasType("OrderEvent", Union[Ordered, Paid])  # noqa: UP007
EventOf = TypeAliasType("EventOf", Union[Place, Paid], type_params=(Place,))  # noqa: UP007
Nested = TypeAliasType("Nested", Annotated[OrderEvent, "doc"])
OrderEnvelope = TypeAliasType("OrderEnvelope", Envelope[Place], type_params=(Place,))  # pyright: ignore[reportInvalidTypeArguments]
Emitting = TypeAliasType("Emitting", Emit)
Looped = TypeAliasType("Looped", "Looped")  # type: ignore[misc]
Defaulted = TypeVarWithDefault("Defaulted", default=Paid)


def alias(event: OrderEvent) -> None: ...
def alias_of(event: EventOf[Ordered]) -> None: ...
def nested(event: Nested) -> None: ...
def in_union(event: OrderEvent | None) -> None: ...
def defaulted(event: Defaulted | Ordered) -> None: ...


@pytest.mark.parametrize("component", [alias, alias_of, nested, in_union, defaulted])
async def test_a_type_alias_is_what_it_stands_for(component: Any) -> None:
    # DF-5
    assert set(accepts_of(component).types) == {Ordered, Paid}
    assert set(EventBus([component]).types) == {Ordered, Paid}
    await Bus([EventBus([component])])(Paid())


async def test_aliases_of_envelopes_and_arguments_are_taken_by_handlers() -> None:
    class Clock: ...

    clock = TypeAliasType("clock", Clock)  # pyright: ignore[reportGeneralTypeIssues]

    def place(envelope: OrderEnvelope[PlaceOrder], emit: Emitting, at: Clock, also: Any = clock) -> int:
        emit(Paid())
        return int(isinstance(envelope, Envelope) and isinstance(at, Clock))

    place.__annotations__ |= {"at": clock, "also": Clock}
    bus = CommandBus([place], resources={clock: Clock(), Clock: Clock()})
    dispatched = await bus.dispatch(PlaceOrder())
    assert dispatched.result == 1 and dispatched.events == (Paid(),)


@pytest.mark.parametrize("component", [Ship(), timed(on), Ship().cached])
def test_handlers_of_typed_buses_read_annotations_in_the_same_way(component: Any) -> None:
    with pytest.raises(Exception, match=r"derived from modd\.cqrs\.Command"):
        CommandBus([component])


class Placing(Handler[PlaceOrder]):
    def handle(self, message: PlaceOrder) -> None: ...


class PlacingByEnvelope(Generic[M]):
    def __call__(self, envelope: Envelope[M]) -> int:
        return 7


class PlacesByEnvelope(PlacingByEnvelope[PlaceOrder]): ...


async def test_handlers_with_a_generic_base_handle_the_type_that_they_name() -> None:
    # DF-5
    assert CommandBus([Placing()]).types == CommandBus([Handler[PlaceOrder]()]).types == (PlaceOrder,)
    assert await CommandBus([PlacesByEnvelope()]).ask(PlaceOrder()) == 7


class WrongName(Handler["Nowhere"]): ...  # type: ignore[name-defined]


def looped(event: Looped) -> None: ...  # pyright: ignore[reportInvalidTypeForm]


@pytest.mark.parametrize("component", [WrongName(), looped])
def test_a_name_that_cannot_be_found_is_told_with_the_component(component: Any) -> None:
    for make in (lambda: Bus([component]), lambda: EventBus([component])):
        with pytest.raises((UnresolvedAnnotation, NotAComponent, InvalidHandler)) as raised:
            make()
        assert "WrongName" in str(raised.value) or "looped" in str(raised.value)


SINCE_312 = """
from __future__ import annotations
type CartMessage = A | B
type Pair[T] = T | C
type Tree = A | Tree
type Missing = Nowhere

class Handles[T: (A, B)]:
    def __call__(self, message: T) -> None: ...
    def pair(self, message: Pair[T]) -> None: ...

class HandlesA(Handles[A]): ...
class Bound[T: A]:
    def __call__(self, message: T) -> None: ...

def alias(message: CartMessage): ...
def pair(message: Pair[A]): ...
def tree(message: Tree): ...
def generic[T: B](message: T): ...
def missing(message: Missing): ...
"""


@pytest.mark.skipif(sys.version_info < (3, 12), reason="the syntax of Python 3.12")
@pytest.mark.parametrize("postponed", [False, True])
def test_the_syntax_of_python_3_12(postponed: bool) -> None:
    # DF-5
    names: dict[str, Any] = {"A": A, "B": B, "C": C, "__name__": __name__}
    exec(SINCE_312 if postponed else SINCE_312.replace("from __future__ import annotations", ""), names)
    for component, types in (
        (names["alias"], {A, B}),
        (names["pair"], {A, C}),
        (names["tree"], {A}),
        (names["generic"], {B}),
        (names["HandlesA"](), {A}),
        (names["HandlesA"]().pair, {A, C}),
        (names["Handles"](), {A, B}),
        (names["Bound"](), {A}),
    ):
        assert set(accepts_of(component).types) == types, component
    with pytest.raises(UnresolvedAnnotation, match="Nowhere"):
        Bus([names["missing"]])


def test_members_of_a_hint_are_plain_types() -> None:
    assert [*members(Union[A, Annotated[B, 1], None])] == [A, B]  # noqa: UP007
    assert [*members(OrderEvent)] == [Ordered, Paid]
