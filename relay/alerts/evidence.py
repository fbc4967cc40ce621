"""What belongs to an alert besides its numbers: a sample of the failure, and the workspace change just before it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from relay.alerts.rules import Signal
from relay.base import jsonio
from relay.outbox.interface import Outbox, Row, Selection

SAMPLE_CHARS: Final = 500
CHANGE_S: Final = 3600.0
"""A change of the workspace this long before the window may be the cause."""


class Versions(Protocol):
    """The stored workspace versions."""

    async def change_between(self, since_s: float, until_s: float) -> dict[str, Any] | None: ...


@dataclass(frozen=True, slots=True)
class Evidence:
    """Code of the failure (empty: none is known), `{code, status, answer}`, and `{version, at_s, by, changed}`."""

    code: str = ""
    sample: Mapping[str, Any] | None = None
    change: Mapping[str, Any] | None = None


class Witness:
    """Looks it up, once per alert. `mask` hides secrets in what a receiver answered."""

    def __init__(self, outbox: Outbox, versions: Versions, mask: Callable[[str], str]) -> None:
        self._outbox = outbox
        self._versions = versions
        self._mask = mask

    async def testify(self, signal: Signal, destination_id: str, now_s: float) -> Evidence:
        """`destination_id` empty: the signal is about no destination."""
        since_s = now_s - signal.rule.window_m * 60 - CHANGE_S
        change = await self._versions.change_between(since_s, now_s)
        if not destination_id:
            return Evidence(change=change)
        code = str(signal.facts.get("code") or "")
        if signal.facts.get("sample"):
            return Evidence(code, self._sample(code, signal.facts.get("status"), str(signal.facts["sample"])), change)
        row = await self._failure(destination_id, since_s)
        if row is None:
            return Evidence(code, None, change)
        return Evidence(row.code if code in ("", "breaker_open") else code, self._sample(row.code, row.status, _answer(row)), change)

    async def _failure(self, destination_id: str, since_s: float) -> Row | None:
        """The newest failure that was kept: a row that waits for its retry, or a dead letter."""
        waiting = await self._outbox.history.waiting(destination_id, 20)
        dead = await self._outbox.history.dead(destination_id, Selection(since_s=since_s), limit=100)
        rows = [row for row in (*waiting, *(row for row, _ in dead)) if row.detail]
        return max(rows, key=lambda row: row.changed_s, default=None)

    def _sample(self, code: str, status: Any, answer: str) -> dict[str, Any]:
        return {"code": code, "status": status, "answer": self._mask(answer)[:SAMPLE_CHARS]}


def _answer(row: Row) -> str:
    try:
        response = jsonio.loads(row.detail).get("response") or {}
        return str(response.get("body") or "")
    except (ValueError, AttributeError):
        return row.detail.decode("utf-8", "replace")
