"""Lanes: which item may go now. Pure.

A lane is an exact user key; an item holds the lanes of all its keys from the scan to its end, in the order of the log. It may
start when no item with a smaller seq shares a key. Re-sent and replayed items hold no lane; they only never overlap with one.
"""

from bisect import insort
from collections.abc import Iterable
from dataclasses import dataclass, field
from operator import attrgetter

from relay.base.event import Event
from relay.outbox.interface import Outcome, Row
from relay.pipeline.decision import Unit

WAITING, FLYING, ENDED = "waiting", "flying", "ended"
_BY_SEQ = attrgetter("seq")


@dataclass(slots=True, eq=False)
class Item:
    """One event of one consumer on its way: scanned, or brought back by a row."""

    seq: int
    source_id: str
    keys: tuple[str, ...]
    stream: str
    """Name of the consumer it belongs to."""
    foreign: bool = False
    """Re-sent or replayed: it holds no lane."""
    row: Row | None = None
    event: Event | None = None
    units: list[Unit] | None = None
    """None: not decided yet (a row whose event is not loaded)."""
    state: str = WAITING
    saved: bool = True
    """Its row is committed; it may not start before."""
    gone: bool = False
    """The ledger has decided without us (expired, erased); its outcome no longer matters."""
    in_lanes: bool = False
    queued: bool = False
    """It stands in the actor's queue of ready items."""
    results: list[Outcome] = field(default_factory=list)
    left: int = 0
    """Units whose end is not known."""

    @property
    def due_s(self) -> float:
        return self.row.due_s if self.row else 0.0


Member = tuple[Item | None, Unit]
Members = list[Member]
"""What one attempt carries. Without an item: a *loose* unit, the only one of its event, in a batch of a destination without lanes.
Nothing needs to know it by itself while all goes well; `Board.tie` makes the items when something does."""


class Lanes:
    """All lanes of one destination."""

    def __init__(self) -> None:
        self._lanes: dict[str, list[Item]] = {}
        self._busy: dict[str, int] = {}
        """Keys of foreign items in flight."""
        self.foreign_flying = 0
        self.rows = 0
        """Items in lanes that are rows."""

    def add(self, item: Item) -> None:
        """Enter the lanes of all its keys."""
        if item.foreign:
            return
        item.in_lanes = True
        self.rows += item.row is not None
        for key in item.keys:
            lane = self._lanes.get(key)
            if lane is None:
                self._lanes[key] = [item]
            elif lane[-1].seq <= item.seq:
                lane.append(item)
            else:
                insort(lane, item, key=_BY_SEQ)

    def leave(self, item: Item) -> list[Item]:
        """Leave all lanes; returns the items that now stand first in one of them."""
        if not item.in_lanes:
            return []
        item.in_lanes = False
        self.rows -= item.row is not None
        heads: list[Item] = []
        for key in item.keys:
            lane = self._lanes.get(key)
            if lane is None or item not in lane:
                continue
            if len(lane) == 1:
                del self._lanes[key]
                continue
            lane.remove(item)
            heads += [other for other in lane if other.seq == lane[0].seq]
        return heads

    def is_behind_row(self, seq: int, keys: Iterable[str]) -> bool:
        """Whether an open row with a smaller seq shares a key: the event is to be parked."""
        for key in keys:
            for item in self._lanes.get(key, ()):
                if item.row is not None and item.seq < seq:
                    return True
        return False

    def behind(self, item: Item) -> list[Item]:
        """Items in memory that wait behind `item` in one of its lanes, in order."""
        found = {other.seq: other for key in item.keys for other in self._lanes.get(key, ()) if _waits(other) and other.seq > item.seq}
        return [found[seq] for seq in sorted(found)]

    def may_start(self, item: Item) -> bool:
        """No item with a smaller seq shares a key, and nothing that shares one is in flight (units of one event go together)."""
        if item.foreign:
            return not any(key in self._busy or self._is_flying(key) for key in item.keys)
        for key in item.keys:
            if self._lanes[key][0].seq != item.seq:
                return False
            if key in self._busy:
                return False
        return True

    def _is_flying(self, key: str) -> bool:
        lane = self._lanes.get(key)
        return lane is not None and any(item.state == FLYING for item in lane if item.seq == lane[0].seq)

    def take_off(self, item: Item) -> None:
        """`item` is in flight."""
        item.state = FLYING
        if item.foreign:
            self.foreign_flying += 1
            for key in item.keys:
                self._busy[key] = self._busy.get(key, 0) + 1

    def land(self, item: Item, state: str) -> list[Item]:
        """`item` is no longer in flight; returns lane heads that a foreign item kept from starting."""
        item.state = state
        if not item.foreign:
            return []
        self.foreign_flying -= 1
        freed: list[Item] = []
        for key in item.keys:
            self._busy[key] -= 1
            if not self._busy[key]:
                del self._busy[key]
                lane = self._lanes.get(key, [])
                freed += [other for other in lane if other.seq == lane[0].seq]
        return freed

    def __len__(self) -> int:
        return len(self._lanes)


def _waits(item: Item) -> bool:
    return item.row is None and item.state == WAITING
