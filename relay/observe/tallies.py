"""Counts per minute: the type, and the totals of this process. The rows lie in the outbox, counted in the same commit."""

from collections.abc import Mapping
from typing import Final, NamedTuple

VIOLATED: Final = "violation"
"""The stage of events that broke their plan."""


class TallyKey(NamedTuple):
    """What is counted. `destination_id` empty: the source side; `first`: it was the first attempt."""

    minute: int
    """UTC, minutes since 1970."""
    source_id: str
    destination_id: str
    stage: str
    """`ingest` (refused, or a duplicate), `source`, or the door: `delivered filtered blocked dead expired discarded`, and `retry` (not a door).

    `violation`: an event broke its plan and went on; it is counted under `source` as well.
    """
    code: str
    first: bool


Tally = dict[TallyKey, int]


def add(into: Tally, more: Mapping[TallyKey, int]) -> None:
    """Add `more` to `into`."""
    for key, count in more.items():
        into[key] = into.get(key, 0) + count


class Totals:
    """Totals since the process started, without the minute; read by the metrics. Fed only after a commit."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, str, str, str, bool], int] = {}

    def add(self, tally: Mapping[TallyKey, int]) -> None:
        for (_, *rest), count in tally.items():
            key: tuple[str, str, str, str, bool] = tuple(rest)  # type: ignore[assignment]
            self.counts[key] = self.counts.get(key, 0) + count
