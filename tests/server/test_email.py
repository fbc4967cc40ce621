"""Mails to a real SMTP server: TLS, login, refusals, and connections that break."""

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from relay.delivery.breaker import PROBE_FIRST_S
from tests.support.app import Running, running, source, table
from tests.support.smtp import PASSWORD, USER, MailServer
from tests.support.waiting import eventually

PLAIN = {"security": "plain"}
MAPPING = table("destination.mapping", {"action": "send", "trigger": 'type = "track"'})


def email(mail: MailServer, **settings: Any) -> str:
    given = {"host": "127.0.0.1", "port": mail.port, "from": "relay@example.com", "to": ["a@example.com", "b@example.com"]} | settings
    return table("destination", {"slug": "mail", "type": "email", "allow_private": mail.allow, "settings": given}) + MAPPING


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    """A server's context, and the file to trust."""
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    order = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=mail"]
    subprocess.run([*order, "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context, str(cert)


async def arrived(mail: MailServer, count: int) -> None:
    await eventually(lambda: len(mail.messages) >= count, 10)


async def test_mails_go_to_every_recipient_over_one_connection(tmp_path: Path) -> None:
    async with MailServer() as mail, running(source() + email(mail, **PLAIN), tmp_path) as relay:
        await relay.track_many(20)
        await relay.settled("mail")
        assert len(mail.messages) == 20
        assert mail.recipients[0] == ["a@example.com", "b@example.com"]
        assert len({message["Message-ID"] for message in mail.messages}) == 20
        assert mail.dialogues == 1
        assert await relay.doors("mail") == {"delivered": 20}


@pytest.mark.parametrize("security", ["starttls", "tls"])
async def test_tls_with_a_login(security: str, certificate: tuple[ssl.SSLContext, str], tmp_path: Path) -> None:
    context, trusted = certificate
    async with MailServer(tls=context, implicit=security == "tls", login=True) as mail:
        settings = {"security": security, "caFile": trusted, "username": USER, "password": PASSWORD}
        async with running(source() + email(mail, **settings), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("mail")
            assert len(mail.messages) == 1


async def test_a_certificate_that_nobody_vouches_for_is_not_trusted(certificate: tuple[ssl.SSLContext, str], tmp_path: Path) -> None:
    async with MailServer(tls=certificate[0]) as mail, running(source() + email(mail), tmp_path) as relay:
        await relay.track("u1")
        await eventually(lambda: mail.dialogues, 10)
        await failing(relay)
        assert not mail.messages


async def failing(relay: Running) -> None:
    """An attempt was made and the event waits."""

    async def waits() -> bool:
        return (await relay.balance("mail")).pending == 1

    await eventually(waits, 10)


async def test_a_server_without_starttls_holds_the_destination_and_sends_nothing_readable(tmp_path: Path) -> None:
    async with MailServer() as mail, running(source() + email(mail), tmp_path) as relay:
        await relay.track("u1")
        await relay.held("mail", "INVALID_SETTINGS")
        assert not mail.messages
        assert "STARTTLS" in (await relay.hold("mail"))["sample"]


async def test_a_wrong_password_holds_and_never_shows(tmp_path: Path) -> None:
    async with MailServer(login=True) as mail:
        settings = PLAIN | {"username": USER, "password": "wrong-canary"}
        async with running(source() + email(mail, **settings), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("mail", "credentials")
            hold = await relay.hold("mail")
            assert hold["status"] == 535
            assert "canary" not in str(hold)


async def test_a_private_address_must_be_listed(tmp_path: Path) -> None:
    async with MailServer() as mail:
        config = source() + email(mail, **PLAIN).replace(f"allow_private = {mail.allow!r}".replace("'", '"'), "")
        async with running(config, tmp_path) as relay:
            await relay.track("u1")
            await relay.held("mail", "blocked_address")
            assert mail.dialogues == 0


async def test_refused_recipients_hold_and_a_part_of_them_does_not(tmp_path: Path) -> None:
    async with MailServer() as mail, running(source() + email(mail, **PLAIN), tmp_path) as relay:
        mail.refuse_rcpt = {"a@example.com": "550 nobody here"}
        await relay.track("u1")
        await relay.settled("mail")
        assert mail.recipients == [["b@example.com"]]
        mail.refuse_rcpt["b@example.com"] = "550 nobody here"
        await relay.track("u1")
        await relay.held("mail", "INVALID_SETTINGS")


async def test_a_refused_message_is_a_dead_letter_and_the_next_one_arrives(tmp_path: Path) -> None:
    async with MailServer() as mail, running(source() + email(mail, **PLAIN), tmp_path) as relay:
        mail.refuse_data = "554 looks like spam"
        await relay.track("u1")
        await relay.settled("mail")
        (row,) = await relay.dead("mail")
        assert (row.code, row.status) == ("BAD_REQUEST", 554)
        assert b"looks like spam" in row.detail
        mail.refuse_data = ""
        await relay.track("u1")
        await relay.settled("mail")
        assert len(mail.messages) == 1


async def test_what_is_refused_for_now_arrives_later(tmp_path: Path) -> None:
    assert PROBE_FIRST_S <= 5
    async with MailServer() as mail, running(source() + email(mail, **PLAIN), tmp_path) as relay:
        mail.refuse_data = "451 try again later"
        await relay.track("u1")
        await eventually(lambda: mail.dialogues, 10)
        await failing(relay)
        mail.refuse_data = ""
        await arrived(mail, 1)
        await relay.settled("mail")
        assert await relay.doors("mail") == {"delivered": 1}
