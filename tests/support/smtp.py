"""A real SMTP server (aiosmtpd) on a real socket of this loop: answers as the test says, with or without TLS and login.

async with MailServer() as mail:
    mail.refuse_data = "452 try later"
    ...
    assert mail.messages[0]["Subject"] == "..."
"""

import asyncio
import ssl
import warnings
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

USER, PASSWORD = "relay", "s3cret-canary"


class MailServer:
    """The server. `refuse_*`: what it answers instead of 250; `tls`: the certificate, `implicit`: TLS from the first byte."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, implicit: bool = False, login: bool = False) -> None:
        self.messages: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.dialogues = 0
        self.port = 0
        self.refuse_mail = ""
        self.refuse_rcpt: dict[str, str] = {}
        self.refuse_data = ""
        self._tls = tls
        self._implicit = implicit
        self._login = login
        self._server: asyncio.Server | None = None

    @property
    def allow(self) -> list[str]:
        """The `allow_private` entry that this server needs."""
        return [f"127.0.0.1:{self.port}"]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._protocol, "127.0.0.1", self.port, ssl=self._tls if self._implicit else None)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        await self._server.wait_closed()

    def _protocol(self) -> SMTP:
        self.dialogues += 1
        starttls = self._tls if not self._implicit else None
        with warnings.catch_warnings():  # a login without TLS is what some tests are about
            warnings.simplefilter("ignore", UserWarning)
            return SMTP(
                self,
                hostname="mail.test",
                tls_context=starttls,
                require_starttls=starttls is not None,
                auth_required=self._login,
                auth_require_tls=False,
                authenticator=self._authenticate if self._login else None,
                enable_SMTPUTF8=True,
            )

    def _authenticate(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        return AuthResult(success=(data.login, data.password) == (USER.encode(), PASSWORD.encode()), handled=False)

    # asked by aiosmtpd

    async def handle_MAIL(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.refuse_mail:
            return self.refuse_mail
        envelope.mail_from = address
        return "250 OK"

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if refusal := self.refuse_rcpt.get(address):
            return refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        if self.refuse_data:
            return self.refuse_data
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.messages.append(message)
        self.recipients.append(list(envelope.rcpt_tos))
        return "250 OK"
