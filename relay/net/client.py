"""The HTTP client of one destination: a Transport over aiohttp, behind the address guard.

Promises: an answer, whatever its status, is returned; everything else is an error whose class and code say what happened. The head
of an answer decides: when its body breaks off or is late, what was read of it is returned. Bodies, headers and URLs are never logged.
"""

import asyncio
import errno
import functools
import io
import os
import socket
import ssl
from collections.abc import Sequence
from typing import Any, Final

import aiohttp
from aiohttp.abc import ResolveResult
from aiohttp.resolver import ThreadedResolver
from multidict import CIMultiDict
from yarl import URL

from relay import __version__
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.request import Request, Response, Transport
from relay.net.guard import AllowList, check, parse_allow

ANSWER_BYTES: Final = 65_536
CONNECT_S: Final = 5.0
READ_S: Final = 10.0
_LARGE_BODY_BYTES: Final = 1 << 20
"""aiohttp warns beyond this size when a body is plain bytes: it would write it in one go."""
_DEFAULT_HEADERS: Final = CIMultiDict({"accept": "*/*", "accept-encoding": "identity", "user-agent": f"relay/{__version__}"})


class _BlockedError(OSError):
    """The guard refused; one text for all, since the dialler merges errors whose texts differ into a plain OSError."""

    def __init__(self, refusal: Misconfigured) -> None:
        super().__init__(errno.EACCES, "blocked by the address guard")
        self.refusal = refusal


class _GuardedResolver(ThreadedResolver):
    """Leaves out addresses that the guard refuses, so that a name with a refused and an allowed address works.

    The guard itself stands in the socket factory; this only chooses.
    """

    def __init__(self, allow: AllowList) -> None:
        super().__init__()
        self._allow = allow

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC) -> list[ResolveResult]:
        allowed: list[ResolveResult] = []
        refusal: Misconfigured | None = None
        for found in await super().resolve(host, port, family):
            try:
                check(found["host"], found["port"], self._allow)
                allowed.append(found)
            except Misconfigured as error:
                refusal = refusal or error
        if refusal is not None and not allowed:
            raise refusal
        return allowed


