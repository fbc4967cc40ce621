"""The live websocket for commands: connects with a person's token, comes back by itself, and says in exit codes why it cannot."""

import json
import random
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any, Final

import aiohttp

from relay.cli import exits
from relay.cli.remote import Remote

PROTOCOL: Final = "relay.live.v1"
DELAYS_S: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 15.0)
CLOSED: Final[Mapping[int, tuple[int, str]]] = {
    4400: (exits.PROBLEMS, "relay did not understand this command; is it another version?"),
    4401: (exits.NOT_ALLOWED, "the token was revoked"),
    4403: (exits.NOT_ALLOWED, "the token does not allow this"),
    4429: (exits.PROBLEMS, "relay has as many viewers as [ui] max_viewers allows"),
}

Message = dict[str, Any]


class Lost(Exception):
    """The connection ended; another may come."""


class LiveSocket:
    """One connection."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self._socket = socket

    async def send(self, **message: Any) -> None:
        await self._socket.send_str(json.dumps(message))

    async def receive(self) -> Message:
        """The next message. Raises Lost when the connection ended, Failure when it makes no sense to come back."""
        try:
            frame = await self._socket.receive()
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(str(error)) from error
        if frame.type is aiohttp.WSMsgType.TEXT:
            message: Message = json.loads(frame.data)
            return message
        code = self._socket.close_code or 1006
        if code in CLOSED:
            raise exits.Failure(*CLOSED[code])
        raise Lost("relay stopped" if code == 1001 else f"the connection ended ({code})")


@asynccontextmanager
async def connected(remote: Remote) -> AsyncIterator[LiveSocket]:
    """A connection. Raises Lost when nobody answers, Failure 77 when the token is not good."""
    unix = remote.url.startswith("unix:")
    connector = aiohttp.UnixConnector(remote.url.removeprefix("unix:")) if unix else None
    url = "http://localhost" if unix else remote.url.rstrip("/")
    headers = {"Authorization": f"Bearer {remote.token}"} if remote.token else {}
    async with aiohttp.ClientSession(connector=connector) as session:
        try:
            socket = await session.ws_connect(
                f"{url}/ui/api/live", protocols=[PROTOCOL], headers=headers, compress=15, max_msg_size=0, heartbeat=30
            )  # fmt: skip
        except aiohttp.WSServerHandshakeError as error:
            raise _refused(remote, error.status) from error
        except aiohttp.InvalidURL as error:
            raise exits.Failure(exits.USAGE, f"{remote.url!r} is no URL of a relay") from error
        except (aiohttp.ClientError, OSError) as error:
            raise Lost(str(error)) from error
        try:
            yield LiveSocket(socket)
        finally:
            await socket.close()


def _refused(remote: Remote, status: int) -> exits.Failure:
    if status in (401, 403):
        where = f"The token came from {remote.token_from}." if remote.token else "Name a token with --token, --token-file or RELAY_TOKEN."
        return exits.Failure(exits.NOT_ALLOWED, f"relay at {remote.url} does not let this token in", where)
    return exits.Failure(exits.UNREACHABLE, f"what answers at {remote.url} has no live view (status {status})", "Check --url or RELAY_URL.")


def unreachable(remote: Remote, reason: object) -> exits.Failure:
    return exits.Failure(
        exits.UNREACHABLE, f"no relay answers at {remote.url}: {reason}", "Start it with `relay serve`, or name the address with --url."
    )


def delay_s(tries: int) -> float:
    """How long to wait before the next try; `tries` counts from 0."""
    return DELAYS_S[min(tries, len(DELAYS_S) - 1)] * (1 + random.random() / 2)


def refreshed(remote: Remote) -> Remote:
    """With the token of this machine read again: each start of relay writes a new one."""
    local = remote.data / "cli.token" if remote.data is not None else None
    if local is None or remote.token_from != str(local):
        return remote
    try:
        return replace(remote, token=local.read_text().strip())
    except OSError:
        return remote
