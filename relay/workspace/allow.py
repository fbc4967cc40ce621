"""`allow_private` entries: an address or network, and a port, that the address guard lets through."""

import ipaddress

FORM = "write it like 127.0.0.1:9000, 10.2.0.0/16:443 or [fd00::1]:8080; the port may be *"


def allow_mistake(entry: str) -> str:
    """What is wrong with an entry; empty when it is right. Names are refused: what they stand for can change."""
    host, colon, port = entry.rpartition(":")
    if not colon or not host:
        return "needs an address and a port"
    if port != "*" and not (port.isascii() and port.isdigit() and 1 <= int(port) <= 65_535):
        return f"'{port}' is no port"
    bracketed = host.startswith("[") and "]" in host
    bare = host[1:].replace("]", "", 1) if bracketed else host
    if not bracketed and ":" in host:
        return "needs brackets around an IPv6 address"
    try:
        network = ipaddress.ip_network(bare, strict=False)
    except ValueError:
        return f"'{bare}' is no address or network (names are not allowed)"
    if bracketed and network.version != 6:
        return "has brackets around an IPv4 address"
    if "/" in bare and ipaddress.ip_address(bare.partition("/")[0]) != network.network_address:
        return f"has bits set outside of its network; the network is {network}"
    return ""
