"""Segment's calls over HTTP: authenticate, read, `pipeline.intake`, append, answer after the commit.

Promises: 200 means the events are on disk; every answer, errors included, is JSON with CORS headers; no input makes a 5xx; a full relay
says so before it reads a body. No middlewares: they would cost a fifth of a request.
"""

import base64
import binascii
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from traceback import format_tb
from typing import Any, Final, NamedTuple

import structlog
from aiohttp import web

from relay.base.clock import Clock
from relay.base.event import TYPES, Event
from relay.base.ids import new_message_id
from relay.errors import Overloaded, RequestError, StoreError
from relay.observe.facts import Fact, RequestRefused
from relay.outbox.interface import Appended, Outbox, RefusedMessage
from relay.pipeline.compiled import CompiledSource, Current
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.web.respond import Cors, error_answer
from relay.web.server import Proxies
from relay.web.tracking.body import parse_object, read_bytes
from relay.web.tracking.browser import BrowserRoutes
from relay.web.tracking.pixel import PIXEL_HEADERS, TRANSPARENT_GIF, pixel_message
from relay.web.tracking.refused import records_of

log = structlog.get_logger("relay.web")

SUCCESS: Final = b'{"success": true}'
_SHORT: Final = {"identify": "i", "track": "t", "page": "p", "screen": "s", "group": "g", "alias": "a"}

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class TrackingLimits:
    """What the tracking API allows; numbers from `[server]`."""

    max_body_bytes: int = 512_000
    max_event_bytes: int = 32_768
    max_batch_events: int = 2_500
    body_timeout_s: float = 20
    public_url: str = ""
    cors_origins: tuple[str, ...] = ("*",)
    trusted_proxies: tuple[str, ...] = ()


class _Taken(NamedTuple):
    """What is to be stored of one request."""

    source_slug: str
    events: list[Event]
    refused: Sequence[RefusedMessage]
    body_bytes: int


