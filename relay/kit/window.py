"""Limits whose window ends at a named moment: what many APIs answer instead of how long to wait. Pure."""

import math
from collections.abc import Sequence

from relay.errors import DeliveryError, Retryable
from relay.kit.definition import Delivery
from relay.kit.request import Response


def read_window(api: str, deliveries: Sequence[Delivery], response: Response) -> Sequence[DeliveryError | None] | None:
    """As an action's `read_answer`: all wait when the status is 429 and `x-ratelimit-reset` is a Unix second; `retry-after` goes before it."""
    if response.status != 429 or "retry-after" in response.headers:
        return None
    try:
        wait_s = float(response.headers.get("x-ratelimit-reset", "")) - deliveries[0].sent_s
    except ValueError:
        return None
    if not math.isfinite(wait_s):
        return None
    return [Retryable(f"{api}'s limit is reached", code="429", status=429, retry_after_s=max(wait_s, 1.0))] * len(deliveries)
