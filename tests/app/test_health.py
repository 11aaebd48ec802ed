"""The health of an app over HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import anyio
import anyio.abc
import pytest

from modd import InvalidOption
from modd.app import App, AppFailed, Health, PortTaken
from modd.errors import MissingExtra
from tests.app.jobs import Job, Slow, Timed

pytestmark = pytest.mark.anyio


class Answer(NamedTuple):
    code: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def get(health: Health, path: str, method: str = "GET") -> Answer:
    """Return the answer to a request, after which the connection is closed."""
    received = b""
    async with await anyio.connect_tcp(health.host, health.bound_port or 0) as stream:
        await stream.send(f"{method} {path} HTTP/1.1\r\nHost: {health.host}\r\n\r\n".encode())
        async for data in stream:
            received += data
    head, body = received.split(b"\r\n\r\n", 1)
    first, *lines = head.decode().split("\r\n")
    return Answer(int(first.split()[1]), dict(line.split(": ", 1) for line in lines), body)


@asynccontextmanager
async def starting(app: App, health: Health) -> AsyncIterator[anyio.abc.TaskGroup]:
    """Run an app beside the block, which begins when its port is listened at."""
    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(app.run)
            while health.bound_port is None:
                await anyio.lowlevel.checkpoint()
            yield tasks


async def test_it_answers_from_before_the_parts_are_ready_until_they_have_ended() -> None:
    # AP-30 AP-33
    health, slow, job = Health(port=0), Slow(), Job()
    release = anyio.Event()

    async def end_late() -> None:
        await slow.stopped.wait()
        await release.wait()

    slow.work = end_late  # type: ignore[method-assign]
    app = App("shop", slow, job, timers=[Timed("timer")], health=health)
    async with starting(app, health):
        await slow.began.wait()
        await job.began.wait()
        answer = await get(health, "/ready")
        assert (answer.code, answer.json["parts"]["slow"]) == (503, "starting")
        assert (await get(health, "/live")).json == {"name": "shop", "live": True}
        slow.may_be_ready.set()
        assert app.last_run is not None
        await app.last_run.settled.wait()
        answer = await get(health, "/ready")
        assert (answer.code, answer.headers["content-type"]) == (200, "application/json")
        assert answer.json == {"name": "shop", "ready": True, "parts": {"slow": "ok", "job": "ok", "timer": "ok"}}
        slow.words.append("last polled 31 s ago")
        answer = await get(health, "/ready")
        assert (answer.code, answer.json["ready"]) == (503, False)
        assert answer.json["parts"]["slow"] == "last polled 31 s ago"
        slow.words.clear()
        app.stop()
        await slow.stopped.wait()
        answer = await get(health, "/ready")
        assert (answer.code, answer.json["ready"]) == (503, False)
        assert (await get(health, "/live")).code == 200
        port = health.bound_port
        release.set()
    assert (health.bound_port, slow.log[-1]) == (None, "slow ends")
    with pytest.raises(OSError, match=r"."):
        await anyio.connect_tcp("127.0.0.1", port or 0)


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/", 404),
        ("GET", "/ready/", 404),
        ("POST", "/nothing", 404),
        ("POST", "/ready", 405),
        ("HEAD", "/live", 405),
        ("GET", "/live?from=here", 200),
    ],
)
async def test_other_paths_and_methods_are_refused(method: str, path: str, code: int) -> None:
    # AP-30
    health = Health(port=0)
    async with App("shop", Job(), health=health).running():
        answer = await get(health, path, method)
    assert answer.code == code
    assert answer.headers.get("allow") == ("GET" if code == 405 else None)


async def test_a_request_for_a_websocket_is_refused_and_a_connection_that_says_nothing_delays_no_end() -> None:
    # AP-30
    health = Health(port=0)
    upgrade = (
        "Connection: Upgrade",
        "Upgrade: websocket",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: YWFhYWFhYQ==",
    )
    with anyio.fail_after(60):
        async with App("shop", Job(), health=health).running():
            async with await anyio.connect_tcp("127.0.0.1", health.bound_port or 0) as stream:
                await stream.send("\r\n".join(["GET /live HTTP/1.1", "Host: x", *upgrade, "", ""]).encode())
                assert b" 403 " in await stream.receive()
            silent = await anyio.connect_tcp("127.0.0.1", health.bound_port or 0)
            await silent.send(b"GET /li")
        await silent.aclose()


async def test_checks_are_run_for_each_answer_and_none_holds_up_the_end() -> None:
    # AP-31
    asked, answers = anyio.Event(), list[int]()

    async def database() -> None:
        raise ConnectionRefusedError("secret text")

    async def hangs() -> None:
        asked.set()
        await anyio.sleep_forever()

    health = Health(port=0, checks={"database": database})
    async with App("shop", Job(), health=health).running():
        answer = await get(health, "/ready")
    assert (answer.code, answer.json["parts"]) == (503, {"job": "ok", "database": "ConnectionRefusedError"})
    health = Health(port=0, checks={"hangs": hangs})

    async def ask() -> None:
        answers.append((await get(health, "/ready")).code)

    with anyio.fail_after(60):
        async with anyio.create_task_group() as tasks, App("shop", Job(), health=health).running():
            tasks.start_soon(ask)
            await asked.wait()
    assert answers == [503]


async def test_a_port_that_is_taken_ends_the_app_before_a_part_begins() -> None:
    # AP-32
    first, job = Health(port=0), Job()
    async with App("first", Job(), health=first).running():
        assert first.bound_port is not None
        second = Health(port=first.bound_port)
        with pytest.raises(AppFailed) as failed:
            await App("second", job, health=second).run()
    [error] = failed.value.exceptions
    assert isinstance(error, PortTaken)
    assert str(error).startswith(f"port {second.port} of 127.0.0.1 is taken; end the process")
    assert (error.__notes__, failed.value.parts, job.log) == (["in the app second: health"], ("health",), [])
    async with App("second", job, health=second).running():
        assert second.bound_port == second.port


async def test_an_address_of_another_machine_ends_the_app_with_an_error_that_names_it() -> None:
    # AP-32
    with pytest.raises(AppFailed) as failed:
        await App("shop", Job(), health=Health("192.0.2.1", 0)).run()
    [error] = failed.value.exceptions
    assert isinstance(error, OSError)
    assert error.__notes__ == ["for the health at 192.0.2.1, port 0", "in the app shop: health"]


async def test_a_run_that_is_cancelled_closes_the_port() -> None:
    # AP-32
    health = Health(port=0)
    async with starting(App("shop", Job(obeys=False), health=health), health) as tasks:
        port = health.bound_port
        tasks.cancel_scope.cancel()
    assert health.bound_port is None
    async with App("shop", Job(), health=Health(port=port or 0)).running():
        pass


async def test_it_can_be_served_at_an_ipv6_address() -> None:
    # AP-32
    health = Health("::1", 0)
    async with App("shop", Job(), health=health).running():
        assert (await get(health, "/live")).code == 200


def test_nothing_is_public_by_accident() -> None:
    # AP-32
    health = Health()
    assert (health.host, health.port, health.checks, health.bound_port) == ("127.0.0.1", 8081, {}, None)


async def check() -> None: ...


class Callable_:
    async def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"host": ""}, "host='': give an address"),
        ({"host": None}, "host=None"),
        ({"host": "http://here"}, "host='http://here'"),
        ({"host": "localhost:80"}, "host=.*; the port is an option of its own"),
        ({"host": "unix:shop"}, "host='unix:shop'"),
        ({"port": -1}, "port=-1: give a port"),
        ({"port": 65536}, "port=65536"),
        ({"port": "8081"}, "port='8081'"),
        ({"port": True}, "port=True"),
        ({"checks": [check]}, "checks=.*: give a dict"),
        ({"checks": {"": check}}, "checks='': give each check a name"),
        ({"checks": {1: check}}, "checks=1"),
        ({"checks": {"db": print}}, "checks=.*: db is no async function"),
        ({"checks": {"db": None}}, "checks=.*: db is no async function"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], message: str) -> None:
    # AP-30
    with pytest.raises(InvalidOption, match=message):
        Health(**options)


def test_the_health_of_an_app_is_a_health_and_no_check_is_named_as_a_part() -> None:
    # AP-30
    with pytest.raises(InvalidOption, match=r"health=.*: give a modd\.app\.Health"):
        App("shop", Job(), health=8081)  # type: ignore[arg-type]
    for named in (Health(checks={"job": check}), Health(checks={"job": Callable_()})):
        with pytest.raises(InvalidOption, match=r"health=.*: give the check another name: a part has the label 'job'"):
            App("shop", Job(), health=named)


@pytest.mark.parametrize("missing", ["hypercorn", "h11"])
def test_without_the_extra_it_cannot_be_made(missing: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # AP-30
    for name in [name for name in sys.modules if name.partition(".")[0] == "hypercorn"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(MissingExtra, match=r"modd\.app\.Health needs packages that are not installed: .*modd\[serve\]"):
        Health()
