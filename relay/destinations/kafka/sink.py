"""The sink: a batch's messages are sent at once, in order for each partition; each counts when all in-sync replicas have it.

The key is the user's id, so the events of one user are in one partition. Kafka stores a repetition again. So the first events after a start,
and those of a batch whose answer was lost, are looked for at the end of the topic, and what stands there is not sent again.
"""

import asyncio
import ssl
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import structlog
from aiokafka import errors

from relay.base.event import DELETED, Event
from relay.destinations.kafka.producer import STEP_S, Cluster, Producer
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.doubt import REPEATED_EVENTS, Doubt
from relay.kit.sink import SinkContext
from relay.kit.stream import cleaner, name_of, user_key

log = structlog.get_logger("relay.destinations")

ANSWER_S: Final = 2 * STEP_S
"""Longest wait for a batch: the driver tries again by itself meanwhile."""
LOOK_S: Final = 30.0
"""Longest look at the end of a topic."""
LOOKED_AT: Final = 4 * REPEATED_EVENTS
"""Messages of it, over all partitions."""
SAMPLE_CHARS: Final = 300
_PART: Final = cleaner("A-Za-z0-9._-")
_TOO_LARGE: Final = (errors.MessageSizeTooLargeError, errors.RecordTooLargeError, errors.RecordListTooLargeError)
_CREDENTIALS: Final = (
    errors.AuthenticationFailedError,
    errors.AuthenticationMethodNotSupported,
    errors.SaslAuthenticationFailed,
    errors.UnsupportedSaslMechanismError,
    errors.IllegalSaslStateError,
    errors.TopicAuthorizationFailedError,
    errors.ClusterAuthorizationFailedError,
)
_SET_UP: Final = (
    errors.UnknownTopicOrPartitionError,
    errors.InvalidTopicError,
    errors.InvalidRequiredAcksError,
    errors.UnsupportedForMessageFormatError,
    errors.PolicyViolationError,
    errors.UnsupportedCodecError,
)
_PERMANENT: Final = (errors.InvalidTimestampError, errors.CorruptRecordException)


