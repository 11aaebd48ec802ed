"""Components under postponed annotations, as users write them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, wraps
from typing import TYPE_CHECKING, Annotated, Any, Generic, NewType, Optional, TypeVar, Union

from modd import Bus, Failure, Message
from tests.names import A, B, C

if TYPE_CHECKING:
    from tests.names import N

M = TypeVar("M", bound=A)
AB = TypeVar("AB", A, B)
Free = TypeVar("Free")
T = TypeVar("T")
Special = NewType("Special", A)


class Pair(Message, Generic[T]):
    """A generic message."""

    left: T


def one(message: A) -> None: ...
def union(message: A | B) -> None: ...
def old_union(message: Union[A, B]) -> None: ...  # noqa: UP007
def optional(message: Optional[A]) -> None: ...  # noqa: UP045
def annotated(message: Annotated[A, "doc"]) -> None: ...
def generic(message: Pair[int]) -> None: ...
def base(message: Message) -> None: ...
def anything(message: Any) -> None: ...
def everything(message: object) -> None: ...
def bare(message) -> None: ...  # type: ignore[no-untyped-def]
def star(*messages: A) -> None: ...
def defaulted(message: A, more: int = 1, *args: Any, key: str = "", **kwargs: Any) -> None: ...
def bound(message: M) -> None: ...
def constrained(message: AB) -> None: ...
def free(message: Free) -> None: ...
def new_type(message: Special) -> None: ...
def failure(message: Failure | A) -> None: ...
def unresolvable_return(message: A) -> N: ...  # type: ignore[empty-body]
async def coroutine(message: A) -> None: ...


def with_settings(settings: dict[str, int], message: A) -> None: ...


class Handler:
    """Methods and objects are components."""

    def method(self, message: A) -> None: ...

    def __call__(self, message: B) -> None: ...

    @staticmethod
    def static(message: A) -> None: ...

    @classmethod
    def of_class(cls, message: A) -> None: ...


def decorated() -> Any:
    """A component behind functools.wraps."""

    def plain(function: Callable[[Any], Any]) -> Any:
        @wraps(function)
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            return function(*args, **kwargs)

        return wrapper

    @plain
    def component(message: A) -> None: ...

    return component


def local_type() -> Any:
    """A local type that the component uses is found in its closure."""

    class Local(Message):
        """Local."""

    def component(message: Local) -> Local:
        return Local()

    return component, Local


def hidden_local_type() -> Any:
    """A local type that the component does not use cannot be found."""

    class Hidden(Message):
        """Local."""

    def component(message: Hidden) -> None: ...

    return component


def names_its_bus() -> Bus:
    """The bus is not there yet when the component is given to it."""

    async def component(message: A) -> None:
        await bus(message)

    bus = Bus([component])
    return bus


def type_checking_import(message: N) -> None: ...


EXPECTED: list[tuple[Any, set[type], bool]] = [
    (one, {A}, False),
    (union, {A, B}, False),
    (old_union, {A, B}, False),
    (optional, {A}, False),
    (annotated, {A}, False),
    (generic, {Pair}, False),
    (base, set(), True),
    (anything, set(), True),
    (everything, set(), True),
    (bare, set(), True),
    (star, {A}, False),
    (defaulted, {A}, False),
    (bound, {A}, False),
    (constrained, {A, B}, False),
    (free, set(), True),
    (new_type, {A}, False),
    (failure, {Failure, A}, False),
    (unresolvable_return, {A}, False),
    (coroutine, {A}, False),
    (partial(with_settings, {}), {A}, False),
    (partial(partial(with_settings, {})), {A}, False),
    (partial(defaulted, more=2), {A}, False),
    (Handler().method, {A}, False),
    (Handler(), {B}, False),
    (Handler.static, {A}, False),
    (Handler().of_class, {A}, False),
    (decorated(), {A}, False),
    (local_type()[0], set(), False),
    ([].append, set(), True),
    (print, set(), True),
    (max, set(), True),
    (lambda message: None, set(), True),
]
USED = (C,)
