"""Opening a store on a NATS server: the checks of the server, and of the stream, which is created if there is none."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from modd.errors import InvalidOption
from modd.nats.errors import NobodyThere
from modd.nats.message import NatsMessage
from modd.ports.errors import StoreError
from modd.stores.nats.errors import ServerTooOld
from modd.stores.nats.jetstream import JetStream
from modd.stores.nats.record import read_time
from modd.stores.nats.requests import Answer, TryAgain, is_refused

OLDEST_SERVER = (2, 12, 2)
"""The first version that stores many batches at once safely."""


LEVEL = 2
"""The level of the JetStream API that has atomic batches."""


def checked_replicas(replicas: Any) -> int:
    """Return a number of replicas. Raises `InvalidOption`."""
    if replicas not in (1, 3, 5) or isinstance(replicas, bool):
        raise InvalidOption("replicas", replicas, "give 1, or with a cluster of servers 3 or 5")
    return int(replicas)


async def open_stream(stream: JetStream, replicas: int) -> float:
    """Check the server, open the stream or create it, and return the server's time.

    Raises:
        ServerTooOld: the server would not store batches whole.
        StoreError: there is no JetStream, no permission, or a stream with another configuration.
        StoreBusy: the server does not answer.
    """
    await _check_server(stream)
    found = await stream.requests.find_stream(stream.name)
    if found is None:
        found = await _create_stream(stream, replicas)
    _check_stream(stream, replicas, found["config"])
    stream.replicas = int(found["config"].get("num_replicas", 1))
    stream.publisher.checks_refusals = stream.replicas > 1
    return read_time(found["ts"])


async def _create_stream(stream: JetStream, replicas: int) -> Answer:
    api = f"STREAM.CREATE.{stream.name}"
    try:
        return await stream.requests.ask(api, _configuration(stream, replicas))
    except StoreError as error:
        if not is_refused(error, f"$JS.API.{api}"):
            raise
        problem = f"there is no stream {stream.name} yet, and the user of this link may not create it"
        cure = f"start a process first whose user may publish to $JS.API.{api}"
        raise StoreError(stream.store, f"{problem}; {cure}") from error


async def _check_server(stream: JetStream) -> None:
    level = int((await _ask_about_account(stream)).get("api", {}).get("level", 0))
    version = stream.link.server_version
    if version < OLDEST_SERVER or level < LEVEL:
        raise ServerTooOld(stream.store, ".".join(map(str, version)), level)


async def _ask_about_account(stream: JetStream) -> Answer:
    period, question = stream.requests.retry_period(), NatsMessage("$JS.API.INFO")
    while True:
        try:
            return await stream.requests.attempt(question)
        except TryAgain as problem:
            cause = problem.cause
        if isinstance(cause, NobodyThere):
            problem_and_cure = "there is no JetStream, as nobody answers at $JS.API.INFO; switch it on in the server"
            raise StoreError(stream.store, problem_and_cure) from cause
        await period.pause(cause)


def _configuration(stream: JetStream, replicas: int) -> Answer:
    return {"name": stream.name, "subjects": [stream.subjects.all], "num_replicas": replicas, **_NEEDED}


_NEEDED: dict[str, Any] = {
    "storage": "file",
    "retention": "limits",
    "discard": "new",
    "allow_atomic": True,
    "allow_rollup_hdrs": True,
    "allow_msg_ttl": True,
    "allow_direct": True,
}
"""The configuration that a store needs."""


def _check_stream(stream: JetStream, replicas: int, config: Mapping[str, Any]) -> None:
    wanted = {"subjects": [stream.subjects.all], **_NEEDED}
    differences = [
        f"{option} is {config.get(option)!r} and must be {value!r}"
        for option, value in wanted.items()
        if config.get(option) != value
    ]
    if differences:
        raise StoreError(
            stream.store,
            f"the stream {stream.name} has another configuration: {'; '.join(differences)}; mend it with `nats stream "
            "edit`, or give the store another name",
        )
    present = config.get("num_replicas", 1)
    if present != replicas:
        logging.getLogger("modd.stores").warning(
            "the stream %s has %s replicas, not %s; change that with `nats stream edit`", stream.name, present, replicas
        )