class KafkaSink:
    """Sends events to topics; never used by two callers at once."""

    def __init__(self, cluster: Cluster, topic: str, context: SinkContext) -> None:
        self._cluster = cluster
        self._topic = topic
        self._slug_of = context.source_slugs
        self._dial = context.connect
        self._producer: Producer | None = None
        self._doubt = Doubt()
        self._found: dict[str, set[str]] = {}
        """What stands at the end of each topic; kept while events are in doubt."""
        self._may_look = True

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Send the events in their order; one result each (None: the replicas have it)."""
        wanted = {number: event for number, (_, event) in enumerate(events) if event.type != DELETED}
        slugs = {number: self._slug_of(event.source_id) for number, event in wanted.items()}
        topics = {number: name_of(self._topic, event, slugs[number], _PART) for number, event in wanted.items()}
        ids = {number: _id_of(_text(slugs[number]), _text(event.message_id)) for number, event in wanted.items()}
        try:
            producer = await self._open()
            for topic in dict.fromkeys(topics.values()):
                if not await producer.knows(topic):
                    raise Misconfigured(f"there is no topic {topic}")
            repeated = await self._repeated(producer, ids, topics)
            results = await self._send(producer, {number: event for number, event in wanted.items() if ids[number] not in repeated}, topics)
            large = [number for number, said in results.items() if isinstance(said, _TOO_LARGE)]
            if len(large) > 1:  # the brokers refuse a request as a whole: only alone does a message tell whether it is the one
                for number in large:
                    results |= await self._send(producer, {number: wanted[number]}, topics)
        except BaseException as error:
            self._lose(ids.values())
            await self.close()
            if isinstance(error, errors.KafkaError | OSError):
                raise _meaning_of(error) from error
            raise
        meanings = [_meaning_of(said) if (said := results.get(number)) is not None else None for number in range(len(events))]
        self._doubt.written(ids[number] for number in wanted if meanings[number] is None)
        lost = [ids[number] for number in wanted if isinstance(meanings[number], Retryable)]
        if lost:
            self._lose(lost)
            await self.close()
            if producer.guard.refusal:
                raise producer.guard.refusal
        return meanings

    def _lose(self, ids: Iterable[str]) -> None:
        """Nobody knows whether these were sent."""
        self._doubt.lost(ids)
        self._found.clear()

    async def _repeated(self, producer: Producer, ids: Mapping[int, str], topics: Mapping[int, str]) -> set[str]:
        """Which of these stand in their topic already."""
        doubtful = self._doubt.of(ids.values()) if self._may_look else set()
        if not doubtful:
            self._found.clear()
            return set()
        repeated: set[str] = set()
        for topic in dict.fromkeys(topics[number] for number, each in ids.items() if each in doubtful):
            if topic not in self._found:
                self._found[topic] = await self._last(producer, topic)
            repeated |= doubtful & self._found[topic]
        return repeated

    async def _last(self, producer: Producer, topic: str) -> set[str]:
        """What stands at the end of a topic."""
        try:
            async with asyncio.timeout(LOOK_S):
                headers = [dict(each) for each in await producer.last(topic, LOOKED_AT)]
        except errors.TopicAuthorizationFailedError as error:
            self._may_look = False
            log.warning("kafka.cannot_look_back", reason=str(error)[:SAMPLE_CHARS])
            return set()
        return {_id_of(each.get("source", b""), each.get("messageId", b"")) for each in headers}

    async def tick(self) -> None:
        """Nothing to roll."""

    async def close(self) -> None:
        """Close the connections; calling it twice is harmless."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await producer.stop()

    async def _open(self) -> Producer:
        if self._producer is None:
            async with asyncio.timeout(ANSWER_S):
                self._producer = await Producer.start(self._cluster, self._dial)
        return self._producer

    async def _send(self, producer: Producer, events: dict[int, Event], topics: dict[int, str]) -> dict[int, BaseException | None]:
        """What became of each: None, or what the driver says."""
        futures: dict[int, asyncio.Future[Any]] = {}
        results: dict[int, BaseException | None] = {}
        try:
            async with asyncio.timeout(ANSWER_S):
                for number, event in events.items():
                    key = _text(user_key(event)) or None
                    headers = [
                        ("messageId", _text(event.message_id)),
                        ("source", _text(self._slug_of(event.source_id))),
                        ("type", event.type.encode()),
                    ]
                    try:
                        futures[number] = await producer.inner.send(topics[number], event.body, key=key, headers=headers)
                    except _TOO_LARGE as error:  # by our own limit, so it stands alone
                        results[number] = _Oversized(str(error))
                if futures:
                    await asyncio.wait(futures.values())
        except TimeoutError as error:
            results |= {number: error for number in events if number not in futures and number not in results}
        finally:
            for number, future in futures.items():
                if future.done() and not future.cancelled():
                    results[number] = future.exception()
                else:
                    future.cancel()
                    results[number] = TimeoutError()
        return results


def _text(text: str) -> bytes:
    """JSON may hold halves of characters, which UTF-8 has no bytes for."""
    return text.encode("utf-8", "replace")


def _id_of(slug: bytes, message_id: bytes) -> str:
    return (slug + b"\0" + message_id).decode("utf-8", "replace")


class _Oversized(Exception):
    """A message above the limit of the settings."""


def _meaning_of(error: BaseException) -> DeliveryError:
    """What a failure means: for now, for the destination as a whole, or for this message alone."""
    said = str(error)[:SAMPLE_CHARS] or type(error).__name__
    if isinstance(error, (_Oversized, *_TOO_LARGE, *_PERMANENT)):
        return Permanent(f"the message is refused: {said}")
    if isinstance(error, _CREDENTIALS):
        return Misconfigured(f"the brokers do not permit it: {said}", code="credentials")
    if isinstance(error, _SET_UP):
        return Misconfigured(f"the topic cannot take it: {said}")
    if isinstance(error, ssl.SSLError):
        return Retryable(f"TLS: {said}", code="ETLS")
    if isinstance(error, errors.KafkaTimeoutError | errors.RequestTimedOutError | TimeoutError):
        return Retryable("the brokers did not answer in time", code="ETIMEDOUT")
    if isinstance(error, errors.KafkaConnectionError | OSError):
        return Retryable(f"the connection broke: {said}", code="ECONNRESET")
    return Retryable(f"the brokers ask for another try: {said}", code="RETRY")
