"""The sink: all messages of a batch are published one after the other on one connection; each counts when its stream has answered.

`Nats-Msg-Id` is the messageId, so within the stream's duplicate window what a crash or a lost answer repeats is stored once.
"""

import asyncio
import ssl
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import nats.errors
import nats.js.errors
from nats.aio.client import RawCredentials
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import Header

from relay.base.event import DELETED, Event
from relay.base.jsonio import loads
from relay.destinations.nats.client import GuardedClient
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.sink import SinkContext
from relay.kit.stream import cleaner, header_id, name_of

STEP_S: Final = 10.0
"""Longest wait for an answer of the server."""
IN_FLIGHT: Final = 256
"""Most messages that wait for their stream's answer, and in a batch."""
SAMPLE_CHARS: Final = 300
MSG_ID: Final = Header.MSG_ID.value
EXPECTED_STREAM: Final = Header.EXPECTED_STREAM.value
_TOKEN: Final = cleaner("A-Za-z0-9_-")

# nats-server, server/errors.json
_TOO_LARGE: Final = frozenset((10054, 10097))
"""The message, its headers: larger than the stream takes."""
_WRONG_SET_UP: Final = frozenset((10035, 10039, 10059, 10060, 10076, 10109))
"""Request refused for the account, JetStream not enabled, no such stream, another stream than expected, the stream is sealed."""
_UNHEARD: Final = Retryable("nobody answers")


@dataclass(frozen=True, slots=True)
class Account:
    """Where relay publishes, and as whom."""

    servers: tuple[tuple[str, int], ...]
    is_tls: bool = False
    ca_file: str = ""
    username: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    credentials: str = field(default="", repr=False)


