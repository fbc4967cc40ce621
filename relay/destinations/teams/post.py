"""The requests to a webhook of Microsoft Teams, and what its answers say. Pure. The address is the secret, so it is masked as a whole."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.errors import DeliveryError, Misconfigured, PayloadError, Permanent, Retryable
from relay.kit.alert_card import Card, card_of
from relay.kit.chat_webhook import SECRETS, address_of, cut
from relay.kit.definition import Delivery
from relay.kit.js import print_as_js
from relay.kit.post import post_json
from relay.kit.request import Request, Response
from relay.kit.url import url_problem

COLORS: Final[Mapping[str, str]] = {"firing": "attention", "still firing": "warning", "resolved": "good"}
BODY_BYTES: Final = 28_000
"""Microsoft Learn, Create an Incoming Webhook: 28 kB."""
TEXT_CHARS: Final = 15_000
SAMPLE_CHARS: Final = 2_000
_INNER_STATUS = re.compile(r"HTTP error (\d{3})")
_MARKDOWN = re.compile(r"([\\`*_\[\]])")


def post_message(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """A title, a text and facts; or a whole adaptive card."""
    fields = delivery.fields
    card = fields.get("card")
    if card:
        return _request(settings, fields, dict(card))
    title, text, facts = fields.get("title"), fields.get("text"), fields.get("facts") or {}
    if not text and not title and not facts:
        raise PayloadError('one of the fields "text", "title", "facts" and "card" is needed', field="text")
    blocks = [_text(title, size="medium", weight="bolder")] if title else []
    blocks += [_text(cut(text, TEXT_CHARS))] if text else []
    blocks += [_facts([(name, print_as_js(value)) for name, value in facts.items()])] if facts else []
    return _request(settings, fields, _card(blocks, fields.get("link")))


def post_alert(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One alert as a card."""
    fields = delivery.fields
    card = card_of(str(fields["name"]), fields["alert"])
    return _request(settings, fields, _card(_blocks(card), card.url))


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """An old connector answers 200 to what it refuses: its body is `1`, or a text that names the status inside. 404: the workflow is gone."""
    if response.status == 404:
        return [Misconfigured("Teams does not know this webhook: it was deleted, or its address is wrong", code="gone", status=404)]
    text = response.body.decode("utf-8", "replace").strip()
    if response.status != 200 or text in ("", "1") or text.startswith(("{", "[")):
        return None
    inner = _INNER_STATUS.search(text)
    status = int(inner[1]) if inner else None
    said = f"Teams answers 200, and says: {cut(text, 300)}"
    if status is None and "failed" not in text.lower() and "error" not in text.lower():
        return None
    if status in (404, 410):
        return [Misconfigured(said, code="gone", status=status)]
    if status in (408, 423, 425, 429) or (status is not None and status >= 500 and status != 501):
        return [Retryable(said, code=str(status), status=status)]
    return [Permanent(said, code=str(status) if status else "BAD_REQUEST", status=status or 400)]


def plain(text: str) -> str:
    """Text that is shown as it is: a card reads Markdown."""
    return _MARKDOWN.sub(r"\\\1", text)


def _blocks(card: Card) -> list[dict[str, Any]]:
    blocks = [_text(plain(card.title), size="medium", weight="bolder", color=COLORS[card.state])]
    blocks += [_text(plain(cut(card.text, TEXT_CHARS)))] if card.text else []
    blocks += [_text(f"**What to do:** {plain(cut(card.cure, SAMPLE_CHARS))}")] if card.cure else []
    blocks += [_facts(card.facts)] if card.facts else []
    blocks += [_text(plain(cut(card.sample, SAMPLE_CHARS)), fontType="monospace", isSubtle=True)] if card.sample else []
    return blocks


def _text(text: str, **style: Any) -> dict[str, Any]:
    return {"type": "TextBlock", "text": text, "wrap": True} | style


def _facts(facts: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"type": "FactSet", "facts": [{"title": label, "value": cut(value, SAMPLE_CHARS)} for label, value in facts]}


def _card(blocks: Sequence[Mapping[str, Any]], link: str | None) -> dict[str, Any]:
    card: dict[str, Any] = {"$schema": "http://adaptivecards.io/schemas/adaptive-card.json", "type": "AdaptiveCard", "version": "1.4"}
    card["body"] = list(blocks)
    if link and not url_problem(link):
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Open", "url": link}]
    return card


def _request(settings: Mapping[str, Any], fields: Mapping[str, Any], card: Mapping[str, Any]) -> Request:
    message = {"type": "message", "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": card}]}
    request = post_json(address_of(settings, fields), message, secrets=SECRETS)
    if len(request.body) > BODY_BYTES:
        raise PayloadError(f"the message has {len(request.body):,} bytes, Teams takes {BODY_BYTES:,}", field="card" if fields.get("card") else "text")
    return request