class TrackingApi:
    """The public face. `emit` takes facts about refused requests, `accepted` (source, body bytes, seconds, stored, duplicates) one call per good one."""

    def __init__(
        self,
        current: Current,
        outbox: Outbox,
        limits: TrackingLimits,
        clock: Clock,
        emit: Callable[[Fact], None],
        *,
        accepted: Callable[[str, int, float, int, int], None] | None = None,
        new_id: Callable[[], str] = new_message_id,
    ) -> None:
        self._current, self._outbox, self._limits, self._clock = current, outbox, limits, clock
        self._emit, self._accepted, self._new_id = emit, accepted, new_id
        self._event_limits = Limits(limits.max_event_bytes)
        self._proxies = Proxies(limits.trusted_proxies)
        self.cors = Cors(limits.cors_origins)
        self._reading_bytes = 0
        self._time = (0, "")

    def app(self) -> web.Application:
        """The application; serve it with a `Listener` whose `error_headers` are `self.cors.headers`."""
        app = web.Application()
        routes: dict[str, Handler] = {}
        for kind in TYPES:
            routes |= dict.fromkeys((f"/{kind}", f"/{_SHORT[kind]}"), partial(self._call, kind))
        routes |= dict.fromkeys(("/batch", "/b", "/import"), partial(self._call, None))
        routes["/m"] = self._metrics
        everywhere = {prefix + path + slash: handler for path, handler in routes.items() for prefix in ("/v1", "") for slash in ("", "/")}
        for kind in TYPES:
            everywhere |= dict.fromkeys((f"/api/s/{kind}", f"/api/s/{kind}/"), partial(self._call, kind))
        for path, handler in everywhere.items():
            app.router.add_post(path, self._fenced(handler), expect_handler=_expect)
        browser = BrowserRoutes(self._current, self._proxies, self._limits.public_url, self.cors)
        gets: dict[str, Handler] = {}
        for prefix in ("/v1", ""):
            gets |= {f"{prefix}/pixel/{kind}": partial(self._pixel, kind) for kind in TYPES}
            gets[f"{prefix}/projects/{{write_key}}/settings"] = browser.settings
        gets["/analytics.js/v1/{write_key}/{name:(analytics|platform)(\\.min)?\\.js}"] = browser.script
        for path, handler in gets.items():
            for slash in ("", "/"):
                app.router.add_get(path + slash, self._fenced(handler))
        paths = frozenset(everywhere)
        app.router.add_route("*", "/{path:.*}", self._fenced(partial(self._other, paths)), expect_handler=_expect)
        return app

    def _fenced(self, handler: Handler) -> Handler:
        """`handler`, with every exception turned into its answer."""

        async def answer(request: web.Request) -> web.StreamResponse:
            try:
                return await handler(request)
            except RequestError as error:
                return self._refuse(request, error.status, error.code, error.message)
            except Overloaded as error:
                return self._refuse(request, 429, "overloaded", error.message, error.retry_after_s)
            except StoreError as error:
                return self._refuse(request, 503, "unavailable", error.message, error.retry_after_s)
            except ConnectionError:
                return self._refuse(request, 400, "bad_request", "the client went away")
            except Exception as error:  # fence: a bug here must reach the log, and the client must retry
                # without the error's text, for it may hold what a client sent and no privacy rule has seen
                log.error("request.crashed", path=request.path, error=type(error).__name__, exception="".join(format_tb(error.__traceback__)))
                return self._refuse(request, 503, "unavailable", "relay failed on this request; its log says why", 5)

        return answer

    def _refuse(self, request: web.Request, status: int, code: str, message: str, retry_after_s: int | None = None) -> web.Response:
        self._emit(RequestRefused(status, code, message=message))
        answer = error_answer(status, code, message, headers=self.cors.headers(request), retry_after_s=retry_after_s)
        if status == 408:
            answer.force_close()
        return answer

    async def _call(self, kind: str | None, request: web.Request) -> web.StreamResponse:
        """One of the six calls (`kind`), or a batch (None)."""
        started = self._clock.monotonic()
        # In a call of its own, so that while the commit is awaited no more of the messages is in memory than what is stored of them.
        taken = self._take(kind, request, await self._read(request))
        answers = await self._store(taken)
        if kind is not None and taken.refused and taken.refused[0].code == "event_too_large":
            raise RequestError(400, "event_too_large", f"the event is larger than {self._limits.max_event_bytes} bytes")
        if self._accepted is not None:
            duplicates = sum([answer.duplicate for answer in answers])
            self._accepted(taken.source_slug, taken.body_bytes, self._clock.monotonic() - started, len(answers), duplicates)
        return web.Response(body=SUCCESS, headers=self.cors.json_headers(request))

    def _take(self, kind: str | None, request: web.Request, body: bytes) -> _Taken:
        """What is to be stored of a request."""
        message = parse_object(body)
        if kind is None:
            messages = message.get("batch")
            if not isinstance(messages, list):
                raise RequestError(400, "invalid_body", 'the body must hold an array "batch"')
            envelope: Mapping[str, Any] = message
        else:
            messages, envelope = [message], {}
        source = self._source(request, message)
        if len(messages) > self._limits.max_batch_events:
            raise RequestError(400, "too_many_events", f"the batch holds more than {self._limits.max_batch_events} events; none was taken")
        return self._accept(request, messages, envelope, source, kind, "Origin" in request.headers, len(body))

    async def _read(self, request: web.Request) -> bytes:
        """The body, when there is room for it; what is being read counts against the same bound as what waits for its commit."""
        limits, pressure = self._limits, self._outbox.pressure()
        if pressure.full:
            raise StoreError(f"relay takes no events now: {pressure.full}", retry_after_s=pressure.retry_after_s)
        length = request.content_length
        expected = limits.max_body_bytes if length is None or "Content-Encoding" in request.headers else min(length, limits.max_body_bytes)
        busy = pressure.waiting_bytes + self._reading_bytes
        if busy and busy + expected > pressure.memory_max_bytes:
            raise Overloaded(1)
        self._reading_bytes += expected
        try:
            return await read_bytes(request, max_bytes=limits.max_body_bytes, timeout_s=limits.body_timeout_s)
        finally:
            self._reading_bytes -= expected

    def _source(self, request: web.Request, body: Mapping[str, Any]) -> CompiledSource:
        source = self._current.compiled.sources_by_key.get(write_key_of(request, body))
        if source is None:
            raise RequestError(401, "invalid_write_key", "the write key is missing or unknown")
        return source

    def _accept(
        self,
        request: web.Request,
        messages: list[Any],
        envelope: Mapping[str, Any],
        source: CompiledSource,
        kind: str | None,
        is_browser_side: bool,
        body_bytes: int = 0,
    ) -> _Taken:
        received_ms = int(self._clock.now() * 1000)
        if received_ms != self._time[0]:
            self._time = (received_ms, time_text(received_ms))
        user_agent = request.headers.get("User-Agent", "")
        if not user_agent.isascii():  # aiohttp keeps bytes that are no UTF-8 as surrogates, which JSON cannot carry
            user_agent = user_agent.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
        events, refused = accept(
            messages,
            envelope,
            source,
            received_ms=received_ms,
            received_text=self._time[1],
            client=Client(self._proxies.client_address(request), user_agent, is_browser_side),
            limits=self._event_limits,
            new_id=self._new_id,
            kind=kind,
            suppressions=self._current.suppressions,
        )
        records = records_of(refused, messages, source, received_ms) if refused else ()
        return _Taken(source.source.slug, events, records, body_bytes)

    async def _store(self, taken: _Taken) -> Sequence[Appended]:
        """Returns after the commit."""
        return await self._outbox.append(taken.events, taken.refused) if taken.events or taken.refused else ()

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        """Analytics.js reports on itself; read and dropped."""
        await self._read(request)
        return web.Response(body=SUCCESS, headers=self.cors.json_headers(request))

    async def _pixel(self, kind: str, request: web.Request) -> web.StreamResponse:
        """Always the picture: a broken image in an e-mail helps nobody. Errors are counted as for the other calls."""
        try:
            if request.method == "GET":
                if full := self._outbox.pressure().full:
                    raise StoreError(full)
                message = pixel_message(request)
                source = self._source(request, message)
                await self._store(self._accept(request, [message], {}, source, kind, True))
        except (RequestError, Overloaded, StoreError) as error:
            self._emit(RequestRefused(getattr(error, "status", 503), error.code, message=error.message))
        return web.Response(body=TRANSPARENT_GIF, headers={**self.cors.headers(request), **PIXEL_HEADERS})

    async def _other(self, paths: frozenset[str], request: web.Request) -> web.StreamResponse:
        """OPTIONS everywhere; else a wrong method or an unknown path."""
        if request.method == "OPTIONS":
            return self.cors.preflight(request)
        if request.path in paths:
            raise RequestError(405, "method_not_allowed", "this address takes POST")
        if request.method not in ("GET", "HEAD", "POST"):
            raise RequestError(405, "method_not_allowed", "use GET or POST")
        raise RequestError(404, "not_found", "there is nothing at this address")


async def _expect(request: web.Request) -> None:
    """`Expect: 100-continue` is answered; any other expectation is ignored rather than refused in plain text."""
    if request.headers.get("Expect", "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0


def write_key_of(request: web.Request, body: Mapping[str, Any]) -> str:
    """The write key, from where clients put it: header, Basic user name, body, first item of a batch, query. Empty: none."""
    header = request.headers.get("Authorization", "")
    if header[:6].lower() == "basic " and (key := _basic_user(header[6:])):
        return key
    if key := request.headers.get("X-Write-Key", ""):  # Jitsu's clients mask the key in the body
        return key
    batch = body.get("batch")
    first = batch[0] if isinstance(batch, list) and batch else None
    for holder in (body, first):
        own = holder.get("writeKey") if isinstance(holder, dict) else None
        if isinstance(own, str) and own:
            return own
    return request.query.get("writeKey", "") if request.query_string else ""


@lru_cache(maxsize=1024)
def _basic_user(text: str) -> str:
    """The user name of Basic credentials; empty when they are none. Clients send the same ones with every request."""
    text = text.strip()
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4)).decode().partition(":")[0]
    except (binascii.Error, ValueError):
        return ""
