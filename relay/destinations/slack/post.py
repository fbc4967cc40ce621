"""The requests to an incoming webhook. Pure. The address is the secret, so it is masked as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.errors import DeliveryError, Misconfigured
from relay.kit.alert_card import Card, card_of
from relay.kit.chat_webhook import SECRETS, address_of
from relay.kit.definition import Delivery
from relay.kit.post import post_json
from relay.kit.request import Request, Response
from relay.kit.url import url_problem

HOSTS: Final = ("hooks.slack.com",)
COLORS: Final[Mapping[str, str]] = {"firing": "#b3261e", "still firing": "#8a5a00", "resolved": "#0b7a4b"}
MARKS: Final[Mapping[str, str]] = {"firing": ":red_circle:", "still firing": ":large_orange_circle:", "resolved": ":large_green_circle:"}
GONE: Final = frozenset((b"no_service", b"no_team", b"no_active_hooks"))
SECTION_CHARS: Final = 2_900
"""Slack refuses a section of more than 3,000 characters."""
FIELD_CHARS: Final = 1_900


def post_to_channel(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One text."""
    fields = delivery.fields
    body = {name: fields[name] for name in ("channel", "text", "username", "icon_url") if fields.get(name) is not None}
    return _request(settings, fields, body)


def post_alert(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One alert as text and blocks."""
    fields = delivery.fields
    card = card_of(str(fields["name"]), fields["alert"])
    body: dict[str, Any] = {"text": f"{MARKS[card.state]} *{escape(card.title)}*\n{escape(card.text)}"[:SECTION_CHARS], "username": "relay"}
    if fields.get("channel") is not None:
        body["channel"] = fields["channel"]
    blocks = _blocks(card)
    if blocks:
        body["attachments"] = [{"color": COLORS[card.state], "fallback": f"{card.title}: {card.text}"[:SECTION_CHARS], "blocks": blocks}]
    return _request(settings, fields, body)


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """404 with one of these words: the webhook itself is gone, whatever would be posted."""
    if response.status == 404 and response.body.strip() in GONE:
        return [Misconfigured("Slack does not know this webhook any more: it was removed or switched off", code="gone", status=404)]
    return None


def escape(text: str) -> str:
    """Slack's three control characters as entities, so that a name can neither mention a channel nor make a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(card: Card) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = []
    if card.cure:
        blocks.append(_section(f"*What to do*\n{escape(card.cure)}"))
    if card.facts:
        shown = [{"type": "mrkdwn", "text": f"*{label}*\n{escape(value)}"[:FIELD_CHARS]} for label, value in card.facts]
        blocks.append({"type": "section", "fields": shown})
    if card.sample:
        answer = escape(card.sample).replace("```", "'''")
        blocks.append(_section(f"*Answer*\n```{answer[: SECTION_CHARS - 100]}```"))
    if card.url and not url_problem(card.url):
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": f"<{card.url}|Open alerts>"}]})
    return blocks


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": {"type": "mrkdwn", "text": text[:SECTION_CHARS]}}


def _request(settings: Mapping[str, Any], fields: Mapping[str, Any], body: Mapping[str, Any]) -> Request:
    return post_json(address_of(settings, fields, HOSTS), body, secrets=SECRETS)
