"""Refused messages as they are kept for people: what it was, from whom, and its JSON when that is of a size to keep.

Promise: no field that the privacy rules of the source name is kept; where that is not certain, no JSON is.
"""

from collections.abc import Sequence
from typing import Any, Final

from relay.base import jsonio
from relay.outbox.interface import RefusedMessage
from relay.pipeline.compiled import CompiledSource
from relay.pipeline.decision import Refusal

BODY_MAX_BYTES: Final = 32_768
TEXT_MAX: Final = 200
_UNSEARCHED: Final = ("INTERNAL", "FAILED_DATA_ENCRYPTION")
"""Refused because the privacy rules could not be applied."""


def records_of(refusals: Sequence[Refusal], messages: Sequence[Any], source: CompiledSource, received_ms: int) -> list[RefusedMessage]:
    """One record per refusal; `messages` is the batch that they stand in."""
    return [_record(refusal, messages[refusal.position], source, received_ms) for refusal in refusals]


def _record(refusal: Refusal, message: Any, source: CompiledSource, received_ms: int) -> RefusedMessage:
    if refusal.code == "suppressed":  # nothing of it may reach the disk
        return RefusedMessage(source.source.source_id, refusal.code, received_ms, refusal.message_id, message["type"])
    shown, body = _kept(message, source)
    get = shown.get if isinstance(shown, dict) else lambda _: None
    name = _text(get("event")) or _text(get("name"))
    return RefusedMessage(
        source.source.source_id, refusal.code, received_ms, refusal.message_id, _text(get("type")), name, _text(get("userId")), _text(get("anonymousId")),
        b"" if refusal.code in _UNSEARCHED else body,
    )  # fmt: skip


def _text(value: Any) -> str:
    return value[:TEXT_MAX] if isinstance(value, str) else ""


def _kept(message: Any, source: CompiledSource) -> tuple[Any, bytes]:
    """What may be shown of a message, and its JSON, empty when it cannot be kept."""
    shown = message
    try:
        if source.cover is not None:
            shown = source.cover(message)
        body = jsonio.dumps(shown)
    except Exception:  # fence: deeper than Python or orjson goes, or of a shape that cannot be searched for sensitive fields
        return shown, b""
    return shown, body if len(body) <= BODY_MAX_BYTES else b""
