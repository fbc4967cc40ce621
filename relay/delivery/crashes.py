"""Which event ends the process again and again. Pure.

After an unclean end an actor is careful for a while: it writes down what it takes in hand, and strikes it off when that came back.
What was in hand when the process ended is a suspect, and counts one end more; suspects are handled one at a time, so that the next
end speaks about one of them only. After ENDS of those the event is dead with code `crash` (reliability page 6).
"""

from collections.abc import Mapping
from typing import Any, Final

from relay.outbox.interface import WHOLE, Row

ENDS: Final = 3
CAREFUL_S: Final = 60.0
CAREFUL_TIMES: Final = 2_000
"""An event is in hand twice: while it is decided, and while it is attempted."""


def hand(seq: int, row: Row | None = None) -> str:
    """The name of what is in hand: an event, or the row of one of its subscriptions."""
    return f"{seq}/{row.subscription_id if row else WHOLE}"


class Caution:
    """What one consumer has in hand, and what it had when the process ended. `written` is what the last run left; times are monotonic."""

    def __init__(self, written: Mapping[str, Any] | None, *, now_s: float) -> None:
        self._ends = {name: int(count) for name, count in (written or {}).items()}
        self._in_hand: dict[str, int] = {}
        self._until_s = now_s + CAREFUL_S
        self._left = CAREFUL_TIMES

    def is_over(self, now_s: float) -> bool:
        """Whether enough went well to be as quick as ever. Suspects are waited for, but not longer than CAREFUL_S."""
        return now_s >= self._until_s or (self._left <= 0 and not self._ends)

    def is_suspect(self, name: str) -> bool:
        return name in self._ends

    def is_guilty(self, name: str) -> bool:
        return self._ends.get(name, 0) >= ENDS

    def take(self, name: str) -> None:
        """It is about to be handled, once `patch` is on disk."""
        self._in_hand[name] = self._in_hand.get(name, 0) + 1
        self._left -= 1

    def put_back(self, name: str) -> None:
        """The process has survived this."""
        left = self._in_hand.pop(name, 1) - 1
        if left:
            self._in_hand[name] = left

    def clear(self, name: str) -> None:
        """Its outcome is known."""
        self._ends.pop(name, None)

    def forget(self) -> None:
        """The process ends properly, or is no longer careful."""
        self._ends.clear()
        self._in_hand.clear()

    def patch(self) -> dict[str, Any]:
        """What to write into the consumer's state: the ends of each name, if the process ended now."""
        ends = self._ends | {name: self._ends.get(name, 0) + 1 for name in self._in_hand}
        return {"started": ends or None}
