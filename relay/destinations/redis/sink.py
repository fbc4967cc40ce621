"""The sink: the XADDs of a batch go as one pipeline, and each event has an answer of its own.

XADD stores a repetition again. So the first events after a start, and those of a batch whose answer was lost, are looked for at the end of
the stream, and what stands there is not written again.
"""

import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import redis.exceptions
import structlog
from redis.asyncio import Redis

from relay.base.event import DELETED, Event
from relay.destinations.redis.client import guarded_client
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.doubt import REPEATED_EVENTS, Doubt
from relay.kit.sink import SinkContext
from relay.kit.stream import cleaner, name_of

log = structlog.get_logger("relay.destinations")

STEP_S: Final = 10.0
"""Longest wait for an answer of the server."""
PAGE_ENTRIES: Final = 250
"""Entries of one look at the end of a stream."""
SAMPLE_CHARS: Final = 300
_PART: Final = cleaner("A-Za-z0-9_.-")
_FOR_NOW: Final = frozenset(("BUSY", "LOADING", "OOM", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "MISCONF", "NOREPLICAS"))
_CREDENTIALS: Final = frozenset(("NOAUTH", "NOPERM", "WRONGPASS"))
_SET_UP: Final = frozenset(("WRONGTYPE", "MOVED", "ASK", "CROSSSLOT"))


@dataclass(frozen=True, slots=True)
class Server:
    """Where the stream is, and how relay logs in."""

    host: str
    port: int
    is_tls: bool = False
    ca_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    database: int = 0


@dataclass(frozen=True, slots=True)
class Entries:
    """What is written."""

    key: str
    max_length: int
    """About so many entries stay; 0: all."""
    fields: tuple[str, ...] = ()


class RedisSink:
    """Appends events to streams; never used by two callers at once."""

    def __init__(self, server: Server, entries: Entries, context: SinkContext) -> None:
        self._server = server
        self._entries = entries
        self._slug_of = context.source_slugs
        self._dial = context.connect
        self._client: Redis | None = None
        self._doubt = Doubt()
        self._found: dict[str, set[str]] = {}
        """What stands at the end of each stream; kept while events are in doubt."""
        self._may_look = True

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Append the events in their order; one result each (None: the server has it)."""
        results: list[DeliveryError | None] = [None] * len(events)
        slugs = [self._slug_of(event.source_id) for _, event in events]
        ids = [_id_of(slug, event.message_id) for slug, (_, event) in zip(slugs, events, strict=True)]
        keys = [name_of(self._entries.key, event, slug, _PART) for slug, (_, event) in zip(slugs, events, strict=True)]
        try:
            client = self._open()
            repeated = await self._repeated(client, ids, keys)
            fresh = [number for number, (_, event) in enumerate(events) if event.type != DELETED and ids[number] not in repeated]
            if fresh:
                pipeline = client.pipeline(transaction=False)
                for number in fresh:
                    fields = self._fields(events[number][1], slugs[number])
                    pipeline.xadd(keys[number], fields, maxlen=self._entries.max_length or None)
                for number, answer in zip(fresh, await pipeline.execute(raise_on_error=False), strict=True):
                    results[number] = _meaning_of(answer) if isinstance(answer, Exception) else None
        except BaseException as error:
            self._doubt.lost(ids)
            self._found.clear()
            await self.close()
            if isinstance(error.__cause__, DeliveryError):  # what dialling said
                raise error.__cause__ from None
            if isinstance(error, redis.exceptions.RedisError | OSError):
                raise _meaning_of(error, whole=True) from error
            raise
        self._doubt.written(each for each, result in zip(ids, results, strict=True) if result is None)
        return results

    async def tick(self) -> None:
        """Nothing to roll."""

    async def close(self) -> None:
        """Close the connection; calling it twice is harmless."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose(close_connection_pool=True)

    def _open(self) -> Redis:
        if self._client is None:
            server = self._server
            login = {"username": server.username or None, "password": server.password or None}
            tls = self._tls() if server.is_tls else None
            self._client = guarded_client(self._dial, tls, step_s=STEP_S, host=server.host, port=server.port, db=server.database, **login)
        return self._client

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.ca_file or None)
        except OSError as error:
            raise Misconfigured(f"ca_file cannot be read: {self._server.ca_file}") from error

    def _fields(self, event: Event, slug: str) -> dict[Any, Any]:
        fields: dict[Any, Any] = {"message_id": _text(event.message_id), "source": slug, "type": event.type}
        for name in self._entries.fields:
            value = event.payload.get(name)
            if value is not None:
                fields[name] = _text(value if isinstance(value, str) else str(value))
        fields["json"] = event.body
        return fields

    async def _repeated(self, client: Redis, ids: Sequence[str], keys: Sequence[str]) -> set[str]:
        """Which of these stand in their stream already."""
        doubtful = self._doubt.of(ids) if self._may_look else set()
        if not doubtful:
            self._found.clear()
            return set()
        repeated: set[str] = set()
        for key in dict.fromkeys(key for each, key in zip(ids, keys, strict=True) if each in doubtful):
            if key not in self._found:
                self._found[key] = await self._last(client, key)
            repeated |= doubtful & self._found[key]
        return repeated

    async def _last(self, client: Redis, key: str) -> set[str]:
        """What stands at the end of a stream."""
        found: set[str] = set()
        before = "+"
        for _ in range(0, REPEATED_EVENTS, PAGE_ENTRIES):
            try:
                page: Any = await client.xrevrange(key, max=before, count=PAGE_ENTRIES)
            except redis.exceptions.NoPermissionError as error:
                self._may_look = False
                log.warning("redis.cannot_look_back", reason=str(error)[:SAMPLE_CHARS])
                return set()
            for _, fields in page:
                found.add(_id_of(fields.get(b"source", b"").decode("utf-8", "replace"), fields.get(b"message_id", b"").decode("utf-8", "replace")))
            if len(page) < PAGE_ENTRIES:
                break
            before = f"({page[-1][0].decode()}"
        return found


def _id_of(slug: str, message_id: str) -> str:
    return f"{slug}\0{_text(message_id).decode('utf-8', 'replace')}"


def _text(text: str) -> bytes:
    """JSON may hold halves of characters, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace")


def _meaning_of(error: Exception, *, whole: bool = False) -> DeliveryError:
    """What a failure means: for now, for the destination as a whole, or for this event alone (never if the `whole` batch failed)."""
    said = str(error)[:SAMPLE_CHARS]
    word = getattr(error, "status_code", None) or said.partition(" ")[0]
    if word in _CREDENTIALS or isinstance(error, redis.exceptions.AuthenticationError | redis.exceptions.NoPermissionError):
        return Misconfigured(f"the server does not permit it: {said}", code="credentials")
    if word in _SET_UP:
        return Misconfigured(f"the key cannot take events: {said}")
    if word in _FOR_NOW:
        return Retryable(f"the server asks for another try: {said}", code="RETRY")
    if isinstance(error, redis.exceptions.TimeoutError | TimeoutError):
        return Retryable("the server did not answer in time", code="ETIMEDOUT")
    if isinstance(error, redis.exceptions.ResponseError):
        return Misconfigured(f"the server refuses the connection: {said}") if whole else Permanent(f"the server refuses the event: {said}")
    if isinstance(error, ssl.SSLError) or isinstance(error.__cause__, ssl.SSLError):
        return Retryable(f"TLS: {said}", code="ETLS")
    return Retryable(f"the connection broke: {said}", code="ECONNRESET")
