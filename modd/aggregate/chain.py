"""The chain of a command: functions that look at it one after another, the last of which is the command itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from inspect import Parameter, isawaitable, signature
from typing import Any, Concatenate, Generic, TypeVar

import msgspec

from modd.aggregate import only
from modd.aggregate.annotations import alternatives, check_annotation, known_annotation, may_take, misfit, names_of
from modd.aggregate.decider import Decider
from modd.aggregate.errors import CommandRejected
from modd.aggregate.instance import Instance
from modd.aggregate.mark import Mark
from modd.aggregate.step import Step
from modd.core import Message, is_among, name_of, take_apart, wire_name
from modd.cqrs.arguments import Ask, Resources
from modd.cqrs.envelope import Envelope
from modd.cqrs.errors import Forbidden
from modd.errors import InvalidOption
from modd.texts import escape_control

S = TypeVar("S")


C = TypeVar("C", bound=Message)


class On(msgspec.Struct, Generic[S], frozen=True):
    """A type of command with its chain, as `on` makes it.

    kind: the type of the command. chain: its functions.
    """

    kind: type[Message]
    chain: tuple[Callable[..., Any], ...]


def on(kind: type[C], *chain: Callable[Concatenate[Instance[S], C, ...], Any]) -> On[S]:
    """Return a command with its chain, for the list ``commands`` of an `Aggregate`.

    Use it in place of a mapping to have type checkers look into each function: ``commands=[on(Pay, only.if_exists(),
    pay)]``.

    kind: the type of the command. chain: the functions; the last one is the command itself.
    """
    return On(kind, chain)


class Decision(msgspec.Struct, Generic[S], frozen=True):
    """The outcome of a chain.

    instance: the instance. events: the events to record; none for a rejection. result: that of the command.
    rejection: the rejection, or the denial of access; None for none.
    """

    instance: Instance[S]
    events: Sequence[Message] = ()
    result: Any = None
    rejection: CommandRejected | Forbidden | None = None


class Chain:
    """The functions that decide about a type of command.

    aggregate: the name of the aggregate. functions: at least one.
    resources, ask: the sources of their further arguments.
    """

    def __init__(self, aggregate: str, functions: Sequence[Any], resources: Resources, ask: Ask) -> None:
        self._aggregate = aggregate
        self.functions, last = tuple(functions), len(functions) - 1
        self.steps = [Step(each, at == last, resources, ask) for at, each in enumerate(functions)]

    @property
    def name(self) -> str:
        """The name of the last function."""
        return self.steps[-1].name

    async def decide(
        self, instance: Instance[Any], envelope: Envelope[Any], steps: Sequence[Step] = ()
    ) -> Decision[Any]:
        """Run the functions, and return what they decide. Raises their errors, but for a rejection.

        steps: those of the steps that are to run; by default all, and the instance is closed then.
        """
        command, marks, start = envelope.message, list[Mark](), len(envelope.noted)
        step, kind = self.steps[0], type(command)
        try:
            for step in steps or self.steps:
                mark = Mark(step.name, kind, step.is_last)
                call = step.plain
                returned = step.call(instance, envelope, mark) if call is None else call(instance, command, mark)
                if returned is not None and isawaitable(returned):
                    returned = await returned
                mark.is_over = True
                if returned is not None or not mark.passes:
                    step.conclude(mark, returned, instance)
                marks.append(mark)
        except CommandRejected as error:
            envelope.drop_events(start)
            return Decision(instance, rejection=self._rejection(error, instance, envelope))
        except Exception as error:
            self._note(error, step, instance, envelope)
            raise
        finally:
            if not steps:
                instance.close()
        for mark in marks:
            if mark.misuse is not None:  # by another function, after its own has ended
                raise mark.misuse
        return Decision(instance, instance.published, marks[-1].result)

    def _rejection(self, error: CommandRejected, instance: Instance[Any], envelope: Envelope[Any]) -> CommandRejected:
        """Return a rejection with all its fields."""
        rejection = CommandRejected(error.reason, wire_name(type(envelope.message)), self._aggregate, instance.id)
        rejection.__cause__ = error
        return rejection

    def _note(self, error: Exception, step: Step, instance: Instance[Any], envelope: Envelope[Any]) -> None:
        """Note on an error where it was raised."""
        place = escape_control(f"{self._aggregate}/{instance.id}")
        note = f"raised by {step.name} when given {wire_name(type(envelope.message))} for {place}"
        if note not in getattr(error, "__notes__", ()):  # one error may be raised again and again
            error.add_note(note)


def checked_commands(commands: Any) -> dict[type[Message], tuple[Any, ...]]:
    """Return chains by type of command, from a mapping or from a list of `on`. Raises `InvalidOption`."""
    pairs = commands.items() if isinstance(commands, Mapping) else _pairs_in(commands)
    found: dict[type[Message], tuple[Any, ...]] = {}
    for kind, chain in pairs:
        if not (isinstance(kind, type) and issubclass(kind, Message)):
            raise InvalidOption("commands", kind, "give a chain for each type of command")
        if kind in found:
            raise InvalidOption("commands", kind, "it has a chain already")
        found[kind] = _checked_chain(kind, chain)
    if not found:
        raise InvalidOption("commands", commands, "give a chain for at least one type of command")
    return found


def decider_chain(decider: Decider[Any, Any, Any]) -> dict[type[Message], tuple[Any, ...]]:
    """Return the chains of a decider: its one function for each type of command."""

    function = decider.decide

    def decide(instance: Instance[Any], command: Any) -> Any:
        return function(command, instance.state)

    decide.__qualname__, decide.__doc__ = name_of(function), function.__doc__
    return dict.fromkeys(decider.commands, (decide,))


def _pairs_in(commands: Any) -> Iterable[tuple[Any, Any]]:
    cure = "give a mapping from type to chain, or a list of on(Type, *functions)"
    if isinstance(commands, str) or not isinstance(commands, Iterable):
        raise InvalidOption("commands", commands, cure)
    for each in commands:
        if not isinstance(each, On):
            raise InvalidOption("commands", each, cure)
        yield each.kind, each.chain


def _checked_chain(kind: type[Message], chain: Any) -> tuple[Any, ...]:
    functions = (chain,) if callable(chain) else tuple(chain) if isinstance(chain, (list, tuple)) else ()
    option = f"commands of {kind.__qualname__}"
    if not functions:
        raise InvalidOption(option, chain, "give a function, or a list of functions whose last one is the command")
    for each in functions:
        if not callable(each) or isinstance(each, type):
            raise InvalidOption(option, each, "give functions (instance, command, mark)")
        if is_among(each, only.READY):
            given = "..." if signature(each).parameters else ""
            raise InvalidOption(option, each, f"call it: only.{each.__name__}({given})")
    return functions


def check_chain(kind: type[Message], functions: Iterable[Any], state: type) -> None:
    """Raise `InvalidOption` for functions that are annotated for other commands, or for instances of other states."""
    option = f"commands of {kind.__qualname__}"
    for function in functions:
        hint = known_annotation(function, 0)
        hints = [] if hint is Parameter.empty else alternatives(hint)
        if hints and not any(_takes_instance(each, state) for each in hints):
            takes, of = " or ".join(map(_name_of_hint, hints)), state.__qualname__
            raise misfit(option, function, 0, takes, f"an Instance of {of}; annotate it with Instance[{of}]")
        check_annotation(option, function, 1, kind, is_exact=False)


def _takes_instance(hint: Any, state: type) -> bool:
    parts = take_apart(hint)
    if parts.origin is Instance and parts.args:
        return may_take(parts.args[0], state, is_exact=False)
    return may_take(hint, Instance, is_exact=True)


def _name_of_hint(hint: Any) -> str:
    parts = take_apart(hint)
    if parts.origin is Instance and parts.args:
        return f"Instance[{' | '.join(map(_name_of_hint, alternatives(parts.args[0])))}]"
    return names_of([parts.origin])
