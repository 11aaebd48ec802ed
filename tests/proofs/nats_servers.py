"""NATS servers that are killed at random moments, one alone or the leaders of a cluster."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from time import monotonic, sleep
from typing import Any, TypeAlias

from tests.nats.server import START_SECONDS, NatsCluster, NatsServer

ServerAction: TypeAlias = Callable[[NatsServer], None]
MOST = 300
"""Most messages between two kills, or so many seconds."""

PATIENCE = 5.0
LOOK = 0.01


def kill_at_any_moment(server: NatsServer, chance: random.Random, kills: int) -> None:
    """Kill a server, and start it again, so many times: some as soon as it runs, others after some messages."""
    for _ in range(kills):
        wait_for_messages([server], chance)
        server.kill()
        sleep(chance.choice([0.0, chance.uniform(0.0, 0.3)]))
        server.start()


def kill_leaders(cluster: NatsCluster, name: str, chance: random.Random, kills: int) -> None:
    """Kill the leader of a store, and start it again, so many times."""
    replace_leaders(cluster, name, chance, kills, NatsServer.kill, NatsServer.start)


def pause_leaders(cluster: NatsCluster, name: str, chance: random.Random, pauses: int) -> None:
    """Stop the process of the leader of a store until there is another, so many times: it does not know that then."""
    replace_leaders(cluster, name, chance, pauses, NatsServer.pause, NatsServer.go_on)


def replace_leaders(
    cluster: NatsCluster, name: str, chance: random.Random, times: int, end: ServerAction, begin: ServerAction
) -> None:
    """Have the leader of a store replaced so many times; print how long nothing was stored."""
    for _ in range(times):
        wait_for_messages(cluster.servers, chance)
        leader = find_leader(cluster, name)
        end(leader)
        seconds = seconds_until_more([each for each in cluster.servers if each is not leader])
        print(f"without {leader.name} the others went on after {seconds:.1f} s")
        begin(leader)
        if chance.random() < 0.5:
            wait_until(lambda: is_whole(cluster, name))


def wait_for_messages(servers: list[NatsServer], chance: random.Random) -> None:
    """Return when a random number of messages were stored, or after a while."""
    messages, end = last_sequence(servers) + chance.choice([0, chance.randrange(MOST)]), monotonic() + PATIENCE
    wait_until(lambda: last_sequence(servers) >= messages or monotonic() > end)
    sleep(chance.choice([0.0, chance.uniform(0.0, 0.1)]))


def wait_until(condition: Callable[[], bool]) -> None:
    """Return when something holds, or after long."""
    end = monotonic() + START_SECONDS
    while not condition() and monotonic() < end:
        sleep(LOOK)


def last_sequence(servers: list[NatsServer]) -> int:
    """Return the number of the last message of all streams, as the servers know it."""
    return max(sum(int(stream["state"]["last_seq"]) for stream in streams(server)) for server in servers)


def seconds_until_more(servers: list[NatsServer]) -> float:
    """Wait until more messages are stored, and return the seconds."""
    messages, begun = last_sequence(servers), monotonic()
    wait_until(lambda: last_sequence(servers) > messages)
    return monotonic() - begun


def find_leader(cluster: NatsCluster, name: str) -> NatsServer:
    """Return the server that leads the stream of a store."""
    found: list[NatsServer] = []

    def look() -> bool:
        leaders = [stream["cluster"].get("leader") for stream in all_streams(cluster, name)]
        found[:] = [each for each in cluster.servers if each.name in leaders]
        return bool(found)

    wait_until(look)
    return found[0]


def is_whole(cluster: NatsCluster, name: str) -> bool:
    """True if the leader says that all replicas are there."""
    replicas = [stream["cluster"].get("replicas") or [{}] for stream in all_streams(cluster, name)]
    return any(len(each) == 2 and all(one.get("current") for one in each) for each in replicas)


def all_streams(cluster: NatsCluster, name: str) -> Iterator[Any]:
    """Iterate over what each server says of the stream of a store."""
    return (each for server in cluster.servers for each in streams(server) if each["name"] == f"MODD_{name}")


def streams(server: NatsServer) -> Iterator[Any]:
    """Iterate over what a server says of its streams."""
    for account in server.ask_monitor("/jsz?streams=true").get("account_details", []):
        yield from account["stream_detail"]
