"""Addresses that a webhook may connect to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from modd import InvalidOption, ModdError
from modd.middleware.webhook.addresses import AddressFilter, AddressRefused

PUBLIC = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.0", "172.32.0.1", "192.0.1.1", "223.255.255.255"]
PUBLIC_6 = [
    "2606:4700::1111",
    "2a00:1450:4001::1",
    "2001:4860:4860::8888",
    "2003::1",
    "::ffff:1.1.1.1",
    "64:ff9b::808:808",
]

REFUSED = {
    "unspecified": ["0.0.0.0", "0.1.2.3", "::"],
    "loopback": ["127.0.0.1", "127.255.255.254", "::1"],
    "private": ["10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "fc00::1", "fd00:ec2::254"],
    "shared by a carrier": ["100.64.0.1", "100.100.100.200", "100.127.255.255"],
    "link-local": ["169.254.169.254", "fe80::1", "fe80::1%eth0", "febf::1"],
    "multicast": ["224.0.0.1", "239.255.255.255", "ff02::1"],
    "a service of a cloud provider": ["168.63.129.16"],
    "for documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1", "3fff::1"],
    "for benchmarks": ["198.18.0.1", "198.19.255.255", "2001:2::1"],
    "a tunnel (Teredo)": ["2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2"],
    "a tunnel (6to4)": ["2002:7f00:1::1", "2002:a00:1::", "2002:808:808::1", "192.88.99.1"],
    "a local translation (NAT64)": ["64:ff9b:1::1", "64:ff9b:1:7f00:0:100::"],
    "reserved": ["192.0.0.192", "240.0.0.1", "255.255.255.255", "2001:20::1", "::7f00:1", "::ffff:0:7f00:1", "4000::1"],
}

IN_DISGUISE = {
    "::ffff:127.0.0.1": "loopback",
    "::ffff:a9fe:a9fe": "link-local",
    "64:ff9b::7f00:1": "loopback",
    "64:ff9b::a00:1": "private",
    "64:ff9b::100.64.0.1": "shared by a carrier",
}


# MI-45
@pytest.mark.parametrize("address", [*PUBLIC, *PUBLIC_6])
def test_public_addresses_are_select(address: str) -> None:
    assert AddressFilter().select("a.example", [address]) == [address]


# MI-45
@pytest.mark.parametrize(
    ("address", "reason"),
    [*((address, reason) for reason, addresses in REFUSED.items() for address in addresses), *IN_DISGUISE.items()],
)
def test_all_others_are_refused(address: str, reason: str) -> None:
    with pytest.raises(AddressRefused) as caught:
        AddressFilter().select("a.example", [address])
    assert caught.value.reason == f"{address} is {reason}"
    assert str(caught.value).startswith(f"a.example is refused: {address} is {reason}; to allow it, ")
    assert isinstance(caught.value, ModdError) and caught.value.host == "a.example"


# MI-45
@pytest.mark.costly
@given(st.ip_addresses(v=4))
def test_a_disguise_changes_nothing(address: IPv4Address) -> None:
    def select(given: object) -> bool:
        try:
            return bool(AddressFilter().select("a.example", [str(given)]))
        except AddressRefused:
            return False

    assert select(address) is select(IPv6Address(f"::ffff:{address}")) is select(f"64:ff9b::{address}")
    assert not select(IPv6Address(f"::{address}"))
    assert not select(IPv6Address(0x2002 << 112 | int(address) << 80 | 1))


# MI-45
@given(st.ip_addresses())
def test_nothing_is_permitted_that_python_knows_to_be_private(address: IPv4Address | IPv6Address) -> None:
    if address.is_private or address.is_loopback or address.is_link_local or address.is_multicast:
        disguised = getattr(address, "ipv4_mapped", None)
        if disguised is None or not disguised.is_global:
            with pytest.raises(AddressRefused):
                AddressFilter().select("a.example", [str(address)])


# MI-45
@pytest.mark.parametrize(
    ("allowed", "address"),
    [
        ("10.0.0.0/8", "10.1.2.3"),
        ("10.0.0.0/8", "::ffff:10.1.2.3"),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3"),
        ("::ffff:0:0/96", "::ffff:10.1.2.3"),
        (ip_network("10.0.0.0/8"), "10.1.2.3"),
        ("127.0.0.1", "127.0.0.1"),
        (ip_address("::1"), "::1"),
        ("fe80::/10", "fe80::1%eth0"),
        ("64:ff9b:1::/48", "64:ff9b:1::1"),
        ("hooks.internal", "10.1.2.3"),
        ("Hooks.Internal.", "10.1.2.3"),
    ],
)
def test_what_is_allowed_is_select(allowed: Any, address: str) -> None:
    for host in ("hooks.internal", "HOOKS.internal."):
        assert AddressFilter([allowed]).select(host, [address]) == [address]


# MI-45
@pytest.mark.parametrize("allowed", ["10.0.0.0/8", "127.0.0.1", "other.internal", "internal"])
def test_nothing_else_is(allowed: str) -> None:
    with pytest.raises(AddressRefused):
        AddressFilter([allowed]).select("hooks.internal", ["127.0.0.2"])


# MI-45
def test_of_several_addresses_the_permitted_ones_are_left_each_once() -> None:
    found = ["127.0.0.1", "1.1.1.1", "::1", "2606:4700::1111", "1.1.1.1"]
    assert AddressFilter().select("a.example", found) == ["1.1.1.1", "2606:4700::1111"]
    with pytest.raises(AddressRefused, match=r"127\.0\.0\.1 is loopback, 10\.0\.0\.1 is private"):
        AddressFilter().select("a.example", ["127.0.0.1", "10.0.0.1"])


def test_a_host_without_addresses_is_refused() -> None:
    with pytest.raises(AddressRefused, match="it has no address"):
        AddressFilter().select("a.example", [])


@pytest.mark.parametrize(
    "allow",
    [
        "10.0.0.0/8",
        5,
        None,
        ["10.0.0.1/8"],
        ["10.0.0"],
        ["300.1.1.1"],
        ["http://a.example"],
        ["*.a.example"],
        [""],
        [7],
    ],
)
def test_what_cannot_be_allowed_is_an_error(allow: Any) -> None:
    with pytest.raises(InvalidOption, match="allow"):
        AddressFilter(allow)
