"""Refused messages as they are kept for people: what it was, from whom, and its JSON when that is of a size to keep."""

from collections.abc import Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.outbox.interface import RefusedMessage
from relay.pipeline.decision import Refusal

BODY_MAX_BYTES: Final = 32_768
TEXT_MAX: Final = 200


def records_of(refusals: Sequence[Refusal], messages: Sequence[Any], source_id: str, received_ms: int) -> list[RefusedMessage]:
    """One record per refusal; `messages` is the batch that they stand in."""
    return [_record(refusal, messages[refusal.position], source_id, received_ms) for refusal in refusals]


def _record(refusal: Refusal, message: Any, source_id: str, received_ms: int) -> RefusedMessage:
    get = message.get if isinstance(message, dict) else lambda _: None
    name = _text(get("event")) or _text(get("name"))
    return RefusedMessage(
        source_id, refusal.code, received_ms, refusal.message_id, _text(get("type")), name, _text(get("userId")), _text(get("anonymousId")),
        _body(message),
    )  # fmt: skip


def _text(value: Any) -> str:
    return value[:TEXT_MAX] if isinstance(value, str) else ""


def _body(message: Any) -> bytes:
    try:
        body = jsonio.dumps(message)
    except (TypeError, ValueError):  # deeper than orjson writes
        return b""
    return body if len(body) <= BODY_MAX_BYTES else b""
