"""The connection to the server, behind the address guard, and what its errors mean. Decided on classes and codes, never on texts."""

import asyncio
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import asyncpg

from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.sink import Connect

CONNECT_S: Final = 15.0
"""Longest wait for a connection with login."""
COMMAND_S: Final = 60.0
"""Longest wait for one statement, but those that rewrite a table."""
SAMPLE_CHARS: Final = 300
_OF_THE_EVENT: Final = ("22", "23", "54")
"""Classes of SQLSTATE: data, integrity, limits of a row."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the rows go, and how relay logs in."""

    host: str
    port: int
    database: str
    user: str
    password: str
    tls: str
    """`verify`, `require` or `disable`."""
    ca_file: str = ""


class _GuardedLoop:
    """The loop as the driver sees it: its connections are those that the address guard lets through. The driver takes no socket."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connect: Connect) -> None:
        self._loop = loop
        self._connect = connect

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def create_connection(self, factory: Callable[[], Any], host: str, port: int, **options: Any) -> Any:
        made = await self._connect(host, port)
        try:
            return await self._loop.create_connection(factory, sock=made, **options)
        except BaseException:
            made.close()
            raise


async def connected(server: Server, connect: Connect) -> Any:
    """A connection that is logged in. Raises Retryable or Misconfigured."""
    try:
        async with asyncio.timeout(CONNECT_S):
            return await asyncpg.connect(
                host=server.host,
                port=server.port,
                user=server.user,
                password=server.password,
                database=server.database,
                ssl=_tls(server) if server.tls != "disable" else False,
                loop=_GuardedLoop(asyncio.get_running_loop(), connect),
                target_session_attrs="any",
                timeout=CONNECT_S,
                command_timeout=COMMAND_S,
                statement_cache_size=0,  # works behind PgBouncer too
                server_settings={"application_name": "relay", "timezone": "UTC"},
            )
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError, ValueError) as error:
        raise meaning_of(error) from error


def _tls(server: Server) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=server.ca_file or None)
    except OSError as error:
        raise Misconfigured(f"ca_file cannot be read: {server.ca_file}") from error
    if server.tls == "require":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def meaning_of(error: Exception) -> DeliveryError:
    """What a failure means: temporary, the destination's settings, or (as Permanent) an event of the batch."""
    if isinstance(error, asyncpg.PostgresError):
        return _of_server(error)
    if isinstance(error, TimeoutError):
        return Retryable("the server did not answer in time", code="ETIMEDOUT")
    if isinstance(error, ssl.SSLError):
        return Retryable(f"TLS: {error}", code="ETLS")
    if type(error) is ConnectionError:  # the driver's word for a server without TLS; broken connections come as its sub-classes
        return Misconfigured("the server offers no TLS; set tls to disable if the way to it is safe")
    if isinstance(error, asyncpg.ClientConfigurationError):
        return Misconfigured(f"the settings do not make a connection: {error}"[:SAMPLE_CHARS])
    if isinstance(error, asyncpg.DataError):
        return Permanent(f"the driver refuses a value: {error}"[:SAMPLE_CHARS], code="BAD_REQUEST")
    if isinstance(error, OSError | asyncpg.InterfaceError):
        return Retryable(f"the connection broke: {error}"[:SAMPLE_CHARS], code="ECONNRESET")
    return Misconfigured(f"the settings do not make a connection: {error}"[:SAMPLE_CHARS])


def _of_server(error: asyncpg.PostgresError) -> DeliveryError:
    state = error.sqlstate or ""
    said = f"{state} {error}"[:SAMPLE_CHARS]
    if state.startswith("28"):
        return Misconfigured(f"the server refuses the login: {said}", code="credentials")
    if state == "42501":
        return Misconfigured(f"the user may not do this: {said}", code="credentials")
    if state.startswith("3D"):
        return Misconfigured(f"there is no such database: {said}")
    if state.startswith("42") or state in ("0A000", "3F000"):
        return Misconfigured(f"the tables are not as relay needs them: {said}")
    if state.startswith(_OF_THE_EVENT):
        return Permanent(f"the server refuses the event: {said}", code="BAD_REQUEST")
    return Retryable(f"the server cannot write now: {said}", code="RETRY")
