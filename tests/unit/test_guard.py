"""The address guard, as a table."""

import pytest

from relay.errors import ConfigError, Misconfigured
from relay.net.guard import AllowList, check, parse_allow

PUBLIC = [
    "8.8.8.8",
    "1.1.1.1",
    "2606:4700::1111",
    "::ffff:8.8.8.8",  # mapped
    "64:ff9b::808:808",  # NAT64 of a public address
    "2002:808:808::1",  # 6to4 of a public address
]
REFUSED = [
    "127.0.0.1",
    "127.9.9.9",
    "0.0.0.0",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "192.0.0.8",
    "192.88.99.1",
    "198.18.0.1",
    "224.0.0.1",
    "239.1.2.3",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::8.8.8.8",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "fd00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "64:ff9b::a00:1",  # NAT64 of 10.0.0.1
    "64:ff9b:1::808:808",
    "2002:7f00:1::1",  # 6to4 of 127.0.0.1
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",  # Teredo, client 192.0.2.45
    "2001:0:7f00:1:8000:63bf:f7f7:f7f7",  # Teredo, server 127.0.0.1, client 8.8.8.8
]


@pytest.mark.parametrize("address", PUBLIC)
def test_a_public_address_passes(address: str) -> None:
    check(address, 443, AllowList())


@pytest.mark.parametrize("address", REFUSED)
def test_an_address_that_is_not_public_is_refused(address: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        check(address, 443, AllowList())
    assert caught.value.code == "blocked_address"


ALLOWED = [
    ("127.0.0.1:9000", "127.0.0.1", 9000, True),
    ("127.0.0.1:9000", "::ffff:127.0.0.1", 9000, True),
    ("[::ffff:127.0.0.1]:9000", "127.0.0.1", 9000, True),
    ("127.0.0.1:9000", "127.0.0.1", 9001, False),
    ("127.0.0.1:9000", "127.0.0.2", 9000, False),
    ("10.2.0.0/16:443", "10.2.255.1", 443, True),
    ("10.2.0.0/16:443", "64:ff9b::a02:1", 443, True),
    ("10.2.0.0/16:443", "10.3.0.1", 443, False),
    ("[::1]:9000", "::1", 9000, True),
    ("[fd00::/8]:443", "fd00::7", 443, True),
    ("[fd00::]/8:443", "fd00::7", 443, True),
    ("169.254.0.0/16:80", "169.254.169.254", 80, False),
    ("169.254.169.254:80", "169.254.169.254", 80, True),
    ("0.0.0.0/0:80", "100.100.100.200", 80, False),
    ("[fd00::/8]:80", "fd00:ec2::254", 80, False),
    ("[fd00:ec2::254]:80", "fd00:ec2::254", 80, True),
    ("169.254.0.0/16:80", "2002:a9fe:a9fe::1", 80, False),
    ("127.0.0.1:*", "127.0.0.1", 31_337, True),
    ("127.0.0.1:*", "127.0.0.2", 31_337, False),
    ("[::1]:*", "::1", 80, True),
    ("168.63.129.16:80", "168.63.129.16", 80, True),
]


@pytest.mark.parametrize(("entry", "address", "port", "passes"), ALLOWED)
def test_the_allow_list_counts_address_and_port(entry: str, address: str, port: int, passes: bool) -> None:
    allow = parse_allow([entry])
    if passes:
        check(address, port, allow)
    else:
        with pytest.raises(Misconfigured):
            check(address, port, allow)


@pytest.mark.parametrize(("address", "shown"), [("127.0.0.1", "127.0.0.1:9000"), ("::1", "[::1]:9000"), ("::ffff:10.0.0.1", "10.0.0.1:9000")])
def test_the_refusal_names_the_address_and_a_remedy_that_works(address: str, shown: str) -> None:
    with pytest.raises(Misconfigured) as caught:
        check(address, 9000, AllowList())
    assert caught.value.message.startswith(shown)
    assert f'allow_private = ["{shown}"]' in caught.value.message
    check(address, 9000, parse_allow([shown]))


@pytest.mark.parametrize(
    "entry", ["", "127.0.0.1", "localhost:80", "127.0.0.1:0", "127.0.0.1:70000", "10.2.3.4/16:443", "::1:9000", "300.1.1.1:80", "10.0.0.0/8"]
)
def test_a_wrong_entry_is_refused_with_a_remedy(entry: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_allow(["127.0.0.1:80", entry])
    assert len(caught.value.problems) == 1
    assert caught.value.problems[0].remedy
