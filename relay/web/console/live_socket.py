"""One viewer's connection. One task reads it, one writes; rows wait in the viewer's bounded queue, never in the socket.

A peer that sends what is no message, floods, or does not take what it is sent is closed; nobody else notices.
"""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import structlog
from aiohttp import WSMsgType, web

from relay.access.operator import Operator, Role
from relay.base import jsonio
from relay.base.clock import Clock, iso
from relay.base.masking import mask
from relay.base.secret import MASK
from relay.base.tasks import spawn
from relay.control.live import Live
from relay.control.live_rows import masked
from relay.errors import FilterError
from relay.observe.row_filter import EVERYTHING, ROOTS, Material, RowFilter, found_at
from relay.observe.tap import FRAME_ROWS, Entry, Position, Viewer

log = structlog.get_logger("relay.web")

PROTOCOL: Final = "relay.live.v1"
BAD_MESSAGE, NOT_SIGNED_IN, TOO_MANY, GOING_AWAY = 4400, 4401, 4429, 1001
MESSAGE_MAX_BYTES: Final = 65_536
FLUSH_S: Final = 0.1
SEND_S: Final = 30.0
"""A peer that takes nothing for so long is gone."""
MESSAGES_A_SECOND: Final = 100.0
SCANS_A_SECOND: Final = 10.0
SUBSCRIPTIONS_MAX: Final = 4
FIELDS_MAX: Final = 10
FIELD_CHARS: Final = 200
LIMIT_DEFAULT: Final = 500
RETRY_MS: Final = 2_000
COLUMNS: Final = ("plan", "to")


class BadMessage(Exception):
    """The peer sent what the protocol does not know; the socket is closed with 4400."""


@dataclass(slots=True)
class Subscription:
    """One `subscribe`."""

    id: int
    limit: int
    columns: bool
    """Whether changes of `to` are wanted."""
    paths: tuple[str, ...]
    viewer: Viewer
    told: bool = False
    """Its snapshot was sent."""
    drops: int = 0
    """As told last."""


class Allowance:
    """So many a second, and as many at once."""

    def __init__(self, clock: Clock, rate: float) -> None:
        self._clock, self._rate = clock, rate
        self._left, self._at_s = rate, clock.monotonic()

    def take(self) -> bool:
        now_s = self._clock.monotonic()
        self._left = min(self._rate, self._left + (now_s - self._at_s) * self._rate)
        self._at_s = now_s
        self._left -= 1
        return self._left >= 0


