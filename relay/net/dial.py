"""Connections other than HTTP, behind the same address guard: for sinks whose protocol brings a client of its own."""

import asyncio
import os
import socket
from typing import Final

from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.net.guard import AllowList, check

CONNECT_S: Final = 10.0


async def dial(host: str, port: int, allow: AllowList) -> socket.socket:
    """A connected socket to the first address of `host` that answers.

    Raises Misconfigured (`blocked_address`) when no address may be dialled, Retryable when none answers.
    """
    loop = asyncio.get_running_loop()
    failure: DeliveryError | None = None
    try:
        async with asyncio.timeout(CONNECT_S):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            for family, kind, protocol, _, address in found:
                try:
                    check(str(address[0]), port, allow)
                    return await _connect(socket.socket(family, kind, protocol), address)
                except Misconfigured as refusal:
                    failure = failure or refusal
                except OSError as error:
                    reason = os.strerror(error.errno) if error.errno else "no connection"
                    failure = Retryable(f"{host}:{port}: {reason}", code="ECONNREFUSED")
    except TimeoutError as error:
        raise Retryable(f"{host}:{port} did not answer in time", code="ETIMEDOUT") from error
    except (socket.gaierror, UnicodeError) as error:
        raise Retryable(f"the name {host} could not be resolved", code="ENOTFOUND") from error
    raise failure or Retryable(f"the name {host} could not be resolved", code="ENOTFOUND")


async def _connect(made: socket.socket, address: tuple[object, ...]) -> socket.socket:
    try:
        made.setblocking(False)
        await asyncio.get_running_loop().sock_connect(made, address)
    except BaseException:
        made.close()
        raise
    return made
