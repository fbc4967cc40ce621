"""From an event to a mail: plain text and HTML. Pure. Nothing of an event can add a header, an address or markup."""

import html
import json
from datetime import UTC, datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final

from relay.base.event import Event
from relay.base.ids import delivery_key
from relay.kit.alert_card import NAMES, Card, card_of

SUBJECT_CHARS: Final = 180
JSON_CHARS: Final = 60_000
COLORS: Final = {"firing": "#b3261e", "still firing": "#8a5a00", "resolved": "#0b7a4b"}


def message_of(event: Event, sender: str, recipients: tuple[str, ...], prefix: str, *, domain: str, sent_s: float) -> EmailMessage:
    """One mail. Its Message-ID is the same on every attempt, so that a mail that comes twice can be recognised."""
    properties = event.payload.get("properties")
    card = card_of(event.name, properties) if event.name in NAMES and isinstance(properties, dict) else None
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = ", ".join(recipients)
    message["Subject"] = one_line(f"{prefix} {card.title if card else event.name or event.type}")[:SUBJECT_CHARS]
    message["Date"] = format_datetime(datetime.fromtimestamp(sent_s, UTC))
    message["Message-ID"] = f"<{delivery_key(event.source_id, event.message_id)}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"
    if card and isinstance(properties, dict) and isinstance(properties.get("alert_id"), int) and properties["alert_id"]:
        message["References"] = f"<alert-{properties['alert_id']}.{one_line(str(properties.get('opened_at', ''))).replace(':', '-')[:24]}@{domain}>"
    text, markup = _of_card(card) if card else _of_event(event)
    message.set_content(_writable(text))
    message.add_alternative(_writable(markup), subtype="html")
    return message


def one_line(text: str) -> str:
    """Without line breaks and what else is not printed, so that it fits into a header."""
    return " ".join("".join(character if character.isprintable() else " " for character in _writable(text)).split())


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _of_card(card: Card) -> tuple[str, str]:
    lines = [card.text, ""]
    if card.cure:
        lines += ["What to do:", f"  {card.cure}", ""]
    lines += [f"{label}: {value}" for label, value in card.facts]
    lines += ["", "Answer:", card.sample] if card.sample else []
    lines += ["", card.url] if card.url else []
    rows = "".join(
        f"<tr><td style='padding:2px 16px 2px 0;color:#556070'>{_html(label)}</td><td>{_html(value)}</td></tr>" for label, value in card.facts
    )
    parts = [
        f"<p style='margin:0 0 12px;padding-left:12px;border-left:4px solid {COLORS[card.state]}'><b>{_html(card.title)}</b><br>{_html(card.text)}</p>",
        f"<p><b>What to do</b><br>{_html(card.cure)}</p>" if card.cure else "",
        f"<table style='border-collapse:collapse'>{rows}</table>" if rows else "",
        f"<p><b>Answer</b></p><pre style='background:#f6f7f9;padding:8px'>{_html(card.sample)}</pre>" if card.sample else "",
        f"<p><a href='{_html(card.url)}'>Open alerts</a></p>" if card.url.startswith(("http://", "https://")) else "",
    ]
    return "\n".join(lines), _page("".join(parts))


def _of_event(event: Event) -> tuple[str, str]:
    text = json.dumps(event.payload, indent=2, ensure_ascii=False)[:JSON_CHARS]  # not orjson: half a character is no fault of the mail
    who = event.user_id or event.anonymous_id or "nobody that is known"
    head = f"{event.type} {event.name}".strip() + f" by {who}"
    return f"{one_line(head)}\n\n{text}", _page(f"<p><b>{_html(head)}</b></p><pre style='background:#f6f7f9;padding:8px'>{_html(text)}</pre>")


def _page(body: str) -> str:
    return f"<!doctype html><html><body style='font:14px/20px system-ui,sans-serif;color:#14181f'>{body}</body></html>"


def _html(text: str) -> str:
    return html.escape(text, quote=True)
