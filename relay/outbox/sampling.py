"""Which attempts and stopped events are kept as samples: a few per destination and code, bounded in memory, until they are written.

Listens to settled outcomes; what is delivered costs one comparison. At most one sample a second of each destination and code is taken.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from relay.base.clock import Clock
from relay.base.codes import Door
from relay.outbox.interface import PARKED, Attempt, HeldAttempt, Outcome, Sample, Settlement
from relay.outbox.ledger import destination_of

EVERY_S: Final = 1.0
CODES_MAX: Final = 1_000
"""Pairs of destination and code that are told apart at a time; a code comes from a receiver's status, so there may be many."""
WAITING_MAX: Final = 10
WAITING_BYTES: Final = 4 * 1024 * 1024

_PASSED: Final = frozenset((Door.DELIVERED.value, PARKED))
_STOPPED: Final = frozenset((Door.FILTERED.value, Door.BLOCKED.value))

Key = tuple[str, str]


class Sampler:
    """Takes samples; `take` hands them over to be written. When the memory is full new ones are left out."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._next_s: dict[Key, float] = {}
        self._waiting: dict[Key, deque[Sample]] = {}
        self._bytes = 0

    def settled(self, consumer: str, settlements: Sequence[Settlement], attempts: Sequence[Attempt]) -> None:
        """One settle, after its commit."""
        destination_id, now_s, next_s = destination_of(consumer), self._clock.monotonic(), self._next_s
        for settlement in settlements:
            for outcome in settlement.outcomes:
                result = outcome.result
                if result in _PASSED or next_s.get((destination_id, outcome.code), 0.0) > now_s:
                    continue
                if outcome.detail or result in _STOPPED:
                    self._meet(destination_id, settlement.seq, outcome, attempts)
        for attempt in attempts:
            if type(attempt) is HeldAttempt and self._may((destination_id, attempt.code)):
                self._add(_sample(destination_id, attempt.code, attempt.result, attempt, attempt.detail))

    def waiting(self, destination_id: str, code: str) -> list[Sample]:
        """Samples that are not written yet, newest first; their `message_id` is not known."""
        return list(self._waiting.get((destination_id, code), ()))[::-1]

    def take(self) -> list[Sample]:
        """Everything that waits; it is forgotten here."""
        taken = [sample for samples in self._waiting.values() for sample in samples]
        self._waiting, self._bytes = {}, 0
        return taken

    def give_back(self, samples: Sequence[Sample]) -> None:
        """They could not be written: they wait again, as far as there is room."""
        for sample in samples:
            self._add(sample)

    def _meet(self, destination_id: str, seq: int, outcome: Outcome, attempts: Sequence[Attempt]) -> None:
        if not self._may((destination_id, outcome.code)):
            return
        for attempt in attempts:
            if attempt.seq == seq and attempt.subscription_id == outcome.subscription_id:
                self._add(_sample(destination_id, outcome.code, outcome.result, attempt, outcome.detail))
                return
        self._add(Sample(destination_id, outcome.code, outcome.result, seq, self._clock.now(), outcome.attempts, outcome.status, 0.0, outcome.detail))

    def _may(self, key: Key) -> bool:
        now_s = self._clock.monotonic()
        if self._next_s.get(key, 0.0) > now_s:
            return False
        if len(self._next_s) >= CODES_MAX and key not in self._next_s:
            for known in [known for known, next_s in self._next_s.items() if next_s <= now_s]:
                del self._next_s[known]
            if len(self._next_s) >= CODES_MAX:
                return False
        self._next_s[key] = now_s + EVERY_S
        return True

    def _add(self, sample: Sample) -> None:
        if self._bytes + len(sample.detail) > WAITING_BYTES:
            return
        waiting = self._waiting.setdefault((sample.destination_id, sample.code), deque())
        waiting.append(sample)
        self._bytes += len(sample.detail)
        if len(waiting) > WAITING_MAX:
            self._bytes -= len(waiting.popleft().detail)


def _sample(destination_id: str, code: str, result: str, attempt: Attempt, detail: bytes) -> Sample:
    return Sample(destination_id, code, result, attempt.seq, attempt.at_s, attempt.attempt, attempt.status, attempt.duration_ms, detail)
