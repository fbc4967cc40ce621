"""The receivers of a simulation: they answer as the plan says, and keep what they took."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from relay.base.jsonio import loads
from relay.errors import Retryable
from relay.kit.request import Request, Response

Unit = tuple[str, int, str]
"""(destination, number of the event, subscription)."""
TIMEOUT_S = 15.0


@dataclass
class Book:
    """What the receivers took, and how often each unit may have been taken so far."""

    order: dict[str, list[tuple[int, str]]] = field(default_factory=dict)
    """Live receipts of each destination, in order."""
    taken: dict[Unit, int] = field(default_factory=dict)
    allowed: dict[Unit, int] = field(default_factory=dict)
    replayed: dict[Unit, int] = field(default_factory=dict)
    replay_allowance: int = 0
    """Lost answers, crashes and re-sends: each may repeat a replayed unit."""
    broken: list[str] = field(default_factory=list)

    def take(self, unit: Unit, *, replay: bool) -> None:
        """A receiver has taken a unit."""
        if replay:
            self.replayed[unit] = self.replayed.get(unit, 0) + 1
            return
        self.order.setdefault(unit[0], []).append((unit[1], unit[2]))
        self.taken[unit] = self.taken.get(unit, 0) + 1
        if self.taken[unit] > self.allowed.get(unit, 1):
            self.broken.append(f"duplicate: {unit} was taken {self.taken[unit]} times, {self.allowed.get(unit, 1)} allowed")

    def grant(self, unit: Unit) -> None:
        """relay cannot know that the unit was taken: it may come once more."""
        self.allowed[unit] = max(self.allowed.get(unit, 1), self.taken.get(unit, 0) + 1)

    def grant_event(self, destination: str, number: int) -> None:
        """As `grant`, for all units of an event."""
        for unit in list(self.taken):
            if unit[:2] == (destination, number):
                self.grant(unit)


class Receivers:
    """All destinations' other side."""

    def __init__(self, seed: int, weights: Mapping[str, float], trace: Callable[[str], None]) -> None:
        self.book = Book()
        self.quiet = False
        self.refusing: dict[str, float] = {}
        """Destination to the time until which it answers 401."""
        self.down: dict[str, float] = {}
        """As `refusing`, with 503."""
        self._random = random.Random(f"answers {seed}")
        self._names = list(weights)
        self._weights = list(weights.values())
        self.trace = trace

    async def answer(self, destination: str, request: Request) -> Response:
        """One request: wait, take it or not, wait, answer."""
        loop, draw = asyncio.get_running_loop(), self._random
        content = loads(request.body)
        numbers = [(int(number), bool(replay)) for number, replay in content["units"]]
        kind = "ok" if self.quiet else draw.choices(self._names, self._weights)[0]
        if not self.quiet and self.refusing.get(destination, 0) > loop.time():
            kind = "401"
        elif not self.quiet and self.down.get(destination, 0) > loop.time():
            kind = "503"
        before, after = draw.uniform(0, 0.2), draw.uniform(0, 0.2)
        if kind == "slow":
            before += draw.uniform(1, 12)
        what = f"{destination}/{content['sub']} {numbers}"
        self.trace(f"send {what}")
        took = False
        try:
            await asyncio.sleep(before)
            if kind in ("ok", "lost", "slow"):
                took = True
                for number, replay in numbers:
                    self.book.take((destination, number, content["sub"]), replay=replay)
                self.trace(f"took {what}")
            await asyncio.sleep(after if kind != "lost" else TIMEOUT_S)
        except asyncio.CancelledError:
            self.trace(f"gave up {what}")
            if took:
                self._unknown(destination, numbers)
            for number, _ in numbers:  # units of the same event may be done and unsaved
                self.book.grant_event(destination, number)
            raise
        self.trace(f"answer {kind} {what}")
        return self._respond(kind, destination, numbers)

    def _respond(self, kind: str, destination: str, numbers: list[tuple[int, bool]]) -> Response:
        if kind == "lost":
            self._unknown(destination, numbers)
            raise Retryable("timeout", code="ETIMEDOUT")
        if kind == "reset":
            raise Retryable("reset", code="ECONNRESET")
        if kind == "429":
            return Response(429, {"retry-after": str(self._random.randint(1, 5))})
        return Response(200 if kind in ("ok", "slow") else int(kind))

    def _unknown(self, destination: str, numbers: list[tuple[int, bool]]) -> None:
        self.book.replay_allowance += 1
        for number, replay in numbers:
            if not replay:
                self.book.grant_event(destination, number)


class SimTransport:
    """The Transport seam of one destination in one life."""

    def __init__(self, receivers: Receivers, destination: str) -> None:
        self._receivers = receivers
        self._destination = destination

    async def send(self, request: Request) -> Response:
        return await self._receivers.answer(self._destination, request)

    async def close(self) -> None:
        """Nothing is open."""
