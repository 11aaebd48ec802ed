"""Fixtures with NATS servers, for the tests of links and of stores."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.nats.server import NatsCluster, NatsServer


@pytest.fixture(scope="session")
def nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with JetStream for all tests; none may stop it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="session")
def nats_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsCluster]:
    """A cluster of three servers for all tests; none may stop it."""
    with NatsCluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def own_nats_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """A server with JetStream for one test, which may stop it."""
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server