class HttpTransport(Transport):
    """Sends the requests of one destination over its own connections; the session is made with the first request."""

    def __init__(self, allow_private: Sequence[str], timeout_s: float, *, endpoint: str = "", ca_file: str = "", verify: bool = True) -> None:
        """Raises ConfigError when `allow_private` is wrong. `endpoint`: takes the place of each request's scheme and host.

        `verify=False` switches off TLS verification.
        """
        self._endpoint = endpoint
        self._allow = parse_allow(allow_private)
        self._timeout_s = timeout_s
        self._ca_file = ca_file
        self._verify = verify
        self._session: aiohttp.ClientSession | None = None

    async def send(self, request: Request) -> Response:
        """Any HTTP answer is returned. Raises Retryable (timeout, reset, DNS, TLS, no HTTP), Misconfigured or Permanent (bad header)."""
        url = _url(_at(self._endpoint, request.url) if self._endpoint else request.url)
        session = self._session
        if session is None:
            session = self._session = self._open()
        body: Any = request.body
        if len(body) > _LARGE_BODY_BYTES:
            body = io.BytesIO(body)
        headers = _headers(request.headers)
        # Naming headers to skip makes aiohttp copy and sort them for each request; with all of them given there is none to skip.
        skipped = None if "content-type" in headers else ("content-type",)
        total_s = self._timeout_s if request.timeout_s is None else min(request.timeout_s, self._timeout_s)
        clock = asyncio.get_running_loop().time
        started = clock()
        try:
            answer = await session.request(
                request.method, url, data=body or None, headers=headers, skip_auto_headers=skipped, allow_redirects=False, timeout=_timeout(total_s)
            )
            try:
                sample = await _read(answer)
            finally:
                answer.release()
            return Response(answer.status, {name.lower(): value for name, value in answer.headers.items()}, sample, (clock() - started) * 1000)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _meaning(error) from error

    async def close(self) -> None:
        """Close pooled connections; calling it twice is harmless."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=0, resolver=_GuardedResolver(self._allow), socket_factory=self._socket, ssl=self._tls())
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trust_env=False,
            auto_decompress=False,
        )

    def _socket(self, address: tuple[Any, ...]) -> socket.socket:
        family, kind, protocol, _, dialled = address
        try:
            check(dialled[0], dialled[1], self._allow)
        except Misconfigured as refusal:
            raise _BlockedError(refusal) from refusal
        return socket.socket(family, kind, protocol)

    def _tls(self) -> ssl.SSLContext | bool:
        if self._verify and not self._ca_file:
            return True
        try:
            context = ssl.create_default_context(cafile=self._ca_file or None)
        except OSError as error:
            raise Misconfigured(f"ca_file cannot be read: {self._ca_file}", code="INVALID_SETTINGS") from error
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context


def _at(endpoint: str, url: str) -> str:
    """Path and query of `url` at another scheme and host."""
    _, slash, rest = url.partition("://")[2].partition("/")
    return f"{endpoint}{slash or '/'}{rest}"


@functools.lru_cache(maxsize=256)
def _url(text: str) -> URL:
    try:
        url = URL(text)
    except ValueError as error:
        raise Misconfigured("the URL is not valid") from error
    if url.scheme not in ("http", "https") or not url.host:
        raise Misconfigured("the URL must start with http:// or https:// and name a host")
    if url.raw_user is not None or url.raw_password is not None:
        raise Misconfigured("the URL must not hold a user name or password")
    return url


def _headers(given: tuple[tuple[str, str], ...]) -> CIMultiDict[str]:
    """The default headers, and what the request gives in their place or beside them."""
    headers = _DEFAULT_HEADERS.copy()
    headers.update(given)
    return headers


@functools.lru_cache(maxsize=64)
def _timeout(total_s: float) -> aiohttp.ClientTimeout:
    return aiohttp.ClientTimeout(total=total_s, connect=CONNECT_S, sock_read=READ_S)


async def _read(answer: aiohttp.ClientResponse) -> bytes:
    """At most 64 KiB of the body; the connection is closed unless the answer ended within them."""
    content, parts, room = answer.content, [], ANSWER_BYTES
    if answer.status == 101:
        answer.close()
        return b""
    try:
        while room > 0 and not content.at_eof():
            part = await content.read(room)
            parts.append(part)
            room -= len(part)
    except (aiohttp.ClientError, OSError):
        # The head has arrived and decides (reliability page 3: 2xx, body truncated or not); TimeoutError is an OSError.
        answer.close()
    if not content.at_eof():
        answer.close()
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _meaning(error: Exception) -> DeliveryError:
    """What a failed request means; decided on classes, never on texts."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    if isinstance(cause, _BlockedError):
        return cause.refusal
    if isinstance(error, TimeoutError):
        return Retryable("the receiver did not answer in time", code="ETIMEDOUT")
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return Retryable(f"the name {error.host} could not be resolved", code="ENOTFOUND")
    if isinstance(error, aiohttp.ClientSSLError) or isinstance(cause, ssl.SSLError):
        return Retryable(f"TLS: {cause}", code="ETLS")
    if isinstance(error, aiohttp.ClientConnectorError):
        return _connect_failure(error)
    if isinstance(error, aiohttp.InvalidURL):
        return Misconfigured("the URL is not valid")
    if isinstance(error, aiohttp.ClientConnectionError | OSError):
        return Retryable("the receiver closed the connection before it answered", code="ECONNRESET")
    if isinstance(error, aiohttp.ClientError):
        return Retryable("the receiver's answer was not HTTP", code="EPROTO")
    return Permanent(f"the request cannot be sent: {error}", code="BAD_REQUEST")


def _connect_failure(error: aiohttp.ClientConnectorError) -> Retryable:
    where, cause = f"{error.host}:{error.port}", error.os_error
    if isinstance(cause, ConnectionResetError | BrokenPipeError):
        return Retryable(f"{where} closed the connection before it answered", code="ECONNRESET")
    if isinstance(cause, TimeoutError):
        return Retryable(f"{where} did not answer in time", code="ETIMEDOUT")
    return Retryable(f"{where}: {os.strerror(cause.errno) if cause.errno else 'no connection'}", code="ECONNREFUSED")
