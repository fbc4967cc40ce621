"""SendGrid's API: requests, and what its answers say. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from relay.base.secret import reveal
from relay.errors import DeliveryError, Misconfigured, Retryable
from relay.kit.definition import Delivery
from relay.kit.post import post_json
from relay.kit.request import Request, Response

GLOBAL: Final = "https://api.sendgrid.com"
EU: Final = "https://api.eu.sendgrid.com"
SECRETS: Final = frozenset(("authorization",))
TOO_MANY: Final = 429


def call(settings: Mapping[str, Any], method: str, path: str, body: Any = None) -> Request:
    """A request to SendGrid's region; `body` None: there is none."""
    key = reveal(settings.get("sendGridApiKey"))
    if not key:
        raise Misconfigured("the setting sendGridApiKey is empty")
    headers: tuple[tuple[str, str], ...] = (("authorization", f"Bearer {key}"), ("accept", "application/json"))
    url = (settings.get("endpoint") or GLOBAL) + path
    if body is None:
        return Request(method, url, headers, secrets=SECRETS)
    return post_json(url, body, headers, secrets=SECRETS, method=method)


def read_answer(deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """Too many requests: SendGrid names the second at which its window ends, not how long to wait."""
    reset = response.headers.get("x-ratelimit-reset", "")
    if response.status != TOO_MANY or "retry-after" in response.headers or not reset.isdecimal():
        return None
    wait_s = max(int(reset) - deliveries[0].sent_s, 1.0)
    return [Retryable("SendGrid's limit is reached", code=str(TOO_MANY), status=TOO_MANY, retry_after_s=wait_s)] * len(deliveries)
