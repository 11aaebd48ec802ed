"""Remote: a component that stands for a context in another process. Begin reading here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, ClassVar

from modd.checks import checked_list, checked_span
from modd.core import Intent, Message, wire_name
from modd.cqrs import Codec, DispatchTimeout, Envelope, Handled, Next, Queued, Stamp, TypedBus
from modd.cqrs.decodable import fault_in
from modd.cqrs.intents import result_type
from modd.cqrs.wire import Decoders
from modd.errors import InvalidOption
from modd.nats import Link, NoAnswer, NobodyThere
from modd.remote.checks import checked_context_name, checked_errors, checked_link
from modd.remote.errors import NotServed
from modd.remote.reply import Replies
from modd.remote.request import ask_subject, request_headers


class Remote(TypedBus):
    """A component that stands for a context in another process: it sends intents there, and returns their results.

    Put it into a bus in place of the context: ``Bus([Orders(), Remote(link, "billing", [Invoice])])``; senders stay as
    they are. Another process answers with `Serve`. A call is sent once, never again by itself: put a command that must
    not be lost into a queue.

    link: the `modd.nats.Link`, which is open when a call is made.
    name: the name of the context: 1 to 64 letters, digits, ``-`` and ``_``.
    types: the types of its commands and queries that are sent there.
    timeout: seconds for an answer, 5 by default; the other side cancels the handler then.
    errors: types of errors that are raised as themselves if `Serve` has them, too; none by default.

    Raises:
        InvalidOption: an option has a value that cannot work; a type is no command or query, or has a result that JSON
            does not have.
        DuplicateName: two types have the same name on the wire.
        NotServed: in a call: no process serves the context.
        DispatchTimeout: in a call: no answer came in time; it is not known if the intent was handled.
        LinkLost: in a call: the connection was lost; it is not known if the intent was handled.
        RemoteError: in a call: the handler has failed with an error that does not cross.
    """

    kind: ClassVar[type[Message]] = Intent
    default_name: ClassVar[str] = "remote"

    def __init__(
        self,
        link: Link,
        name: str,
        types: Iterable[type[Message]],
        *,
        timeout: float = 5.0,
        errors: Iterable[type[Exception]] = (),
    ) -> None:
        kinds = _checked_intents(types)
        call = RemoteCall(
            checked_link(link),
            checked_context_name(name),
            kinds,
            checked_span("timeout", timeout),
            checked_errors(errors),
        )
        super().__init__(dict.fromkeys(kinds, handle_elsewhere), middleware=[call], name=name)


class RemoteCall:
    """The middleware of a `Remote`: sends each envelope to the context, and notes the result in place of a handler.

    link, name, timeout, errors: as of `Remote`. types: the types of its intents.
    """

    role: ClassVar[str] = "remote"
    may_queue: ClassVar[bool] = True
    """True: the other side may queue the intent for later."""
    stamps: ClassVar[tuple[type[Stamp], ...]] = ()

    def __init__(
        self, link: Link, name: str, types: list[type[Message]], timeout: float, errors: tuple[type[Exception], ...]
    ) -> None:
        self._link, self._name, self._timeout = link, name, timeout
        self._codec, self._replies = Codec(types), Replies(name, errors)
        decoders = Decoders("json", None, result_type)
        self._results: dict[type[Message], Callable[[bytes], Any]] = {kind: decoders[kind] for kind in types}

    async def __call__(self, envelope: Envelope[Any], call_next: Next) -> None:
        """Send the envelope, and note its result. Raises as a call of `Remote` does."""
        kind = type(envelope.message)
        subject, body = ask_subject(self._name, wire_name(kind)), self._codec.encode_message(envelope.message)
        headers = request_headers(envelope, self._link.name, self._timeout)
        try:
            reply = await self._link.request(subject, body, headers, self._timeout)
        except NobodyThere:
            raise NotServed(self._name) from None
        except NoAnswer:
            raise DispatchTimeout(kind, self._timeout) from None
        result = self._replies.read(envelope, reply, self._results[kind])
        if isinstance(result, Queued):
            envelope.add(result)
        else:
            envelope.add(Handled(result, self._name, at=envelope.bus.clock()))


def handle_elsewhere(message: Any) -> Any:
    """Stand for the handler in another process; `RemoteCall` never calls it."""
    raise NotImplementedError


def _checked_intents(types: Any) -> list[type[Message]]:
    """Return types of commands and queries with results that JSON has. Raises `InvalidOption`."""
    kinds: list[type[Message]] = checked_list("types", types)
    decoders = Decoders("json", None)
    for kind in kinds:
        if not (isinstance(kind, type) and issubclass(kind, Intent)):
            raise InvalidOption("types", kind, "give types of commands and queries; events go through a Topic")
        try:
            fault = fault_in(result_type(kind), decoders, "give it a result of a type that JSON has")
        except NameError as error:
            fault = str(error)
        if fault:
            raise InvalidOption("types", kind, f"its result does not cross: {fault}")
    if not kinds:
        raise InvalidOption("types", kinds, "give the types that the other context handles")
    return kinds
