"""The sink: one SMTP connection, kept for a while; one message per event.

Sender and recipients are settings, so a server that refuses them refuses the destination, and its events wait. Only what the server says
of the message itself is the event's own fault.
"""

import asyncio
import socket
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import aiosmtplib
import structlog

from relay.base.event import DELETED, Event
from relay.destinations.email import address_of
from relay.destinations.email.message import message_of
from relay.errors import DeliveryError, Misconfigured, Permanent, Retryable
from relay.kit.sink import SinkContext

log = structlog.get_logger("relay.destinations")

IDLE_S: Final = 20.0
"""How long an unused connection stays open; servers close after minutes."""
STEP_S: Final = 10.0
"""Longest wait for one answer of the server."""
SAMPLE_CHARS: Final = 300


@dataclass(frozen=True, slots=True)
class Server:
    """Where mails go, and how relay logs in."""

    host: str
    port: int
    security: str
    """`starttls`, `tls` or `plain`."""
    username: str = ""
    password: str = ""
    ca_file: str = ""


class EmailSink:
    """Sends events as mails; never used by two callers at once."""

    def __init__(self, server: Server, sender: str, recipients: tuple[str, ...], prefix: str, context: SinkContext) -> None:
        self._server = server
        self._sender = sender
        self._recipients = recipients
        self._prefix = prefix
        self._clock = context.clock
        self._connect = context.connect
        self._client: aiosmtplib.SMTP | None = None
        self._used_s = 0.0

    async def write(self, events: Sequence[tuple[int, Event]]) -> list[DeliveryError | None]:
        """One message each. What hits the destination as a whole is raised; the first failure to try again ends the round for the rest."""
        results: list[DeliveryError | None] = []
        for _, event in events:
            failed = results[-1] if results else None
            if isinstance(failed, Retryable | Misconfigured):
                results.append(failed)
            else:
                results.append(await self._send(event))
        return results

    async def tick(self) -> None:
        """Close a connection that nobody needs."""
        if self._client is not None and self._clock.monotonic() - self._used_s > IDLE_S:
            await self.close()

    async def close(self) -> None:
        """Say goodbye; calling it twice is harmless."""
        client, self._client = self._client, None
        if client is None:
            return
        try:
            async with asyncio.timeout(STEP_S):
                await client.quit()
        except (aiosmtplib.SMTPException, OSError):
            client.close()

    async def _send(self, event: Event) -> DeliveryError | None:
        if event.type == DELETED:
            return None
        domain = address_of(self._sender).rpartition("@")[2]
        message = message_of(event, self._sender, self._recipients, self._prefix, domain=domain, sent_s=self._clock.now())
        try:
            client = await self._open()
            refused, _ = await client.send_message(message, sender=address_of(self._sender), recipients=[address_of(one) for one in self._recipients])
        except DeliveryError as error:
            return error
        except (aiosmtplib.SMTPException, OSError, ValueError) as error:
            meaning = meaning_of(error)
            if not isinstance(meaning, Permanent):
                self._drop()
            return meaning
        except BaseException:  # cancelled within a dialogue: nobody knows what the server would answer next
            self._drop()
            raise
        self._used_s = self._clock.monotonic()
        if refused:
            log.warning("mail.recipients_refused", count=len(refused), codes=sorted({answer.code for answer in refused.values()}))
        return None

    def _drop(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    async def _open(self) -> aiosmtplib.SMTP:
        if self._client is not None and self._client.is_connected:
            return self._client
        self._drop()
        server = self._server
        client = self._client = aiosmtplib.SMTP(
            hostname=server.host,
            sock=await self._connect(server.host, server.port),
            timeout=STEP_S,
            use_tls=server.security == "tls",
            start_tls=False,
            local_hostname=_own_name(),
            tls_context=self._tls() if server.security != "plain" else None,
        )
        await client.connect()
        if server.security == "starttls":
            await client.ehlo()
            if not client.supports_extension("starttls"):
                raise Misconfigured(f"{server.host} offers no STARTTLS; set security to tls, or to plain on this machine")
            await client.starttls()
        if server.username:
            await client.login(server.username, server.password)
        return client

    def _tls(self) -> ssl.SSLContext:
        try:
            return ssl.create_default_context(cafile=self._server.ca_file or None)
        except OSError as error:
            raise Misconfigured(f"ca_file cannot be read: {self._server.ca_file}") from error


def meaning_of(error: Exception) -> DeliveryError:
    """What a failed mail means: temporary (4xx and the network), the destination's settings, or this message."""
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused):
        codes = [one.code for one in error.recipients]
        if any(400 <= code < 500 for code in codes):
            return Retryable(f"the server takes none of the recipients now: {_said(error.recipients[0])}", code="RETRY", status=codes[0])
        return Misconfigured(f"the server refuses every recipient: {_said(error.recipients[0])}", status=codes[0] if codes else None)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _of_answer(error)
    if isinstance(error, aiosmtplib.SMTPNotSupported):
        return Misconfigured(f"the server cannot do what the settings ask: {error.message}")
    if isinstance(error, aiosmtplib.SMTPTimeoutError | TimeoutError):
        return Retryable("the server did not answer in time", code="ETIMEDOUT")
    if isinstance(error, ssl.SSLError):
        return Retryable(f"TLS: {error}", code="ETLS")
    if isinstance(error, ValueError):
        return Permanent(f"the message cannot be sent: {error}", code="BAD_REQUEST")
    cause = error.__cause__
    if isinstance(cause, ssl.SSLError):
        return Retryable(f"TLS: {cause}", code="ETLS")
    return Retryable(f"the connection broke: {str(error)[:SAMPLE_CHARS]}", code="ECONNRESET")


def _of_answer(error: aiosmtplib.SMTPResponseException) -> DeliveryError:
    said, code = _said(error), error.code
    if 400 <= code < 500 or isinstance(error, aiosmtplib.SMTPConnectResponseError | aiosmtplib.SMTPHeloError):
        return Retryable(f"the server asks for another try: {said}", code="RETRY", status=code)
    if isinstance(error, aiosmtplib.SMTPAuthenticationError) or code in (530, 534, 535, 538):
        return Misconfigured(f"the server refuses the login: {said}", code="credentials", status=code)
    if isinstance(error, aiosmtplib.SMTPSenderRefused):
        return Misconfigured(f"the server refuses the sender: {said}", status=code)
    return Permanent(f"the server refuses the message: {said}", code="BAD_REQUEST", status=code)


def _said(error: aiosmtplib.SMTPResponseException) -> str:
    return f"{error.code} {error.message}"[:SAMPLE_CHARS]


def _own_name() -> str:
    """What relay calls itself to the server; asked of the machine, not of the name server."""
    name = socket.gethostname()
    return name if name.isascii() and name.replace("-", "").replace(".", "").isalnum() else "localhost"
