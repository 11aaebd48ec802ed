"""The handler: the I/O around a service, from one inbound message to the messages that come of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from modd.checks import checked_methods, checked_name
from modd.concurrency.cancellation import error_of
from modd.core import Accepts, Message, Part, name_of, returned_by
from modd.cqrs.arguments import Resources, call_inside, checked_resources
from modd.cqrs.errors import InvalidHandler
from modd.cqrs.handlers import types_of
from modd.cqrs.immediate import run_immediate
from modd.cqrs.intents import Command, Query
from modd.errors import InvalidOption, NoHandler, TurnOverflow
from modd.ports import Conflict, SupportsTransactions
from modd.ports.transaction import usable_transaction
from modd.service.error_messages import ErrorMessages
from modd.service.injected import Injected, settled
from modd.service.service import Service
from modd.texts import errors_in

C = TypeVar("C")


M = TypeVar("M", bound=Message)


P = ParamSpec("P")


class Handler(Part, Generic[M]):
    """Does the I/O around a `Service`, as a component of a bus: load, decide, store, tell.

    A message becomes commands and queries, handled in sequence. For a command: ``load`` the model, have the service
    decide, ``store`` each event in order, then make the messages of each event by ``outbound``. The messages of all of
    them leave together, in order.

    Each function is sync or async. Its first parameter is as below; further parameters are filled by annotation: from
    ``resources``, or the open `Transaction`. Functions that return messages may return one, several or none. Any of
    them may raise a `DomainError`, or return it.

    service: the `Service`.
    interpret: a function of the inbound message, whose annotation says which messages the handler takes. It returns
        commands and queries; any other message, such as one about a message that makes no sense, leaves as it is.
    load: a function of the command that returns the model for the decision: a value, or a tuple of several, which
        become the further arguments of the service; or a command, which takes the place of the command. None, the
        default, if the decision rests on the command alone.
    query: a function of a query that returns messages; the service has no part in it. None, the default, if
        ``interpret`` makes no queries.
    store: a function of an event that keeps it. None, the default, to keep nothing.
    outbound: a function of an event that returns messages. None, the default, to let the events themselves leave.
    errors: by type of error, a function ``(error, command)`` that returns the message for it; the nearest base counts.
        Any other error leaves as a `ServerError`, and is logged with its traceback.
    resources: arguments by annotation, as those of a typed bus: a value, or a factory of an async context manager,
        which is entered once for the ``load`` and all ``store`` of a command.
    transaction: a store such as `modd.stores.SqliteStore`: ``load``, the decision and ``store`` are one transaction.
        ``outbound`` comes after the commit, so nothing leaves that was not kept. If another writer was faster, they are
        done once more, in an immediate transaction. Inside of another transaction it is a savepoint of that. None, the
        default, for no transaction.
    name: its name in journeys and logs; by default that of the function of the service.

    Raises:
        InvalidOption: an option has a value that cannot work.
        InvalidHandler: a function cannot be called so.
    """

    def __init__(
        self,
        service: Service[C, P],
        *,
        interpret: Callable[Concatenate[M, ...], Any],
        load: Callable[Concatenate[C, ...], Any] | None = None,
        query: Callable[Concatenate[Any, ...], Any] | None = None,
        store: Callable[Concatenate[Any, ...], Any] | None = None,
        outbound: Callable[Concatenate[Any, ...], Any] | None = None,
        errors: Mapping[type[Exception], Callable[[Any, Any], Any]] = {},
        resources: Resources | None = None,
        transaction: SupportsTransactions | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__()
        self._service: Service[Any, Any] = _checked_service(service)
        known = checked_resources(resources)
        self._load, self._query, self._store, self._outbound = (
            None if function is None else Injected(function, known) for function in (load, query, store, outbound)
        )
        self._interpret = Injected(interpret, known)
        self._types = _inbound_types(interpret)
        self._transaction = _checked_transaction(transaction)
        self.name = service.name if name is None else checked_name(name)
        self._errors = ErrorMessages(errors, self.name)
        if load is None and service.needs_model:
            raise InvalidOption("load", load, f"{service.name} takes more than the command; give a function for it")
        queries = [kind.__qualname__ for kind in returned_by(interpret) if issubclass(kind, Query)]
        if query is None and queries:
            raise InvalidOption("query", query, f"interpret makes queries ({', '.join(queries)}); give a function")

    def __repr__(self) -> str:
        return f"<Handler {self.name}: {', '.join(kind.__qualname__ for kind in self._types)}>"

    @property
    def accepts(self) -> Accepts:
        """The types that ``interpret`` takes."""
        return Accepts(self._types)

    async def __call__(self, message: M, /) -> tuple[Message, ...]:
        """Handle a message, and return the messages that come of it, those about errors included."""
        told: list[Message] = []
        for each in await self._attempt(told, message, partial(self._interpret.messages, message)):
            if isinstance(each, Command):
                events = await self._attempt(told, each, partial(self._decide, each))
                for event in events:
                    told.extend(await self._attempt(told, each, partial(self._messages_of, event)))
            elif isinstance(each, Query):
                told.extend(await self._attempt(told, each, partial(self._answer, each)))
            else:
                told.append(each)
        return tuple(told)

    async def _attempt(
        self, told: list[Message], subject: Message, work: Callable[[], Awaitable[Sequence[Message]]]
    ) -> Sequence[Message]:
        """Return the messages of some work; of work that fails none, and tell the messages about its error.

        subject: the command, the query or the message that the work is for. Raises the errors of the turn and of the
        transaction around, whose owners decide about them.
        """
        done: list[Message] = []

        async def act() -> None:
            done.extend(await work())

        error = await error_of(act)
        if error is None:
            return done
        if any(isinstance(each, TurnOverflow) for each in errors_in(error)):
            raise error
        if isinstance(error, Conflict) and usable_transaction() is not None:
            raise error
        told.extend(await self._errors.messages(error, subject))
        return ()

    async def _decide(self, command: Any) -> Sequence[Message]:
        """Load, decide and store, in a transaction if there is one; returns the events."""
        if self._transaction is None:
            return await self._decide_with_resources(command)
        if usable_transaction() is None:  # else its owner decides about a conflict
            with suppress(Conflict):
                return await self._decide_in(self._transaction, command, immediate=False)
            return await run_immediate(partial(self._decide_in, self._transaction, command, immediate=True))
        return await self._decide_in(self._transaction, command, immediate=False)

    async def _decide_in(
        self, transaction: SupportsTransactions, command: Any, *, immediate: bool
    ) -> Sequence[Message]:
        async with transaction.transaction(immediate=immediate):
            return await self._decide_with_resources(command)

    async def _decide_with_resources(self, command: Any) -> Sequence[Message]:
        functions = [each for each in (self._load, self._store) if each is not None]
        factories = {key: factory for each in functions for key, factory in each.factories.items()}
        decide = partial(self._decide_with, command)
        if not factories:
            return await decide({})
        return await call_inside(self.name, factories, decide, settled)  # type: ignore[no-any-return]

    async def _decide_with(self, command: Any, entered: Mapping[Any, Any]) -> Sequence[Message]:
        model: tuple[Any, ...] = ()
        if self._load is not None:
            loaded = await settled(self._load.call_with(command, entered))
            if isinstance(loaded, Command):
                command = loaded
            elif loaded is not None or self._service.takes_model:
                model = loaded if type(loaded) is tuple else (loaded,)
        events = self._service.execute(command, *model)
        if self._store is not None:
            for event in events:
                await settled(self._store.call_with(event, entered))
        return events

    async def _messages_of(self, event: Message) -> Sequence[Message]:
        return (event,) if self._outbound is None else await self._outbound.messages(event)

    async def _answer(self, query: Message) -> Sequence[Message]:
        if self._query is None:
            raise NoHandler(type(query), self.name, ())
        return await self._query.messages(query)


def _inbound_types(interpret: Any) -> tuple[type[Message], ...]:
    try:
        return types_of(interpret)
    except InvalidHandler:
        reason = "its first parameter does not say which messages it takes; annotate it with their types"
        raise InvalidHandler(name_of(interpret), reason) from None


def _checked_service(service: Any) -> Any:
    if not isinstance(service, Service):
        raise InvalidOption("service", service, "give a Service: Handler(Service(execute), ...)")
    return service


def _checked_transaction(transaction: Any) -> Any:
    if transaction is None:
        return None
    return checked_methods("transaction", transaction, ["transaction"], "give a store with transactions, or None")
