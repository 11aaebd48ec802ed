"""Asking: an intent is sent to who handles it, and its result comes back (MO-27)."""

from __future__ import annotations

from abc import abstractmethod
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any, Protocol, TypeVar

from modd.core.admission import Admission
from modd.core.causation import Caused, Question, current_origin
from modd.core.component import Part
from modd.core.delivery import deliver, settle
from modd.core.message import IntentOf, Message, Raised
from modd.core.meter import Meter
from modd.core.options import check_message
from modd.core.turn import Turn, innermost, result_of, set_innermost
from modd.errors import MultipleHandlers, NoHandler, NotAnswered, TurnFailed

R = TypeVar("R")


class Answering(Part):
    """A part that has results for intents: a typed bus."""

    name: str

    @property
    @abstractmethod
    def types(self) -> tuple[type[Message], ...]:
        """The types that it handles."""

    @abstractmethod
    def override(self, handlers: Mapping[type[Message], Any]) -> AbstractContextManager[None]:
        """Have others handle some of its types, for as long as the block lasts."""

    @abstractmethod
    async def dispatch(self, intent: Any, /, *stamps: Any) -> Any:
        """Handle an intent; gives back an `Answer`."""


class Answer(Protocol):
    """What an intent came to."""

    result: Any
    events: tuple[Message, ...]

    @property
    def answered(self) -> bool:
        """Whether there is a result at all."""
        ...

    @property
    def caused(self) -> Caused:
        """What is to flow on."""
        ...


class Asking(Admission):
    """What a bus is but for its loop, with results."""

    def __init__(self, *given: Any, **options: Any) -> None:
        self._answers: dict[type, tuple[Answering, bool]] = {}
        """Who answers, and whether directly: the loop takes twice as long, and is for when others are told, too."""
        super().__init__(*given, **options)

    @abstractmethod
    async def __call__(self, message: Message, /) -> tuple[Message, ...]:
        """Send a message."""

    async def ask(self, intent: IntentOf[R], *stamps: Any) -> R:
        """Send an intent to the typed bus inside that handles it, in nested contexts too; returns its result.

        The handler's error is raised as it is. Raises `NoHandler`, `MultipleHandlers`, `NotAnswered` when there was no
        result, and `TurnFailed`, with the result on ``result``, when something that the intent caused failed.
        """
        asked: Any = intent
        who, direct = self._answers.get(type(asked)) or self._who_answers(asked)
        outer, shared = innermost(), self.meter
        room = shared.room
        if not direct or room < 2 or (outer is not None and (outer.open or outer.outer is not None)):
            result: R = await self._ask_by_message(Question(asked, stamps, who))
            return result
        meter = Meter.__new__(Meter)  # its __init__ costs a thirtieth
        meter.room, meter.horizon, meter.beat = room - 1, shared.horizon, shared.beat
        turn = Turn(self, meter, shared.horizon - room)
        set_innermost(turn)
        try:
            answer = await who.dispatch(intent, *stamps)
        except BaseException as error:
            await self._end(turn, asked, who, error)
            raise
        if answer.events:
            try:
                await self._end(turn, asked, who, answer.caused)
            except TurnFailed as failed:
                failed.result = answer.result
                raise
        elif turn.ledger is not None:
            self._leave(turn)
            result_of(turn)
        else:  # as `_leave` does: its call, and what it looks for, cost a twentieth
            turn.open = False
            shared.room = meter.beat - meter.horizon + meter.room
        if answer.result is None and not answer.answered:
            raise NotAnswered(type(asked), self.name)
        return answer.result  # type: ignore[no-any-return]

    async def _ask_by_message(self, question: Question) -> Any:
        current_origin.set(question)
        try:
            await self(question.intent)
        except TurnFailed as failed:
            if question.error is None:
                failed.result = question.answer
                raise
        finally:
            question.open = False
        if question.error is not None:
            raise question.error
        if not question.answered:
            raise NotAnswered(type(question.intent), self.name)
        return question.answer

    async def _end(self, turn: Turn, intent: Message, who: Answering, given: Any) -> None:
        """Do the rest of a turn that `ask` has begun: what its error or its events cause."""
        queue: deque[Any] = deque()
        try:
            if isinstance(given, BaseException) and not isinstance(given, Exception):
                raise given
            given = Raised(given) if isinstance(given, Exception) else given
            await settle(turn, intent, who.__call__, given, queue)
            while queue:
                await deliver(turn, queue.popleft(), queue)
        except BaseException as error:
            cut = self._cut_short(turn, error, queue)
            if cut is not error:
                raise cut from None
            raise
        self._leave(turn)
        if not isinstance(given, Raised):
            result_of(turn)

    @contextmanager
    def override(self, handlers: Mapping[type[Message], Any]) -> Iterator[None]:
        """Have fakes handle these types in every typed bus inside, for as long as the block lasts; for tests.

        ``with bus.override({PlaceOrder: fake}):``. Raises `NoHandler` for a type that nobody inside handles.
        """
        known = {part: part.types for part in _answering(self, None)}
        with ExitStack() as stack:
            for kind in handlers:
                if not any(kind in types for types in known.values()):
                    raise NoHandler(kind, self.name, {k for types in known.values() for k in types})
            for part, types in known.items():
                fakes = {kind: fake for kind, fake in handlers.items() if kind in types}
                if fakes:
                    stack.enter_context(part.override(fakes))
            yield

    def renew(self) -> None:
        """Forget who answers what, too."""
        self._answers.clear()
        super().renew()

    def _who_answers(self, intent: Any) -> tuple[Answering, bool]:
        check_message(intent)
        kind = type(intent)
        answering = [*_answering(self, kind)]
        if not answering:
            raise NoHandler(kind, self.name, {k for part in _answering(self, None) for k in part.types})
        if len(answering) > 1:
            raise MultipleHandlers(kind, self.name, [part.name for part in answering])
        receivers = self.receivers(kind)
        alone = kind in self._routes and [receiver.component for receiver in receivers] == answering
        self._answers[kind] = answering[0], alone and self._overlaps
        return self._answers[kind]


def _answering(part: Part, kind: type[Message] | None) -> Iterator[Answering]:
    """The typed buses inside that a message of this type gets to; all of them if no type is given."""
    for receiver in part.inside:
        component = receiver.component
        if isinstance(component, Part) and (kind is None or receiver.accepts.takes(kind)):
            if isinstance(component, Answering):
                yield component
            yield from _answering(component, kind)
