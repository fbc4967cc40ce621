"""The request that forwards events to a tracking API. Pure."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from relay import __version__
from relay.base import jsonio
from relay.base.secret import reveal
from relay.errors import Misconfigured, Permanent
from relay.kit.definition import Delivery
from relay.kit.request import Request

SECRETS = frozenset(("authorization",))
CLOCKS = ("sentAt", "originalTimestamp", "receivedAt")
"""Left out: the receiver would correct `timestamp` by them once more (tracking API page 6)."""


def forward(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    """One event, as a batch of one."""
    return forward_batch(settings, [delivery])


def forward_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    """All events in one call of /v1/batch."""
    return send(settings, deliveries, lambda delivery: delivery.fields["data"])


def send(settings: Mapping[str, Any], deliveries: Sequence[Delivery], data_of: Callable[[Delivery], Mapping[str, Any]]) -> Request:
    """What `data_of` makes of each event, in one call; raises Permanent (`looped`) when one has passed this write key before."""
    key = reveal(settings.get("writeKey"))
    if not key:
        raise Misconfigured("the setting writeKey is empty")
    fingerprint = hashlib.md5(key.encode(), usedforsecurity=False).hexdigest()
    batch = [_message(data_of(delivery), delivery, fingerprint) for delivery in deliveries]
    sent_at = datetime.fromtimestamp(deliveries[0].sent_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    headers = (
        ("content-type", "application/json"),
        ("user-agent", f"relay/{__version__}"),
        ("authorization", "Basic " + base64.b64encode(f"{key}:".encode()).decode()),
    )
    endpoint = str(settings.get("endpoint") or "https://api.segment.io").rstrip("/")
    return Request("POST", f"{endpoint}/v1/batch", headers, jsonio.dumps({"batch": batch, "sentAt": sent_at}), secrets=SECRETS)


def _message(data: Mapping[str, Any], delivery: Delivery, fingerprint: str) -> dict[str, Any]:
    """The event as it goes out: the same id and time, one step longer on its way."""
    payload = delivery.event.payload
    message = {key: value for key, value in data.items() if key not in CLOCKS}
    for name in ("type", "messageId", "timestamp"):
        if name in payload:
            message.setdefault(name, payload[name])
    context = message.get("context")
    context = dict(context) if isinstance(context, Mapping) else {}
    chain = _chain(payload.get("context")) or _chain(context)
    if fingerprint in chain:
        raise Permanent("the event has passed this write key before, so it is not sent round again", code="looped")
    message["context"] = context | {"repeatChain": [*chain, fingerprint]}
    return message


def _chain(context: Any) -> list[str]:
    """The way so far, as the event itself tells it: a mapping cannot hide a loop."""
    value = context.get("repeatChain") if isinstance(context, Mapping) else None
    if isinstance(value, str):
        return [value]
    return [item for item in value if isinstance(item, str)] if isinstance(value, list) else []
