"""The handler: the I/O around a service."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, NewType

import anyio
import pytest

from modd import Bus, Failure, InvalidOption, Message, Sensitive, TurnFailed, TurnOverflow
from modd.cqrs import Command, Envelope, Event, InvalidHandler
from modd.ports import NoTransaction, Transaction
from modd.service import Handler, ServerError, Service
from tests.service.desk import (
    Asked,
    Cloakroom,
    CloakroomError,
    Coats,
    Count,
    Emptied,
    Full,
    Hang,
    Hung,
    NoCoat,
    Take,
    Taken,
    Told,
    cloakroom_handler,
    decide,
    interpret,
    tell,
)

pytestmark = pytest.mark.anyio


async def test_a_message_is_loaded_decided_stored_and_told() -> None:
    # WM-44 RS-4 RS-6
    cloakroom = Cloakroom()
    handler = cloakroom_handler(cloakroom)
    assert await handler(Asked("hang ada")) == (Told("ada on hook 0"),)
    assert cloakroom.log == ["load for ada", Hung("ada", 0)]


async def test_all_events_are_stored_in_order_before_the_first_is_told() -> None:
    # RS-6
    cloakroom = Cloakroom("ada")
    told: list[int] = []

    def outbound(event: Event) -> list[Told]:
        told.append(len(cloakroom.log))
        return tell(event)

    handler = cloakroom_handler(cloakroom, outbound=outbound)
    assert await handler(Asked("take ada")) == (Told("empty"), Told("lights off"))
    assert cloakroom.log == ["load for ada", Taken("ada"), Emptied()]
    assert told == [3, 3]


async def test_commands_and_queries_of_a_message_are_handled_in_sequence_and_their_messages_concatenated() -> None:
    # RS-5
    cloakroom = Cloakroom()
    handler = cloakroom_handler(cloakroom)
    assert await handler(Asked("hang ada hang bob take ada")) == (Told("ada on hook 0"), Told("bob on hook 1"))
    assert await handler(Asked("")) == ()
    cloakroom.log.clear()
    assert await handler(Asked("count")) == (Told("1 coats"),)
    assert cloakroom.log == []


async def test_interpretation_may_fail_into_a_message() -> None:
    # RS-5
    handler = cloakroom_handler(Cloakroom())
    assert await handler(Asked("throw ada hang bob")) == (Told("no such verb: throw"), Told("bob on hook 0"))

    def refuses(message: Asked) -> Hang:
        raise NoCoat(message.text)

    def returns_it(message: Asked) -> CloakroomError:
        return NoCoat(message.text)

    def about(error: Exception, message: Message) -> Told:
        return Told(f"{error} of {message!r}")

    for function in (refuses, returns_it):
        refusing = cloakroom_handler(Cloakroom(), interpret=function, errors={NoCoat: about})
        assert await refusing(Asked("rain")) == (Told("rain of Asked(text='rain')"),)


async def test_an_error_of_the_domain_becomes_its_own_message_and_later_commands_still_run() -> None:
    # WM-47 RS-7
    cloakroom = Cloakroom()
    handler = cloakroom_handler(cloakroom)
    assert await handler(Asked("take ada hang bob")) == (Told("ada: NoCoat ada"), Told("bob on hook 0"))
    assert cloakroom.log == ["load for ada", "load for bob", Hung("bob", 0)]


async def test_the_nearest_base_of_an_error_counts() -> None:
    # WM-47
    errors = {
        Exception: lambda error, command: Told("any"),
        CloakroomError: lambda error, command: [Told("cloakroom"), Told(command.owner)],
        NoCoat: lambda error, command: None,
    }
    cloakroom = Cloakroom("ada", "eve")
    handler = cloakroom_handler(cloakroom, errors=errors)
    assert await handler(Asked("hang bob")) == (Told("cloakroom"), Told("bob"))
    assert await handler(Asked("take bob")) == ()
    cloakroom.owners = None  # type: ignore[assignment]
    assert await handler(Asked("hang bob")) == (Told("any"),)


class Pay(Command[None]):
    owner: str
    card: Annotated[str, Sensitive]


async def test_any_other_error_is_a_server_error_with_a_traceback_in_the_log_and_no_secret(
    caplog: pytest.LogCaptureFixture,
) -> None:
    # WM-47 RS-7
    def execute(command: Pay | Hang) -> Hung:
        if isinstance(command, Pay):
            raise ValueError(f"{command.owner} has {command.card}")
        return Hung(command.owner, 0)

    def pays(message: Asked) -> list[Message]:
        return [Pay("ada", "4711-0815"), Hang("bob")]

    handler = Handler(Service(execute), interpret=pays, name="cloakroom")
    with caplog.at_level(logging.ERROR):
        assert await handler(Asked("")) == (ServerError("ValueError: ada has ***"), Hung("bob", 0))
    (record,) = caplog.records
    assert record.name == "modd.cloakroom"
    assert "Pay failed" in record.getMessage()
    assert "in execute" in caplog.text
    assert "4711-0815" not in caplog.text


async def test_an_error_of_the_domain_without_a_function_is_a_server_error() -> None:
    # WM-47
    handler = cloakroom_handler(Cloakroom(), errors={})
    assert await handler(Asked("take ada")) == (ServerError("NoCoat: ada"),)


async def test_a_function_for_errors_that_fails_leaves_a_server_error() -> None:
    # WM-47
    handler = cloakroom_handler(Cloakroom(), errors={NoCoat: lambda error, command: 1 / 0})
    assert await handler(Asked("take ada")) == (ServerError("ZeroDivisionError: division by zero"),)


async def test_an_error_of_outbound_hides_no_other_event() -> None:
    # WM-47
    def outbound(event: Event) -> Told:
        if isinstance(event, Taken):
            raise ValueError("no words")
        return Told("empty")

    handler = cloakroom_handler(Cloakroom("ada"), outbound=outbound)
    assert await handler(Asked("take ada")) == (ServerError("ValueError: no words"), Told("empty"))


async def test_an_error_of_store_lets_nothing_out() -> None:
    # WM-47
    def store(event: Event) -> None:
        raise OSError("disk full")

    handler = cloakroom_handler(Cloakroom("ada"), store=store)
    assert await handler(Asked("take ada")) == (ServerError("OSError: disk full"),)


async def test_errors_of_the_domain_may_come_from_load_store_and_query() -> None:
    # WM-47
    def full(value: Any) -> Full:
        return Full("0 hooks")

    errors = {Full: lambda error, subject: Told(f"{type(subject).__name__}: {error}")}
    for option, text in (("load", "hang ada"), ("store", "hang ada"), ("query", "count"), ("outbound", "hang ada")):
        handler = cloakroom_handler(Cloakroom(), errors=errors, **{option: full})
        kind = "Count" if option == "query" else "Hang"
        assert await handler(Asked(text)) == (Told(f"{kind}: 0 hooks"),)


async def test_a_loaded_command_takes_the_place_of_the_command() -> None:
    # WM-45
    def execute(command: Hang) -> Hung:
        return Hung(command.owner, 7)

    def load(command: Hang) -> Hang:
        return Hang(command.owner.upper())

    handler = Handler(Service(execute), interpret=hangs, load=load)
    assert await handler(Asked("hang ada")) == (Hung("ADA", 7),)


async def test_a_loaded_model_is_given_as_further_arguments() -> None:
    # WM-45
    got: list[tuple[Any, ...]] = []

    def execute(command: Hang, *model: Any) -> None:
        got.append(model)

    loaded: list[Any] = [Coats(), (Coats(), 5), [1, 2], ((),), None]

    def load(command: Hang) -> Any:
        return loaded[len(got)]

    for _ in loaded:
        handler = Handler(Service(execute), interpret=hangs, load=load)
        assert await handler(Asked("")) == ()
    assert got == [(Coats(),), (Coats(), 5), ([1, 2],), ((),), (None,)]


def hangs(message: Asked) -> Hang:
    return Hang("ada")


async def test_a_load_that_finds_nothing_leaves_a_decision_without_model_alone() -> None:
    # WM-45
    def execute(command: Hang) -> Hung:
        return Hung(command.owner, 0)

    def load(command: Hang) -> None: ...

    handler = Handler(Service(execute), interpret=hangs, load=load)
    assert await handler(Asked("")) == (Hung("ada", 0),)


async def test_without_a_function_events_leave_as_they_are_and_nothing_is_stored() -> None:
    # WM-44
    handler = Handler(Service(decide), interpret=hangs, load=Cloakroom().load)
    assert await handler(Asked("")) == (Hung("ada", 0),)


Color = NewType("Color", str)


class Session:
    def __init__(self, number: int) -> None:
        self.number = number


async def test_functions_get_resources_by_annotation_made_once_for_load_and_store() -> None:
    # WM-44
    log: list[str] = []

    @asynccontextmanager
    async def session() -> AsyncIterator[Session]:
        number = sum(each.startswith("begin") for each in log)
        log.append(f"begin {number}")
        yield Session(number)
        log.append(f"end {number}")

    async def load(command: Hang | Take, session: Session, color: Color) -> Coats:
        log.append(f"load in {session.number} {color}")
        return Coats()

    async def store(event: Event, *, session: Session, times: int = 1) -> None:
        log.append(f"store in {session.number}")

    async def outbound(event: Event, session: Session) -> AsyncIterator[Told]:
        yield Told(f"in {session.number}")
        log.append("told")

    def two(message: Asked, color: Color) -> list[Hang]:
        return [Hang(color)] * 2

    resources = {Session: session, Color: "red"}
    handler = Handler(Service(decide), interpret=two, load=load, store=store, outbound=outbound, resources=resources)
    assert await handler(Asked("")) == (Told("in 1"), Told("in 3"))
    once = ["begin 0", "load in 0 red", "store in 0", "end 0", "begin 1", "told", "end 1"]
    assert log[:7] == once
    assert log[7] == "begin 2"


async def test_a_resource_that_cannot_be_left_lets_nothing_out() -> None:
    # WM-44
    @asynccontextmanager
    async def session() -> AsyncIterator[Cloakroom]:
        yield Cloakroom()
        raise OSError("commit failed")

    def load(command: Hang | Take, session: Cloakroom) -> Coats:
        return Coats()

    handler = Handler(Service(decide), interpret=hangs, load=load, resources={Cloakroom: session})
    assert await handler(Asked("")) == (ServerError("OSError: commit failed"),)


async def test_a_function_that_wants_a_transaction_without_one_is_told() -> None:
    # WM-44
    async def store(event: Event, tx: Transaction) -> None: ...

    handler = cloakroom_handler(Cloakroom(), store=store, errors={NoTransaction: lambda error, command: Told("none")})
    assert await handler(Asked("hang ada")) == (Told("none"),)


def more(event: Event, more: int) -> None: ...
def positional(event: Event, tx: Transaction, /) -> None: ...
def emits(event: Event, envelope: Envelope[Any]) -> None: ...
def unannotated(message): ...  # type: ignore[no-untyped-def]
def makes_queries(message: Asked) -> Count | Hang: ...  # type: ignore[empty-body]


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        ({"store": more}, InvalidHandler, "'more' has the annotation int, and the handler can provide: Transaction"),
        ({"store": emits}, InvalidHandler, "'envelope' has the annotation"),
        ({"store": positional}, InvalidHandler, "remove the /"),
        ({"load": 5}, InvalidHandler, "give a function"),
        ({"outbound": lambda: None}, InvalidHandler, "it takes no message"),
        ({"interpret": unannotated}, InvalidHandler, "does not say which messages it takes"),
        ({"interpret": makes_queries, "query": None}, InvalidOption, r"query=None: interpret makes queries \(Count\)"),
        ({"load": None}, InvalidOption, "load=None: decide takes more than the command"),
        ({"errors": [Full]}, InvalidOption, "errors="),
        ({"errors": {"Full": tell}}, InvalidOption, "errors='Full'"),
        ({"errors": {BaseException: tell}}, InvalidOption, "errors="),
        ({"errors": {Full: "full"}}, InvalidOption, "errors='full'"),
        ({"resources": 5}, InvalidOption, "resources="),
        ({"transaction": 5}, InvalidOption, "transaction="),
        ({"name": ""}, InvalidOption, "name="),
    ],
)
def test_a_handler_that_cannot_work_is_refused_when_it_is_made(
    options: dict[str, Any], error: type[Exception], text: str
) -> None:
    # WM-44
    with pytest.raises(error, match=text):
        cloakroom_handler(Cloakroom(), **options)


def test_a_handler_takes_a_service_and_no_function() -> None:
    # WM-44
    unchecked: Any = Handler
    with pytest.raises(InvalidOption, match=r"give a Service: Handler\(Service\(execute\), ...\)"):
        unchecked(decide, interpret=interpret)


async def test_a_query_that_was_not_announced_and_has_no_function_is_a_server_error() -> None:
    # WM-44
    def silent(message: Asked) -> Any:
        return Count()

    handler = cloakroom_handler(Cloakroom(), interpret=silent, query=None)
    (told,) = await handler(Asked(""))
    assert isinstance(told, ServerError)
    assert "no handler for Count" in told.reason


@pytest.mark.parametrize("returned", [5, "text", print])
async def test_a_value_that_is_no_message_is_a_server_error(returned: Any) -> None:
    # WM-44
    handler = cloakroom_handler(Cloakroom(), outbound=lambda event: returned)
    (told,) = await handler(Asked("hang ada"))
    assert isinstance(told, ServerError)
    assert told.reason.startswith("NotAMessage: ")


async def test_it_is_a_component_whose_messages_flow_on() -> None:
    # WM-44
    seen: list[Message] = []
    bus = Bus([cloakroom_handler(Cloakroom()), seen.append], outbound=[Told])
    assert await bus(Asked("hang ada")) == (Told("ada on hook 0"),)
    assert seen == [Asked("hang ada"), Told("ada on hook 0")]
    assert await bus(Emptied()) == ()


def test_it_has_a_name_and_takes_what_interpret_takes() -> None:
    # WM-44
    def several(message: Asked | Told) -> Any: ...

    def failures(message: Asked | Failure) -> Any: ...

    handler = cloakroom_handler(Cloakroom(), interpret=several, name="cloakroom")
    assert repr(handler) == "<Handler cloakroom: Asked, Told>"
    assert cloakroom_handler(Cloakroom()).name == "decide"
    assert handler.accepts.types == (Asked, Told)
    assert not handler.accepts.handles_failures
    assert cloakroom_handler(Cloakroom(), interpret=failures).accepts.handles_failures


async def test_cancellation_passes_through() -> None:
    # WM-44
    entered: list[str] = []

    async def load(command: Hang) -> Coats:
        entered.append(command.owner)
        await anyio.sleep_forever()
        raise AssertionError

    handler = cloakroom_handler(Cloakroom(), load=load)
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(handler, Asked("hang ada hang bob"))
            await anyio.wait_all_tasks_blocked()
            scope.cancel()
    assert entered == ["ada"]


class Ping(Message):
    pass


async def test_a_turn_that_a_limit_ends_is_no_error_of_the_handler() -> None:
    # WM-47
    endless = Bus([lambda message: Ping()], limit=10, name="endless")

    async def load(command: Hang) -> Coats:
        await endless(Ping())
        return Coats()

    with pytest.raises(TurnFailed) as failed:
        await cloakroom_handler(Cloakroom(), load=load)(Asked("hang ada"))
    assert failed.group_contains(TurnOverflow)