class NatsSink:
    """Publishes events to JetStream; never used by two callers at once."""

    def __init__(self, account: Account, subject: str, stream: str, context: SinkContext) -> None:
        self._account = account
        self._subject = subject
        self._stream = stream
        self._slug_of = context.source_slugs
        self._dial = context.connect
        self._client: GuardedClient | None = None
        self._inbox = ""
        self._asked = 0
        self._answers: dict[str, asyncio.Future[DeliveryError | None]] = {}
        """By the subject that the answer will come to."""
        self._denied = ""
        """What the server said it does not permit, since the connection was made."""

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """Publish the events in their order; one result each (None: the stream has it)."""
        results: list[DeliveryError | None] = []
        for start in range(0, len(events), IN_FLIGHT):
            results += await self._publish([event for _, event in events[start : start + IN_FLIGHT]])
        return results

    async def tick(self) -> None:
        """Nothing to roll; the client's pings keep the connection."""

    async def close(self) -> None:
        """Close the connection; calling it twice is harmless."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(STEP_S):
                await client.close()
        except (nats.errors.Error, OSError):
            return

    async def _publish(self, events: Sequence[Event]) -> list[DeliveryError | None]:
        client = await self._open()
        results: list[DeliveryError | None] = [None] * len(events)
        subjects = [name_of(self._subject, event, self._slug_of(event.source_id), _TOKEN) for event in events]
        waiting: dict[str, int] = {}
        try:
            for number, event in enumerate(events):
                if event.type == DELETED:
                    continue
                headers = {MSG_ID: header_id(event)} | ({EXPECTED_STREAM: self._stream} if self._stream else {})
                self._asked += 1
                reply = f"{self._inbox}.{self._asked}"
                try:
                    await client.publish(subjects[number], event.body, reply=reply, headers=headers)
                except nats.errors.Error as error:
                    results[number] = _meaning_of(error)
                else:
                    self._answers[reply] = asyncio.get_running_loop().create_future()
                    waiting[reply] = number
            if waiting:
                await asyncio.wait([self._answers[reply] for reply in waiting], timeout=STEP_S)
            unheard: dict[str, DeliveryError] = {}
            for reply, number in waiting.items():
                answer = self._answers[reply]
                said = answer.result() if answer.done() else self._unanswered()
                if said is _UNHEARD:
                    subject = subjects[number]
                    said = unheard[subject] = unheard.get(subject) or await _why_unheard(client.jetstream(timeout=STEP_S), subject)
                results[number] = said
        finally:
            for reply in waiting:
                del self._answers[reply]
        if any(isinstance(error, Retryable) for error in results):
            await self.close()
        return results

    def _unanswered(self) -> DeliveryError:
        if self._denied:
            return Misconfigured(f"the server does not permit it: {self._denied}", code="credentials")
        return Retryable("the stream has not answered in time", code="ETIMEDOUT")

    async def _open(self) -> GuardedClient:
        if self._client is not None and self._client.is_connected:
            return self._client
        await self.close()
        self._denied = ""
        account = self._account
        client = self._client = GuardedClient(self._dial, is_tls=account.is_tls)
        try:
            async with asyncio.timeout(STEP_S):
                await client.connect(
                    [f"nats://{f'[{host}]' if ':' in host else host}:{port}" for host, port in account.servers],
                    name="relay",
                    allow_reconnect=False,
                    connect_timeout=int(STEP_S),
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                    tls=self._tls() if account.is_tls else None,
                    user=account.username or None,
                    password=account.password or None,
                    token=account.token or None,
                    user_credentials=RawCredentials(account.credentials) if account.credentials else None,
                )
                self._inbox = client.new_inbox()
                await client.subscribe(f"{self._inbox}.*", cb=self._on_answer)
        except BaseException as error:
            await self._abandon()
            if isinstance(error, ssl.SSLError):
                raise Retryable(f"TLS: {error}", code="ETLS") from error
            if isinstance(error, nats.errors.Error | OSError):
                raise _meaning_of(error) from error
            if isinstance(error, ValueError) and account.credentials:  # nkeys and base64 on a text that is no credentials file
                raise Misconfigured("credentials is not the text of a credentials file") from error
            raise
        return client

    async def _abandon(self) -> None:
        """Let go of a connection that was not made."""
        client, self._client = self._client, None
        if client is not None:
            await client.abandon()

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._account.ca_file or None)
        except OSError as error:
            raise Misconfigured(f"ca_file cannot be read: {self._account.ca_file}") from error

    async def _on_error(self, error: Exception) -> None:
        text = str(error)
        if "ermissions violation for publish" in text.lower():
            self._denied = text[:SAMPLE_CHARS]

    async def _on_answer(self, message: Msg) -> None:
        answer = self._answers.get(message.subject)
        if answer is not None and not answer.done():
            answer.set_result(_result_of(message))

    async def _on_closed(self) -> None:
        """Nothing will be answered any more."""
        for answer in self._answers.values():
            if not answer.done():
                answer.set_result(Retryable("the connection broke", code="ECONNRESET"))


def _result_of(message: Msg) -> DeliveryError | None:
    """What a stream says of one message."""
    if message.headers and message.headers.get(Header.STATUS) == "503":
        return _UNHEARD
    try:
        error = loads(message.data).get("error")
    except (ValueError, AttributeError):
        return Retryable("what answered is no stream", code="RETRY")
    if error is None:
        return None
    number, status, said = error.get("err_code"), error.get("code"), str(error.get("description"))[:SAMPLE_CHARS]
    if number in _TOO_LARGE:
        return Permanent(f"the stream refuses the message: {said}", code="BAD_REQUEST", status=status)
    if number in _WRONG_SET_UP:
        return Misconfigured(f"the stream cannot take it: {said}", status=status)
    return Retryable(f"the stream asks for another try: {said}", code="RETRY", status=status)


async def _why_unheard(jetstream: JetStreamContext, subject: str) -> DeliveryError:
    """Why nobody listens to a subject: no stream has it, or JetStream is not up (yet)."""
    try:
        stream = await jetstream.find_stream_name_by_subject(subject)
    except nats.js.errors.NotFoundError:
        return Misconfigured(f"no stream has the subject {subject}")
    except (nats.errors.Error, OSError):
        return Retryable("JetStream does not answer", code="RETRY")
    return Retryable(f"the stream {stream} does not answer", code="RETRY")


def _meaning_of(error: BaseException) -> DeliveryError:
    """What a failure means: for now, for the destination as a whole, or for this message alone."""
    said = str(error)[:SAMPLE_CHARS]
    if isinstance(error, nats.errors.MaxPayloadError | nats.errors.BadSubjectError | nats.errors.BadHeaderError):
        return Permanent(f"the message cannot be published: {said}", code="BAD_REQUEST")
    if isinstance(error, nats.errors.AuthorizationError) or "uthorization" in said or "uthentication" in said:
        return Misconfigured("the server refuses the login", code="credentials")
    if isinstance(error, TimeoutError):
        return Retryable("the server did not answer in time", code="ETIMEDOUT")
    return Retryable(f"the connection broke: {said}", code="ECONNRESET")
