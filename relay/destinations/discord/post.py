"""The requests to a webhook of Discord, and what its answers say. Pure. The address is the secret, so it is masked as a whole."""

from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

from relay.errors import DeliveryError, Misconfigured, PayloadError, Retryable
from relay.kit.alert_card import Card, card_of
from relay.kit.chat_webhook import SECRETS, address_of, cut
from relay.kit.definition import Delivery
from relay.kit.post import post_json
from relay.kit.request import Request, Response
from relay.kit.url import url_problem

HOSTS: Final = ("discord.com", "discordapp.com", "canary.discord.com", "ptb.discord.com")
COLORS: Final[Mapping[str, int]] = {"firing": 0xB3261E, "still firing": 0x8A5A00, "resolved": 0x0B7A4B}
CONTENT_CHARS: Final = 2_000
"""Discord, Execute Webhook: content; the limits of an embed are next."""
TITLE_CHARS: Final = 256
TEXT_CHARS: Final = 4_000
FIELD_CHARS: Final = 1_000
EMBEDS: Final = 10
NOBODY: Final[Mapping[str, Any]] = {"parse": []}
"""A name in an event must not ring a whole server."""


def post_message(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One message: a text, embeds, or both."""
    fields = delivery.fields
    if not fields.get("content") and not fields.get("embeds"):
        raise PayloadError('one of the fields "content" and "embeds" is needed', field="content")
    if len(fields.get("embeds") or ()) > EMBEDS:
        raise PayloadError(f'field "embeds": Discord takes {EMBEDS} at most', field="embeds")
    body = {name: fields[name] for name in ("username", "avatar_url", "embeds", "tts", "thread_name") if fields.get(name)}
    if fields.get("content"):
        body["content"] = cut(fields["content"], CONTENT_CHARS)
    body["allowed_mentions"] = fields.get("allowed_mentions") or NOBODY
    return _request(settings, fields, body)


def post_alert(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One alert as an embed."""
    fields = delivery.fields
    body = {"username": "relay", "embeds": [_embed(card_of(str(fields["name"]), fields["alert"]))], "allowed_mentions": NOBODY}
    return _request(settings, fields, body)


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """404: the webhook was deleted, so nothing will ever arrive; 429 names its wait in the body, in seconds and parts of them."""
    if response.status == 404:
        return [Misconfigured("Discord does not know this webhook: it was deleted, or its address is wrong", code="gone", status=404)]
    if response.status == 429 and "retry-after" not in response.headers:
        return [Retryable("Discord's limit is reached", code="429", status=429, retry_after_s=_wait_s(response))]
    return None


def _wait_s(response: Response) -> float | None:
    wait = response.json_object().get("retry_after")
    if wait is None:
        wait = response.headers.get("x-ratelimit-reset-after")
    try:
        return float(wait) if wait is not None else None
    except (TypeError, ValueError):
        return None


def _embed(card: Card) -> dict[str, Any]:
    facts = [{"name": label, "value": cut(value, FIELD_CHARS), "inline": True} for label, value in card.facts]
    if card.cure:
        facts.insert(0, {"name": "What to do", "value": cut(card.cure, FIELD_CHARS)})
    if card.sample:
        answer = cut(card.sample.replace("```", "'''"), FIELD_CHARS - 10)
        facts.append({"name": "Answer", "value": f"```\n{answer}\n```"})
    embed: dict[str, Any] = {"title": cut(card.title, TITLE_CHARS), "description": cut(card.text, TEXT_CHARS), "color": COLORS[card.state]}
    if facts:
        embed["fields"] = facts
    return embed | ({"url": card.url} if card.url and not url_problem(card.url) else {})


def _request(settings: Mapping[str, Any], fields: Mapping[str, Any], body: Mapping[str, Any]) -> Request:
    url = address_of(settings, fields, HOSTS)
    query = {"wait": "true"} | ({"thread_id": fields["thread_id"]} if fields.get("thread_id") else {})
    return post_json(f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}", body, secrets=SECRETS)
