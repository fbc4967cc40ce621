"""Groups units that may share one request. Pure; the actor owns the time."""

from dataclasses import dataclass, field
from typing import Generic, TypeVar

from relay.pipeline.decision import Unit

T = TypeVar("T")


@dataclass(slots=True)
class Batch(Generic[T]):
    """Units with one subscription and batch key, in the order they came; `T` is what the caller keeps beside each, if anything."""

    size: int
    max_bytes: int
    due_s: float
    """Monotonic time at which it goes even when it is not full."""
    members: list[tuple[T, Unit]] = field(default_factory=list)
    bytes: int = 0

    @property
    def is_full(self) -> bool:
        return len(self.members) >= self.size or self.bytes >= self.max_bytes


class Batches(Generic[T]):
    """Open batches by key; a full one moves to `full` and a new one is begun."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], Batch[T]] = {}
        self.full: list[Batch[T]] = []
        self.waiting = 0
        """Units in open and full batches."""

    def add(self, member: T, unit: Unit, now_s: float) -> None:
        action = unit.action
        assert action is not None
        key = (unit.subscription_id, unit.batch_key)
        size = len(unit.event.body)
        batch = self._open.get(key)
        if batch is not None and batch.bytes + size > batch.max_bytes:
            self.full.append(self._open.pop(key))
            batch = None
        if batch is None:
            batch = self._open[key] = Batch(unit.batch_size, action.batch_bytes, now_s + action.linger_ms / 1000)
        batch.members.append((member, unit))
        batch.bytes += size
        self.waiting += 1
        if batch.is_full:
            self.full.append(self._open.pop(key))

    def take(self, now_s: float) -> Batch[T] | None:
        """A batch that may go now: full, or its linger is over."""
        if self.full:
            batch = self.full.pop(0)
        else:
            key = next((key for key, batch in self._open.items() if batch.due_s <= now_s), None)
            if key is None:
                return None
            batch = self._open.pop(key)
        self.waiting -= len(batch.members)
        return batch

    def next_s(self) -> float:
        """When the next batch is due; infinity: none waits."""
        return float("-inf") if self.full else min((batch.due_s for batch in self._open.values()), default=float("inf"))

    def members(self) -> list[list[tuple[T, Unit]]]:
        """The members of every batch, to be changed in place."""
        return [batch.members for batch in (*self.full, *self._open.values())]

    def drain(self) -> list[tuple[T, Unit]]:
        """Take everything out."""
        members = [member for batch in (*self.full, *self._open.values()) for member in batch.members]
        self.full, self._open, self.waiting = [], {}, 0
        return members
