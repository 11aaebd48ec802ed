"""Webhook sends handled messages, retries, and stamps the outcome."""

from __future__ import annotations

import json
from math import inf, nan
from typing import Any

import anyio
import anyio.lowlevel
import httpx2
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from modd import InvalidOption
from modd.cqrs import (
    Command,
    CommandBus,
    Envelope,
    Event,
    EventBus,
    Failed,
    NoHandler,
    NotOpen,
    Query,
    QueryBus,
    Queued,
    WebhookCalled,
)
from modd.middleware.webhook.endpoint import Endpoint
from modd.middleware.webhook.webhook import Webhook, WebhookOptions
from modd.testing import run_virtual
from tests.middleware.webhook.receiver import Receiver, Request, never, receiving, response

pytestmark = pytest.mark.anyio

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
LOCAL = ["127.0.0.0/8"]


class Register(Command[int], tag="register"):
    name: str


class Remove(Command[None]):
    name: str


class Odd(Command[None]):
    what: Any


class Get(Query[str]):
    id: int


class Registered(Event):
    name: str


class Waits:
    """Waits for no time at all, and notes how long it would have been."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.waits.append(seconds)
        await anyio.lowlevel.checkpoint()


def register(command: Register) -> int:
    return 7


def remove(command: Remove) -> None:
    pass


def hook(*endpoints: Endpoint, **options: Any) -> Webhook:
    given: dict[str, Any] = {"allow": LOCAL, "sleep": Waits()} | options
    return Webhook(endpoints, **given)


def to(receiver: Receiver, **options: Any) -> Endpoint:
    return Endpoint(receiver.url, **options)


def called(envelope: Envelope[Any]) -> list[tuple[int, str, int]]:
    return [(stamp.attempt, stamp.text, stamp.status) for stamp in envelope.all(WebhookCalled)]


async def dispatched(webhook: Webhook, *stamps: Any) -> list[tuple[int, str, int]]:
    async with CommandBus([register], middleware=[webhook]) as bus:
        return called((await bus.dispatch(Register("Ada"), *stamps)).envelope)


# MI-42, MI-46
async def test_what_was_handled_is_sent() -> None:
    async with receiving(response(201, "thanks")) as receiver:
        bus = CommandBus([register], middleware=[hook(to(receiver, method="PUT", headers={"X-From": "me"}))])
        async with bus:
            done = await bus.dispatch(Envelope(Register("Ada"), id="import-7"))
    assert done.result == 7
    assert called(done.envelope) == [(1, "thanks", 201)]
    [request] = receiver.requests
    assert request.line == "PUT /hook HTTP/1.1"
    body = json.loads(request.body)
    assert body.pop("timestamp").endswith("Z")
    assert body == {
        "id": "import-7",
        "type": "register",
        "correlation_id": "import-7",
        "data": {"$type": "register", "name": "Ada"},
    }
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
    assert request.headers["x-from"] == "me"
    assert "webhook-signature" not in request.headers


# MI-42
async def test_queries_and_events_are_sent_too() -> None:
    async with receiving() as receiver:
        webhook = hook(to(receiver))
        queries = QueryBus({Get: lambda query: "Ada"}, middleware=[webhook])
        events = EventBus(middleware=[webhook], strict=False)
        async with queries, events:
            assert await queries.ask(Get(1)) == "Ada"
            await events.dispatch(Registered("Ada"))
    assert [json.loads(request.body)["type"] for request in receiver.requests] == ["Get", "Registered"]


# MI-42
async def test_what_failed_or_was_queued_is_not_sent() -> None:
    async def fail(command: Register) -> int:
        raise LookupError

    async def stamp(envelope: Envelope[Remove]) -> None:
        envelope.add(stamps.pop())

    stamps = [Failed("no"), Queued()]
    async with receiving() as receiver, CommandBus([fail, stamp], middleware=[hook(to(receiver))]) as bus:
        with pytest.raises(LookupError):
            await bus.dispatch(Register("Ada"))
        assert called((await bus.dispatch(Remove("Ada"))).envelope) == []
        assert called((await bus.dispatch(Remove("Ada"))).envelope) == []
    assert receiver.requests == []


# MI-42
async def test_a_failure_from_before_is_none_of_this_dispatch() -> None:
    async with receiving() as receiver:
        assert await dispatched(hook(to(receiver)), Failed("earlier")) == [(1, "", 200)]


# MI-42, MI-13
async def test_endpoints_of_an_intent_replace_the_others() -> None:
    async with receiving() as general, receiving() as special:
        intents: dict[Any, WebhookOptions] = {Register: {"endpoints": [to(special)]}, Remove: {"endpoints": ()}}
        bus = CommandBus([register, remove], middleware=[hook(to(general), intents=intents)])
        async with bus:
            assert called((await bus.dispatch(Register("Ada"))).envelope) == [(1, "", 200)]
            assert called((await bus.dispatch(Remove("Ada"))).envelope) == []
    assert (len(general.requests), len(special.requests)) == (0, 1)


# MI-13
def test_options_for_a_type_that_is_not_handled() -> None:
    bus = CommandBus([register], middleware=[Webhook(intents={Remove: {"attempts": 1}})])
    with pytest.raises(NoHandler):
        bus.check()


# MI-43
async def test_it_is_signed_over_the_exact_body_with_one_id_over_all_attempts() -> None:
    async with receiving(500, 500, 200) as receiver:
        assert await dispatched(hook(to(receiver, secret=SECRET))) == [(3, "", 200)]
    for request in receiver.requests:
        assert Verifier(SECRET).verify(request.body, request.headers)["data"]["name"] == "Ada"
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
    assert len({request.body for request in receiver.requests}) == 1


# MI-43, MI-10
async def test_the_id_tells_endpoints_and_messages_apart_and_stays_when_dispatched_anew() -> None:
    async with (
        receiving() as first,
        receiving() as second,
        CommandBus([register], middleware=[hook(to(first), to(second))]) as bus,
    ):
        done = await bus.dispatch(Register("Ada"))
        await bus.dispatch(done.envelope)
        await bus.dispatch(Register("Ada"))
    one, again, other = [request.headers["webhook-id"] for request in first.requests]
    assert one == again != other
    assert second.requests[0].headers["webhook-id"] != one


# MI-43
async def test_it_can_be_signed_in_another_way() -> None:
    def sign(id: str, at: int, body: bytes) -> dict[str, str]:
        return {"X-Signature": f"{id} {at} {len(body)}"}

    async with receiving() as receiver:
        await dispatched(hook(to(receiver, sign=sign)))
    [request] = receiver.requests
    headers = request.headers
    assert headers["x-signature"] == f"{headers['webhook-id']} {headers['webhook-timestamp']} {len(request.body)}"


# MI-44, MI-46
async def test_in_parallel_and_stamped_in_the_order_of_the_endpoints() -> None:
    asked = anyio.Event()

    async def after_the_other(request: Request) -> bytes:
        await asked.wait()
        return response(200, "first")

    async def release(request: Request) -> bytes:
        asked.set()
        return response(200, "second")

    async with receiving(after_the_other) as first, receiving(release) as second:
        stamps = await dispatched(hook(to(first), to(second), parallel=True))
    assert stamps == [(1, "first", 200), (1, "second", 200)]


# MI-44
async def test_one_after_another() -> None:
    seen: list[str] = []

    async def note(request: Request) -> bytes:
        seen.append(f"{request.headers['x-number']} begins")
        await anyio.lowlevel.checkpoint()
        seen.append(f"{request.headers['x-number']} ends")
        return response(200)

    async with receiving(note) as receiver:
        endpoints = [to(receiver, headers={"X-Number": str(number)}) for number in (1, 2)]
        await dispatched(hook(*endpoints))
    assert seen == ["1 begins", "1 ends", "2 begins", "2 ends"]


# MI-44
async def test_in_the_background_the_dispatch_does_not_wait_and_gets_no_stamps() -> None:
    returned = anyio.Event()

    async def after_the_dispatch(request: Request) -> bytes:
        await returned.wait()
        return response(200)

    async with receiving(after_the_dispatch) as receiver:
        webhook = hook(to(receiver), background=True)
        assert webhook.background_work == "Webhook sends in the background"
        async with CommandBus([register], middleware=[webhook]) as bus:
            done = await bus.dispatch(Register("Ada"))
            returned.set()
        assert called(done.envelope) == []
        assert len(receiver.requests) == 1


# MI-44
async def test_when_the_bus_closes_meanwhile_it_is_sent_before_the_dispatch_returns() -> None:
    closing, started = anyio.Event(), anyio.Event()

    async def slow(command: Register) -> int:
        started.set()
        await closing.wait()
        return 7

    async with receiving() as receiver, anyio.create_task_group() as tasks:
        webhook = hook(to(receiver), background=True)
        other = CommandBus([register], middleware=[webhook])
        bus = CommandBus([slow], middleware=[webhook])
        async with other:
            async with bus:
                tasks.start_soon(bus.dispatch, Register("Ada"))
                await started.wait()
            closing.set()
            await receiver.asked.wait()


# MI-45
async def test_only_what_failed_is_tried_again_and_with_its_own_attempts() -> None:
    async with receiving() as good, receiving(response(500, "no")) as bad, receiving(503, 204) as late:
        stamps = await dispatched(hook(to(good), to(bad, attempts=2), to(late)))
    assert stamps == [(1, "", 200), (2, "no", 500), (2, "", 204)]
    assert [len(receiver.requests) for receiver in (good, bad, late)] == [1, 2, 2]


# MI-45
@pytest.mark.parametrize("status", [300, 302, 400, 404, 410, 500])
async def test_every_status_that_is_no_success_is_a_failure(status: int) -> None:
    async with receiving() as elsewhere, receiving(response(status, Location=elsewhere.url)) as receiver:
        assert await dispatched(hook(to(receiver))) == [(3, "", status)]
    assert elsewhere.requests == []


# MI-45
async def test_nobody_there(caplog: pytest.LogCaptureFixture) -> None:
    async with receiving() as receiver:
        url = receiver.url
    [(attempt, text, status)] = await dispatched(hook(Endpoint(url)))
    assert (attempt, status) == (3, 0)
    assert text.startswith("ConnectError")
    [record] = caplog.records
    assert (record.name, record.levelname) == ("modd.commands", "WARNING")
    assert record.getMessage() == f"webhook to {url.removesuffix('/hook')} failed after 3 attempts: {text}"


# MI-45
async def test_an_answer_that_is_no_http() -> None:
    async with receiving(b"what?\r\n\r\n") as receiver:
        [(attempt, text, status)] = await dispatched(hook(to(receiver)))
    assert (attempt, text.split(":")[0], status) == (3, "RemoteProtocolError", 0)


# MI-45
async def test_waits_between_tries() -> None:
    waits = Waits()
    async with receiving(500) as receiver:
        endpoints = [to(receiver), to(receiver, backoff="fibonacci", attempts=4), to(receiver, backoff="none")]
        await dispatched(hook(*endpoints, sleep=waits, random=lambda: 0.5))
    assert waits.waits == [0.5, 0.75, 1, 2, 3, 0, 0]


# MI-45
async def test_waits_are_spread_by_jitter_and_never_longer_than_allowed() -> None:
    waits = Waits()
    async with receiving(500) as receiver:
        endpoints = [to(receiver), to(receiver, jitter=0.0, multiplier=9.0)]
        await dispatched(hook(*endpoints, sleep=waits, random=lambda: 0.0, max_delay=3))
    assert waits.waits == [0.25, 0.375, 0.5, 3]


# MI-45
@pytest.mark.parametrize(
    ("retry_after", "wait"),
    [
        ("20", 20),
        ("0.1", 0.5),
        ("100000", 60),
        ("-3", 0.5),
        ("nan", 0.5),
        ("Thu, 01 Jan 1970 00:16:55 GMT", 15),
        ("Thu, 01 Jan 1970 00:16:55 -0000", 15),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.5),
        ("Fri, 31 Dec 9999 23:59:59 -2359", 60),
        ("Thu, 01 Jan 99999 00:00:00 GMT", 0.5),
        ("soon", 0.5),
    ],
)
async def test_retry_after_is_honoured(retry_after: str, wait: float) -> None:
    waits = Waits()
    async with receiving(response(429, Retry_After=retry_after), 200) as receiver:
        webhook = hook(to(receiver), sleep=waits, jitter=0.0)
        async with CommandBus([register], middleware=[webhook], clock=lambda: 1000.0) as bus:
            done = await bus.dispatch(Register("Ada"))
    assert called(done.envelope) == [(2, "", 200)]
    assert waits.waits == [wait]


# MI-45
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_no_answer_in_time(backend: str) -> None:
    async def hang(request: httpx2.Request) -> httpx2.Response:
        await anyio.sleep_forever()
        raise AssertionError

    async def main() -> None:
        async with httpx2.AsyncClient(transport=httpx2.MockTransport(hang)) as client:
            endpoints = [Endpoint("http://a.example"), Endpoint("http://b.example", timeout=2.5)]
            webhook = Webhook(endpoints, client=client, attempts=2, backoff="none")
            bus = CommandBus([register], middleware=[webhook])
            done = await bus.dispatch(Register("Ada"))
        assert called(done.envelope) == [(2, "no response within 10 s", 0), (2, "no response within 2.5 s", 0)]
        assert anyio.current_time() == pytest.approx(25)

    run_virtual(main, backend=backend)


# MI-46
async def test_only_the_start_of_a_long_answer_is_read() -> None:
    async def endless(request: Request) -> bytes:
        return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"4e20\r\n" + b"x" * 20000 + b"\r\n"

    async with receiving(endless) as receiver:
        [(attempt, text, status)] = await dispatched(hook(to(receiver)))
        with anyio.fail_after(60):
            await receiver.closed.wait()
    assert (attempt, text, status) == (1, "x" * 4096, 200)


# MI-46
async def test_an_answer_in_no_known_encoding() -> None:
    async with receiving(
        b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Encoding: gzip\r\n\r\na\xff\x00"
    ) as receiver:
        assert await dispatched(hook(to(receiver))) == [(1, "a\ufffd\x00", 200)]


# MI-45
@pytest.mark.parametrize("background", [False, True])
async def test_a_message_that_cannot_be_encoded_fails_no_dispatch(
    background: bool, caplog: pytest.LogCaptureFixture
) -> None:
    async with receiving() as receiver:
        webhook = hook(to(receiver), background=background)
        async with CommandBus({Odd: lambda command: None}, middleware=[webhook]) as bus:
            done = await bus.dispatch(Odd(object()))
    text = "TypeError: Encoding objects of type object is unsupported"
    assert called(done.envelope) == ([] if background else [(0, text, 0)])
    assert text in caplog.text


# MI-45
async def test_a_signer_that_fails_fails_no_dispatch() -> None:
    def sign(id: str, at: int, body: bytes) -> dict[str, str]:
        raise LookupError("key k-123 is missing")

    async with receiving() as receiver:
        assert await dispatched(hook(to(receiver, sign=sign))) == [(3, "LookupError", 0)]


# MI-44
async def test_it_need_not_be_open_while_the_dispatch_waits_for_the_answer() -> None:
    async with receiving() as receiver:
        webhook = hook(to(receiver, secret=SECRET), to(receiver), parallel=True)
        assert webhook.background_work == ""
        done = await CommandBus([register], middleware=[webhook]).dispatch(Register("Ada"))
        with anyio.fail_after(60):
            await receiver.closed.wait()
    assert called(done.envelope) == [(1, "", 200), (1, "", 200)]
    signed = next(each for each in receiver.requests if "webhook-signature" in each.headers)
    assert Verifier(SECRET).verify(signed.body, signed.headers)


# MI-44
async def test_cancelled_on_a_bus_that_is_not_open_it_keeps_no_connection() -> None:
    async with receiving(never, 200) as receiver:
        bus = CommandBus([register], middleware=[hook(to(receiver))])
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.dispatch, Register("Ada"))
            await receiver.asked.wait()
            tasks.cancel_scope.cancel()
        with anyio.fail_after(60):
            await receiver.closed.wait()
        assert called((await bus.dispatch(Register("Ada"))).envelope) == [(1, "", 200)]


# MI-44
async def test_in_the_background_the_bus_must_be_open() -> None:
    webhook = hook(Endpoint("http://127.0.0.1:1"), background=True)
    with pytest.raises(NotOpen, match="Webhook sends in the background"):
        await CommandBus([register], middleware=[webhook]).dispatch(Register("Ada"))


# MI-45
async def test_a_given_client_follows_no_redirects_either() -> None:
    async with (
        receiving() as elsewhere,
        receiving(response(307, Location=elsewhere.url)) as receiver,
        httpx2.AsyncClient(follow_redirects=True) as client,
    ):
        webhook = Webhook([to(receiver)], client=client, attempts=1)
        async with CommandBus([register], middleware=[webhook]) as bus:
            done = await bus.dispatch(Register("Ada"))
    assert called(done.envelope) == [(1, "", 307)]
    assert elsewhere.requests == []


# MI-44
def test_an_intent_in_the_background_needs_an_open_bus_too() -> None:
    webhook = Webhook(client=httpx2.AsyncClient(), intents={Register: {"background": True}})
    assert webhook.background_work == "Webhook sends in the background"


# MI-60
async def test_several_buses_share_its_connections() -> None:
    async with receiving() as receiver:
        webhook = hook(to(receiver))
        first = CommandBus([register], middleware=[webhook], name="first")
        second = CommandBus([register], middleware=[webhook], name="second")
        async with second:
            async with first:
                await first.dispatch(Envelope(Register("Ada"), id="1"))
            await second.dispatch(Envelope(Register("Ada"), id="1"))
            assert not receiver.closed.is_set()
        with anyio.fail_after(60):
            await receiver.closed.wait()
    assert receiver.connections == 1
    assert len({request.headers["webhook-id"] for request in receiver.requests}) == 2


# MI-45
async def test_cancelled_while_it_waits_for_an_answer() -> None:
    async with receiving(never, 200) as receiver:
        webhook = hook(to(receiver))
        async with CommandBus([register], middleware=[webhook]) as bus:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(bus.dispatch, Register("Ada"))
                await receiver.asked.wait()
                tasks.cancel_scope.cancel()
            with anyio.fail_after(60):
                await receiver.closed.wait()
            assert called((await bus.dispatch(Register("Ada"))).envelope) == [(1, "", 200)]


# MI-45
@pytest.mark.costly
@pytest.mark.parametrize("parallel", [False, True])
async def test_cancelled_anywhere_the_next_dispatch_is_as_ever(parallel: bool) -> None:
    async with receiving() as receiver:
        webhook = hook(to(receiver), to(receiver), parallel=parallel)
        async with CommandBus([register], middleware=[webhook]) as bus:
            for steps in range(30):
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(bus.dispatch, Register("Ada"))
                    for _ in range(steps):
                        await anyio.lowlevel.checkpoint()
                    tasks.cancel_scope.cancel()
                done = await bus.dispatch(Register("Ada"))
                assert called(done.envelope) == [(1, "", 200), (1, "", 200)]


# MI-45
async def test_cancelled_while_it_waits_to_try_again() -> None:
    waiting = anyio.Event()

    async def sleep(seconds: float) -> None:
        waiting.set()
        await anyio.sleep_forever()

    async with (
        receiving(500, 200) as receiver,
        CommandBus([register], middleware=[hook(to(receiver), parallel=True, sleep=sleep)]) as bus,
    ):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(bus.dispatch, Register("Ada"))
            await waiting.wait()
            tasks.cancel_scope.cancel()
        assert called((await bus.dispatch(Register("Ada"))).envelope) == [(1, "", 200)]


@pytest.mark.parametrize(
    ("option", "given"),
    [
        ("endpoints", ["http://a.example"]),
        ("endpoints", "https://a.example"),
        ("endpoints", [{"url": "https://a.example"}]),
        ("endpoints", [None]),
        ("endpoints", None),
        ("endpoints", Endpoint("http://a.example")),
        ("parallel", 1),
        ("background", None),
        ("attempts", 0),
        ("attempts", True),
        ("backoff", "linear"),
        ("multiplier", nan),
        ("jitter", 2),
        ("timeout", 0),
        ("timeout", inf),
        ("max_delay", -1),
        ("allow", "10.0.0.0/8"),
        ("client", object()),
        ("sleep", 1),
        ("random", 0.5),
        ("resolve", "127.0.0.1"),
        ("intents", []),
    ],
)
def test_options_are_checked_at_once(option: str, given: Any) -> None:
    with pytest.raises(InvalidOption, match=option):
        Webhook(**{option: given})


@pytest.mark.parametrize("given", ["https://a.example", [{"url": "https://a.example"}]])
def test_what_is_no_list_of_endpoints_is_told_what_to_give(given: Any) -> None:
    with pytest.raises(InvalidOption, match=r'give a list: \[Endpoint\("https://..."\)\]'):
        Webhook(given)


# MI-45
@pytest.mark.parametrize(
    ("target", "said", "shown"),
    [
        ("/services/T00000000/XXXXXXXXXXXX", "no XXXXXXXXXXXX in T00000000", "no *** in ***"),
        ("/in?token=SECRETSECRET&n=1", "SECRETSECRET is not known, n=1", "*** is not known, n=1"),
        ("/in?SECRETSECRET", "SECRETSECRET is not known", "*** is not known"),
        ("/in?token=SECRET%2FSECRET", "SECRET/SECRET or SECRET%2FSECRET", "*** or ***"),
        ("/a%20long%20secret", "a long secret", "***"),
        ("/in?token=short", "short", "short"),
    ],
)
async def test_what_an_answer_repeats_of_the_address_is_masked(target: str, said: str, shown: str) -> None:
    async with receiving(response(200, said)) as receiver:
        endpoint = Endpoint(f"http://127.0.0.1:{receiver.port}{target}")
        assert await dispatched(hook(endpoint)) == [(1, shown, 200)]


def test_options_of_intents_are_checked_at_once() -> None:
    with pytest.raises(InvalidOption, match="attempts"):
        Webhook(intents={Register: {"attempts": 0}})
    with pytest.raises(InvalidOption, match="retries"):
        Webhook(intents={Register: {"retries": 3}})  # type: ignore[typeddict-unknown-key]
