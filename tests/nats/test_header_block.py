"""Headers as bytes."""

from __future__ import annotations

import pytest

from modd.nats.header_block import decode_block, encode_block


@pytest.mark.parametrize("headers", [{}, {"a": "b"}, {"Unit": "€", "empty": "", "colons": "a: b:c"}])
def test_headers_arrive_as_they_were_sent(headers: dict[str, str]) -> None:
    # NA-57
    assert decode_block(encode_block(headers)) == headers


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        (None, {}),
        (b"NATS/1.0 503\r\n\r\n", {"Status": "503"}),
        (b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404", "Description": "No Messages"}),
        (
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer: 1016\r\n\r\n",
            {"Status": "100", "Description": "Idle Heartbeat", "Nats-Last-Consumer": "1016"},
        ),
        (b"NATS/1.0 what\r\nName:value \r\nno colon\r\n\r\n", {"Name": "value"}),
        (b"NATS/1.0\r\nName: \xff\r\n\r\n", {"Name": "\ufffd"}),
    ],
)
def test_headers_of_other_clients_and_of_the_server_are_read(block: bytes | None, headers: dict[str, str]) -> None:
    # NA-57
    assert decode_block(block) == headers
