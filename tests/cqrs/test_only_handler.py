"""The stamp `For`: one handler of several, as a worker dispatches an event."""

from __future__ import annotations

from typing import Any

import pytest

from modd import InvalidOption
from modd.cqrs import Codec, CommandBus, Envelope, EventBus, Handled
from modd.cqrs.stamps import OnlyHandler
from tests.cqrs.shop import Create, Created, CreatedByAdmin

pytestmark = pytest.mark.anyio


class Heard:
    def __init__(self) -> None:
        self.log = list[str]()
        self.bus = EventBus(name="heard")
        for name in ("mail", "audit"):
            self.bus.register(Created, self.handler(name), name)
        self.bus.register(CreatedByAdmin, self.handler("admin"), "admin")

    def handler(self, name: str) -> Any:
        return lambda event: self.log.append(name)


async def test_only_the_handler_that_an_envelope_is_for_runs() -> None:
    heard = Heard()
    dispatched = await heard.bus.dispatch(Envelope(Created(), OnlyHandler("audit")))
    assert heard.log == ["audit"]
    assert [stamp.handler for stamp in dispatched.envelope.all(Handled)] == ["audit"]
    await heard.bus.dispatch(Envelope(Created(), OnlyHandler("mail")))
    await heard.bus.dispatch(Created())
    assert sorted(heard.log) == ["audit", "audit", "mail", "mail"]


async def test_it_is_for_that_one_when_it_is_dispatched_again_and_stays_in_the_process() -> None:
    heard = Heard()
    dispatched = await heard.bus.dispatch(Envelope(Created(), OnlyHandler("audit")))
    await heard.bus.dispatch(dispatched.envelope)
    assert heard.log == ["audit", "audit"]
    codec = Codec([Created])
    assert not codec.decode(codec.encode(dispatched.envelope)).has(OnlyHandler)


async def test_an_override_has_the_names_of_its_fakes() -> None:
    heard = Heard()

    def fake(event: Created) -> None:
        heard.log.append("fake")

    assert heard.bus.handler_names(Created) == ("mail", "audit")
    with heard.bus.override({Created: fake}):
        [name] = heard.bus.handler_names(Created)
        await heard.bus.dispatch(Envelope(Created(), OnlyHandler(name)))
    assert heard.log == ["fake"]
    assert heard.bus.handler_names(Created) == ("mail", "audit")


async def test_a_handler_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(InvalidOption, match=r"OnlyHandler.handler='post': Created is handled in heard by: mail, audit"):
        await Heard().bus.dispatch(Envelope(Created(), OnlyHandler("post")))
    with pytest.raises(InvalidOption, match="is handled in events by: nothing"):
        await EventBus().dispatch(Envelope(Created(), OnlyHandler("post")))


def test_handlers_are_named_in_their_order_those_of_bases_too() -> None:
    heard = Heard()
    assert heard.bus.handler_names(CreatedByAdmin) == ("admin", "mail", "audit")
    heard.bus.register(Created, heard.handler("late"), "late")
    assert heard.bus.handler_names(Created) == ("mail", "audit", "late")
    assert CommandBus({Create: print}).handler_names(Create) == ("print",)
    assert CommandBus().handler_names(Create) == ()
