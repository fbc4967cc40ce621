"""Mails: what they say, hostile texts that stay texts, settings, and what an SMTP answer means."""

import json
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from typing import Any

import aiosmtplib
import pytest

from relay.base.event import Event, event_of
from relay.base.secret import Secret
from relay.destinations.email import DEFINITION, address_of, check
from relay.destinations.email.message import message_of
from relay.destinations.email.sink import meaning_of
from relay.errors import Misconfigured, Permanent, Retryable
from relay.pipeline.derived import FIRED, RESOLVED, alert_event

ALERT: dict[str, Any] = {
    "alert_id": 9, "rule": "held", "kind": "held", "state": "firing", "subject": {"kind": "destination", "slug": "orders"},
    "text": "orders is held by relay (status 401); 12 events wait.", "cause": "401 or 403: a key is wrong (credentials)",
    "cure": "Put a valid key into the settings and reload.", "opened_at": "2026-11-25T09:31:00.000Z", "lasted_s": 754,
    "sample": {"code": "credentials", "status": 401, "answer": "<b>bad</b> key"}, "url": "http://127.0.0.1:8001/ui/alerts", "change": None,
}  # fmt: skip


def sent(event: Event, prefix: str = "[relay]") -> EmailMessage:
    """As the receiver reads it from the wire."""
    made = message_of(event, "Relay <relay@example.com>", ("a@example.com", "b@example.com"), prefix, domain="example.com", sent_s=1_700_000_000)
    read = message_from_bytes(made.as_bytes(), policy=default)
    assert isinstance(read, EmailMessage)
    return read


def alert(name: str = FIRED, **properties: Any) -> Event:
    return alert_event(name, ALERT | properties, message_id="alert-1", at_ms=1_700_000_000_000)


def part(message: EmailMessage, kind: str) -> str:
    found = message.get_body((kind,))
    assert found is not None
    return str(found.get_content())


def test_an_alert_says_what_since_when_why_and_what_to_do_in_both_forms() -> None:
    message = sent(alert())
    assert message["Subject"] == "[relay] orders: held (firing)"
    assert message["To"] == "a@example.com, b@example.com"
    assert message["Auto-Submitted"] == "auto-generated"
    for kind in ("plain", "html"):
        text = part(message, kind)
        for wanted in ("12 events wait", "Put a valid key", "2026-11-25 09:31 UTC", "a key is wrong", "http://127.0.0.1:8001/ui/alerts"):
            assert wanted in text
    assert "<b>bad</b> key" in part(message, "plain")
    assert "&lt;b&gt;bad&lt;/b&gt; key" in part(message, "html")


def test_mails_about_one_alert_are_one_thread_and_each_has_its_own_stable_id() -> None:
    fired, again, resolved = sent(alert()), sent(alert()), sent(alert_event(RESOLVED, ALERT, message_id="alert-2", at_ms=1))
    assert fired["Message-ID"] == again["Message-ID"] != resolved["Message-ID"]
    assert fired["References"] == resolved["References"]
    assert "resolved" in resolved["Subject"]


@pytest.mark.parametrize(
    "hostile", ["a\r\nBcc: evil@example.com\r\n\r\nhello", "a\nb\rc\x00d", "\u2028x\u202ey", "<script>alert(1)</script>", "ü" * 5000]
)
def test_nothing_of_an_event_adds_a_header_or_markup(hostile: str) -> None:
    event = alert(
        rule=hostile, text=hostile, cure=hostile, cause=hostile, opened_at=hostile, url=hostile, sample={"code": "", "status": 1, "answer": hostile}
    )
    other = event_of({"type": "track", "event": hostile, "messageId": hostile, "userId": hostile, "properties": {}}, "web", 0, b"{}")
    for message in (sent(event), sent(other, prefix=hostile)):
        assert set(message.keys()) <= {"From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "References", "MIME-Version", "Content-Type"}
        assert "\n" not in message["Subject"]
        assert "evil@example.com" not in message["To"]
        assert "<script>" not in part(message, "html")


def test_half_a_character_is_shown_as_one_that_is_missing() -> None:
    event = event_of({"type": "track", "event": "\ud800x", "messageId": "m", "userId": "u", "properties": {}}, "web", 0, b"{}")
    assert sent(event)["Subject"] == "[relay] ?x"


def test_any_other_event_is_told_with_its_json() -> None:
    payload = {"type": "track", "event": "Order Failed", "messageId": "m", "userId": "u1", "properties": {"total": 3}}
    message = sent(event_of(payload, "web", 0, json.dumps(payload).encode()))
    assert message["Subject"] == "[relay] Order Failed"
    assert "track Order Failed by u1" in part(message, "plain")
    assert '"total": 3' in part(message, "plain")


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("ops@example.com", "ops@example.com"), ("Ops <ops@example.com>", "ops@example.com"), ("ops", ""), ("", ""), ("@example.com", ""), ("a@", ""),
        ("a@b, c@d", ""), ("a b@example.com", ""), ("ops@example.com\r\nBcc: x@y", ""), ("a@b@c", ""),
    ],
)  # fmt: skip
def test_addresses(text: str, address: str) -> None:
    assert address_of(text) == address


