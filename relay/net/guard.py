"""The address guard: which addresses relay may dial. Asked at connect time, on the very address that is dialled.

Not a resolver check alone: that misses IP literals, and a name may change between the check and the call.
`ip.is_global` alone is not trusted: it says True for NAT64, 6to4, multicast and some special networks.
"""

import ipaddress
import re
from collections.abc import Sequence
from dataclasses import dataclass

from relay.errors import ConfigError, Misconfigured, Problem

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

_METADATA: tuple[Network, ...] = tuple(ipaddress.ip_network(text) for text in ("169.254.0.0/16", "fd00:ec2::254", "100.100.100.200"))
_NOT_PUBLIC: tuple[Network, ...] = tuple(
    ipaddress.ip_network(text)
    for text in (
        "100.64.0.0/10",  # carrier-grade NAT
        "168.63.129.16",  # Azure's platform address
        "192.0.0.0/24",  # IETF protocol assignments
        "192.88.99.0/24",  # 6to4 relays
        "64:ff9b:1::/48",  # NAT64 of local use
        "fec0::/10",  # site-local
    )
)
_ANY_PORT = 0
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_ENTRY = re.compile(r"(?:\[(?P<v6>[0-9a-fA-F:.]+)(?P<inside>/\d{1,3})?\](?P<outside>/\d{1,3})?|(?P<v4>[0-9.]+(?:/\d{1,2})?)):(?P<port>[0-9]{1,5}|\*)")


@dataclass(frozen=True, slots=True)
class AllowList:
    """Networks with their port (0: any) that the guard lets through."""

    entries: tuple[tuple[Network, int], ...] = ()

    def covers(self, address: Address, port: int) -> bool:
        """Whether an entry names this address and port; a metadata address must be named alone."""
        alone = _is_in(address, _METADATA)
        return any(
            entry_port in (port, _ANY_PORT)
            and network.version == address.version
            and address in network
            and (not alone or network.num_addresses == 1)
            for network, entry_port in self.entries
        )


def parse_allow(entries: Sequence[str]) -> AllowList:
    """The allow-list of `127.0.0.1:9000`, `10.2.0.0/16:443`, `[::1]:*`, `[fd00::/8]:443`; raises ConfigError with all mistakes."""
    parsed: list[tuple[Network, int]] = []
    problems: list[Problem] = []
    for entry in entries:
        try:
            parsed.append(_parse_entry(entry))
        except ValueError as error:
            problems.append(Problem(f'allow_private: "{entry}": {error}', remedy='write address and port, as in "10.2.0.0/16:443" or "[::1]:9000"'))
    if problems:
        raise ConfigError(problems)
    return AllowList(tuple(parsed))


def check(address: str, port: int, allow: AllowList) -> None:
    """Raise Misconfigured (`blocked_address`) unless relay may dial this address and port."""
    dialled = _unmap(ipaddress.ip_address(address.partition("%")[0]))
    if allow.covers(dialled, port):
        return
    inner = _unwrap(dialled)
    if all(_is_public(each) or allow.covers(each, port) for each in inner):
        return
    shown = f"[{dialled}]:{port}" if dialled.version == 6 else f"{dialled}:{port}"
    kind = "a metadata address" if any(_is_in(each, _METADATA) for each in (dialled, *inner)) else "not a public address"
    raise Misconfigured(
        f'{shown} is {kind}; to let this destination reach it, set allow_private = ["{shown}"] in the configuration file', code="blocked_address"
    )


def _parse_entry(entry: str) -> tuple[Network, int]:
    match = _ENTRY.fullmatch(entry.strip())
    if match is None:
        raise ValueError("not an address with a port")
    port = _ANY_PORT if match["port"] == "*" else int(match["port"])
    if match["port"] != "*" and not 1 <= port <= 65535:
        raise ValueError("the port is not between 1 and 65535")
    network = ipaddress.ip_network(match["v4"] or match["v6"] + (match["inside"] or match["outside"] or ""))
    if network.num_addresses == 1:
        return ipaddress.ip_network(_unmap(network.network_address)), port
    return network, port


def _unmap(address: Address) -> Address:
    return address.ipv4_mapped or address if isinstance(address, ipaddress.IPv6Address) else address


def _unwrap(address: Address) -> tuple[Address, ...]:
    """The addresses that traffic to `address` really reaches: those inside NAT64, 6to4 and Teredo addresses."""
    if isinstance(address, ipaddress.IPv4Address):
        return (address,)
    if address in _NAT64:
        return (ipaddress.IPv4Address(int(address) & 0xFFFFFFFF),)
    if address.sixtofour is not None:
        return (address.sixtofour,)
    return address.teredo or (address,)


def _is_public(address: Address) -> bool:
    return address.is_global and not address.is_multicast and not address.is_reserved and not _is_in(address, _NOT_PUBLIC + _METADATA)


def _is_in(address: Address, networks: tuple[Network, ...]) -> bool:
    return any(network.version == address.version and address in network for network in networks)