class Socket:
    """One connection: `run` reads, `_pump` writes."""

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, by: Operator, live: Live, clock: Clock, mask_names: tuple[str, ...]
    ) -> None:
        self.by = by
        self._socket = socket
        self._request = request
        self._live = live
        self._mask_names = mask_names
        self._through: Callable[[Material], Material] | None = None
        if not by.role.includes(Role.OPERATOR):
            self._through = lambda material: masked(material, mask_names)
        self._subscriptions: dict[int, Subscription] = {}
        self._wake = asyncio.Event()
        self._stats = b""
        self._news: list[bytes] = []
        self._second = False
        self._end = 0
        self._messages, self._scans = Allowance(clock, MESSAGES_A_SECOND), Allowance(clock, SCANS_A_SECOND)
        self._clock = clock

    # orders from outside

    def tell(self, stats: bytes) -> None:
        """The figures of this second; those of the last one are forgotten when they were not sent."""
        self._stats, self._second = stats, True
        self._wake.set()

    def announce(self, message: bytes) -> None:
        self._news = [*self._news[-20:], message]
        self._wake.set()

    def end(self, code: int) -> None:
        self._end = code
        self._wake.set()

    # life

    async def run(self, version: str) -> None:
        """Until either side ends it."""
        tap = self._live.tap
        await self._send(
            {
                "t": "hello",
                "epoch": tap.epoch,
                "seq": tap.seq,
                "version": version,
                "ring": tap.ring_rows,
                "max_rate": tap.max_rate,
                "role": str(self.by.role),
                "now": iso(self._clock.now()),
            }
        )
        pump = spawn(self._pump(), name="live-pump")
        pump.add_done_callback(self._pump_ended)
        try:
            async for message in self._socket:
                if message.type is not WSMsgType.TEXT:
                    raise BadMessage("only text")
                if not self._messages.take():
                    raise BadMessage("too many messages")
                await self._receive(message.data)
        except BadMessage as error:
            await self._goodbye(BAD_MESSAGE, "bad_message", str(error))
        except (ConnectionError, TimeoutError):
            pass
        finally:
            pump.cancel()
            await asyncio.wait([pump])
            for subscription in self._subscriptions.values():
                self._live.tap.leave(subscription.viewer)

    async def _goodbye(self, code: int, word: str, text: str = "") -> None:
        try:
            async with asyncio.timeout(1):
                await self._send({"t": "bye", "code": word, "text": text, "retry_ms": RETRY_MS})
                await self._socket.close(code=code, message=word.encode())
        except (ConnectionError, TimeoutError):
            self._abort()

    def _abort(self) -> None:
        """Nothing more can be said: cut the line, so that the reader ends too."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def _pump_ended(self, pump: "asyncio.Task[None]") -> None:
        if not pump.cancelled() and pump.exception() is not None:
            log.error("live.pump_failed", exc_info=pump.exception())
            self._abort()

    async def _send(self, message: Mapping[str, Any]) -> None:
        await self._send_bytes(jsonio.dumps(message))

    async def _send_bytes(self, message: bytes) -> None:
        async with asyncio.timeout(SEND_S):
            await self._socket.send_frame(message, WSMsgType.TEXT)

    # writing

    async def _pump(self) -> None:
        try:
            while not self._end:
                await self._wake.wait()
                self._wake.clear()
                if await self._flush():
                    self._wake.set()
                await asyncio.sleep(FLUSH_S)
            await self._goodbye(self._end, "shutdown" if self._end == GOING_AWAY else "not_signed_in")
        except (ConnectionError, TimeoutError, RuntimeError):
            self._abort()

    async def _flush(self) -> bool:
        """Send what may go; True when more waits."""
        second, self._second = self._second, False
        if self._stats:
            stats, self._stats = self._stats, b""
            await self._send_bytes(stats)
        while self._news:
            await self._send_bytes(self._news.pop(0))
        more = False
        for subscription in list(self._subscriptions.values()):
            more |= await self._flush_one(subscription, second)
        return more

    async def _flush_one(self, one: Subscription, second: bool) -> bool:
        viewer = one.viewer
        if not one.told:
            one.told = True
            snapshot, viewer.snapshot = viewer.snapshot, []
            parts = []
            for first in range(0, len(snapshot), FRAME_ROWS):
                parts.append(self._rows(one, snapshot[first : first + FRAME_ROWS]))
                await asyncio.sleep(0)  # what changes meanwhile follows as a patch
            rows = b",".join(parts)
            tail = b'],"scanned":%d,"gap":%s}' % (viewer.scanned, b"true" if viewer.gap else b"false")
            await self._send_bytes(b'{"t":"snapshot","id":%d,"rows":[' % one.id + rows + tail)
        if patched := viewer.take_patches():
            await self._send_bytes(b'{"t":"patch","id":%d,"rows":[' % one.id + b",".join([entry.patch for entry in patched]) + b"]}")
        if taken := viewer.take_rows():
            entries, seq = taken
            await self._send_bytes(b'{"t":"rows","id":%d,"rows":[' % one.id + self._rows(one, entries) + b'],"seq":%d}' % seq)
        if second:
            await self._tell_counts(one)
        return viewer.has_news

    async def _tell_counts(self, one: Subscription) -> None:
        viewer = one.viewer
        total = viewer.slow_client + viewer.rate_limited
        if total != one.drops:
            one.drops = total
            await self._send({"t": "drops", "id": one.id, "slow_client": viewer.slow_client, "rate_limited": viewer.rate_limited, "total": total})
        if viewer.paused:
            await self._send({"t": "paused", "id": one.id, "waiting": viewer.waiting})

    def _rows(self, one: Subscription, entries: list[Entry]) -> bytes:
        if not one.paths:
            return b",".join([entry.json for entry in entries])
        return b",".join([b'%s,"fields":%s}' % (entry.json[:-1], jsonio.dumps(self._fields(one, entry))) for entry in entries])

    def _fields(self, one: Subscription, entry: Entry) -> dict[str, Any]:
        """The pinned values, masked by name, cut to what fits a cell; left out when the body is no longer at hand."""
        payload = entry.material.payload
        fields = {}
        for path in one.paths:
            keys = path.split(".")
            value = found_at(payload, keys)
            if value is None:
                continue
            if any(mask({key: "x"}, self._mask_names)[key] == MASK for key in keys):
                value = MASK
            elif isinstance(value, dict | list):
                value = jsonio.dumps(mask(value, self._mask_names)).decode()[:FIELD_CHARS]
            elif isinstance(value, str):
                value = value[:FIELD_CHARS]
            fields[path] = value
        return fields

    # reading

    async def _receive(self, text: str) -> None:
        try:
            message = jsonio.loads(text)
        except ValueError:
            raise BadMessage("no JSON") from None
        if not isinstance(message, dict):
            raise BadMessage("no object")
        kind = message.get("t")
        if kind == "ack":
            seq = _number(message, "seq")
            for subscription in self._subscriptions.values():
                subscription.viewer.ack(seq)
            return
        handlers: dict[Any, Callable[[int, dict[str, Any]], Any]] = {
            "subscribe": self._subscribe,
            "filter": self._filter,
            "pause": self._pause,
            "resume": self._resume,
            "unsubscribe": self._unsubscribe,
        }
        handler = handlers.get(kind) if isinstance(kind, str) else None
        if handler is None:
            raise BadMessage("unknown message")
        told = handler(_number(message, "id"), message)
        if told is not None:
            await told

    async def _subscribe(self, number: int, message: dict[str, Any]) -> None:
        limit = min(_number(message, "limit", LIMIT_DEFAULT), self._live.tap.ring_rows)
        fields = message.get("fields")
        if fields is None:
            fields = list(COLUMNS)
        if not isinstance(fields, list) or not all(isinstance(one, str) and len(one) <= FIELD_CHARS for one in fields):
            raise BadMessage("fields is a list of texts")
        paths = tuple(dict.fromkeys(one for one in fields if one.partition(".")[0] in ROOTS and one.partition(".")[2]))
        if len(paths) > FIELDS_MAX or len(paths) + sum(one in COLUMNS for one in fields) < len(fields):
            await self._error(number, "bad_fields", f"fields are {', '.join(COLUMNS)} and at most {FIELDS_MAX} paths below {', '.join(ROOTS)}")
            return
        if number not in self._subscriptions and len(self._subscriptions) >= SUBSCRIPTIONS_MAX:
            await self._error(number, "too_many", f"a socket has at most {SUBSCRIPTIONS_MAX} subscriptions")
            return
        await self._begin(number, message.get("filter", EVERYTHING), limit, "to" in fields, paths, _position(message.get("resume")))

    async def _filter(self, number: int, message: dict[str, Any]) -> None:
        one = self._subscriptions.get(number)
        if one is None:
            await self._error(number, "unknown_id", "there is no such subscription")
            return
        await self._begin(number, message.get("filter", EVERYTHING), one.limit, one.columns, one.paths, None)

    async def _begin(self, number: int, ast: Any, limit: int, columns: bool, paths: tuple[str, ...], resume: Position | None) -> None:
        if not self._scans.take():
            raise BadMessage("too many subscriptions")
        try:
            wanted = RowFilter(ast, through=self._through)
        except FilterError as error:
            await self._error(number, error.code, error.message, at=error.at)
            return
        before = self._subscriptions.pop(number, None)
        if before is not None:
            self._live.tap.leave(before.viewer)
        viewer = await self._live.subscribe(wanted, limit=limit, patches=columns, resume=resume, wake=self._wake.set)
        if before is not None and before.viewer.paused:
            viewer.pause()
        self._subscriptions[number] = Subscription(number, limit, columns, paths, viewer)
        self._wake.set()

    def _pause(self, number: int, _: dict[str, Any]) -> None:
        if number in self._subscriptions:
            self._subscriptions[number].viewer.pause()

    def _resume(self, number: int, _: dict[str, Any]) -> None:
        if number in self._subscriptions:
            self._subscriptions[number].viewer.resume()

    def _unsubscribe(self, number: int, _: dict[str, Any]) -> None:
        if number in self._subscriptions:
            self._live.tap.leave(self._subscriptions.pop(number).viewer)

    async def _error(self, number: int, code: str, text: str, **more: Any) -> None:
        await self._send({"t": "error", "id": number, "code": code, "text": text, **more})


def _number(message: Mapping[str, Any], key: str, default: int | None = None) -> int:
    value = message.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < 2**53:
        raise BadMessage(f"{key} is a number")
    return value


def _position(value: Any) -> Position | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not isinstance(value.get("epoch"), str):
        raise BadMessage("resume is {epoch, seq}")
    return Position(value["epoch"], _number(value, "seq"))