GOOD = {"host": "smtp.example.com", "port": 0, "security": "starttls", "from": "a@example.com", "to": ["b@example.com"]}


@pytest.mark.parametrize(
    ("change", "mistake"),
    [
        ({}, ""), ({"from": "nobody"}, "from: 'nobody'"), ({"to": ["b@example.com", "x"]}, "to: 'x'"), ({"port": 70000}, "port"),
        ({"username": "u"}, "belong together"), ({"username": "u", "password": Secret("p")}, ""),
        ({"username": "u", "password": Secret("p"), "security": "plain"}, "readable"),
        ({"username": "u", "password": Secret("p"), "security": "plain", "host": "127.0.0.1"}, ""),
    ],
)  # fmt: skip
def test_settings_are_checked(change: dict[str, Any], mistake: str) -> None:
    problems = check(GOOD | change)
    assert [problem for problem in problems if mistake and mistake in problem.message] == problems
    assert bool(problems) == bool(mistake)


def test_without_a_mapping_it_takes_relays_alerts_only() -> None:
    assert [preset.name for preset in DEFINITION.presets] == ["Alerts of relay"]
    assert "Alert Fired" in DEFINITION.presets[0].trigger


REFUSED = aiosmtplib.SMTPRecipientRefused


@pytest.mark.parametrize(
    ("error", "kind", "code", "status"),
    [
        (aiosmtplib.SMTPDataError(451, "later"), Retryable, "RETRY", 451),
        (aiosmtplib.SMTPDataError(552, "too large"), Permanent, "BAD_REQUEST", 552),
        (aiosmtplib.SMTPSenderRefused(450, "later", "a@b"), Retryable, "RETRY", 450),
        (aiosmtplib.SMTPSenderRefused(550, "no", "a@b"), Misconfigured, "INVALID_SETTINGS", 550),
        (aiosmtplib.SMTPSenderRefused(530, "log in first", "a@b"), Misconfigured, "credentials", 530),
        (aiosmtplib.SMTPAuthenticationError(535, "no"), Misconfigured, "credentials", 535),
        (aiosmtplib.SMTPAuthenticationError(454, "later"), Retryable, "RETRY", 454),
        (aiosmtplib.SMTPRecipientsRefused([REFUSED(550, "no", "a"), REFUSED(450, "later", "b")]), Retryable, "RETRY", 550),
        (aiosmtplib.SMTPRecipientsRefused([REFUSED(550, "no", "a")]), Misconfigured, "INVALID_SETTINGS", 550),
        (aiosmtplib.SMTPConnectResponseError(554, "busy"), Retryable, "RETRY", 554),
        (aiosmtplib.SMTPHeloError(504, "who"), Retryable, "RETRY", 504),
        (aiosmtplib.SMTPServerDisconnected("gone"), Retryable, "ECONNRESET", None),
        (aiosmtplib.SMTPReadTimeoutError("slow"), Retryable, "ETIMEDOUT", None),
        (aiosmtplib.SMTPNotSupported("no SMTPUTF8"), Misconfigured, "INVALID_SETTINGS", None),
        (ConnectionResetError(), Retryable, "ECONNRESET", None),
    ],
)
def test_what_an_answer_means(error: Exception, kind: type, code: str, status: int | None) -> None:
    meaning = meaning_of(error)
    assert (type(meaning), meaning.code, meaning.status) == (kind, code, status)
