"""Authorizer allows messages by rules."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from modd import Bus
from modd.cqrs import Actor, Command, CommandBus, Envelope, Event, EventBus, Forbidden, NoHandler, Query, QueryBus
from modd.errors import InvalidOption, TurnFailed
from modd.middleware.authorizer import Authorizer, anyone, authenticated, has_role

pytestmark = pytest.mark.anyio

ADA, ROOT = Actor("ada", roles=("user",)), Actor("root", roles=("user", "admin"))


class Stranger(Command[None]):
    pass


class Remove(Command[str]):
    owner: str = "ada"


class RemoveAll(Remove):
    pass


class Get(Query[str]):
    pass


class Removed(Event):
    pass


def remove(command: Remove) -> str:
    return "removed"


async def owns(actor: Actor | None, command: Remove) -> bool:
    await anyio.lowlevel.checkpoint()
    return actor is not None and actor.id == command.owner


def bus_of(rules: Any) -> CommandBus:
    return CommandBus({Remove: remove, RemoveAll: remove}, middleware=[Authorizer(rules)])


@pytest.mark.parametrize(
    ("rule", "allowed"),
    [
        (anyone, [None, ADA, ROOT]),
        (authenticated, [ADA, ROOT]),
        (has_role("admin"), [ROOT]),
        (has_role("admin", "user"), [ADA, ROOT]),
        (owns, [ADA]),
        (lambda actor, command: actor == ROOT, [ROOT]),
        (lambda actor, command: False, []),
    ],
)
async def test_a_rule_says_who_may(rule: Any, allowed: list[Actor | None]) -> None:
    bus = bus_of({Remove: rule})
    for actor in (None, ADA, ROOT):
        stamps = [] if actor is None else [actor]
        if actor in allowed:
            assert await bus.ask(Remove(), *stamps) == "removed"
        else:
            with pytest.raises(Forbidden) as info:
                await bus.ask(Remove(), *stamps)
            assert info.value.intent is Remove
            assert info.value.actor == (None if actor is None else actor.id)


async def test_what_has_no_rule_is_denied_and_the_handler_does_not_run() -> None:
    def never(command: Remove) -> str:
        raise AssertionError

    bus = CommandBus([never], middleware=[Authorizer({})])
    with pytest.raises(Forbidden, match="root may not Remove: there is no rule for it"):
        await bus.ask(Remove(), ROOT)
    with pytest.raises(Forbidden, match="no actor was given for Remove"):
        await bus.ask(Remove())


async def test_the_nearest_base_counts_and_a_rule_for_a_kind_holds_for_all_of_it() -> None:
    # MI-13
    bus = bus_of({Command: anyone, RemoveAll: has_role("admin")})
    assert await bus.ask(Remove()) == "removed"
    with pytest.raises(Forbidden, match=r"ada may not RemoveAll: its rule has_role\('admin'\) returned False"):
        await bus.ask(RemoveAll(), ADA)
    assert await bus.ask(RemoveAll(), ROOT) == "removed"


@pytest.mark.parametrize("given", [1, "yes", None, {"admin"}])
async def test_only_true_allows(given: Any) -> None:
    with pytest.raises(Forbidden, match="returned neither True nor False"):
        await bus_of({Remove: lambda actor, command: given}).ask(Remove(), ROOT)


async def test_of_several_actors_the_last_counts() -> None:
    bus = bus_of({Remove: has_role("admin")})
    assert await bus.ask(Remove(), ADA, ROOT) == "removed"
    with pytest.raises(Forbidden):
        await bus.ask(Remove(), ROOT, ADA)


async def test_an_error_of_a_rule_comes_out_and_it_is_not_done() -> None:
    def broken(actor: Actor | None, command: Remove) -> bool:
        raise ConnectionError

    def never(command: Remove) -> str:
        raise AssertionError

    with pytest.raises(ConnectionError):
        await CommandBus([never], middleware=[Authorizer({Remove: broken})]).ask(Remove(), ROOT)


async def test_cancelled_in_a_rule_it_is_not_done() -> None:
    handled: list[Remove] = []

    async def forever(actor: Actor | None, command: Remove) -> bool:
        await anyio.sleep_forever()
        return True

    bus = CommandBus({Remove: handled.append}, middleware=[Authorizer({Remove: forever})])
    with anyio.CancelScope() as scope:
        scope.cancel()
        await bus.dispatch(Remove())
    assert scope.cancelled_caught and not handled


async def test_what_a_message_causes_is_done_for_the_same_actor() -> None:
    # MI-15
    authorizer = Authorizer({Command: has_role("admin"), Removed: has_role("admin"), Query: authenticated})
    heard: list[str] = []

    async def remove_and_say(command: Remove, envelope: Envelope[Remove]) -> str:
        envelope.emit(Removed())
        return "removed"

    def hear(event: Removed, envelope: Envelope[Removed]) -> None:
        actor = envelope.last(Actor)
        heard.append("nobody" if actor is None else actor.id)

    commands = CommandBus([remove_and_say], middleware=[authorizer])
    events = EventBus([hear], middleware=[authorizer])
    queries = QueryBus({Get: lambda query: "got"}, middleware=[authorizer])
    bus = Bus([commands, events, queries])
    assert await bus.ask(Remove(), ROOT) == "removed"
    assert heard == ["root"]
    assert await bus.ask(Get(), ADA) == "got"
    with pytest.raises(TurnFailed) as info:
        await bus(Removed())
    assert isinstance(info.value.exceptions[0], Forbidden)


async def test_what_cannot_work_is_an_error() -> None:
    # MI-13
    with pytest.raises(InvalidOption, match="give a mapping"):
        Authorizer([Remove])  # type: ignore[arg-type]  # pyright: ignore
    with pytest.raises(InvalidOption, match="rule=True"):
        Authorizer({Remove: True})  # type: ignore[dict-item]  # pyright: ignore
    with pytest.raises(InvalidOption, match="give message types as keys"):
        Authorizer({str: anyone})  # type: ignore[dict-item]  # pyright: ignore
    for roles in ((), ("",), (1,)):
        with pytest.raises(InvalidOption, match="has_role"):
            has_role(*roles)  # pyright: ignore
    with pytest.raises(NoHandler, match="Stranger"):
        CommandBus([remove], middleware=[Authorizer({Stranger: anyone})]).check()
