"""Load as clients make it: many users at once, each one's events one after the other, each sent again until it is acknowledged."""

import asyncio
import base64
import random
from dataclasses import dataclass, field
from typing import Any

import aiohttp

AGAIN_S = 0.05
ANSWER_S = 10.0


@dataclass
class Traffic:
    """Run it as a task; `stop()` lets every client end what it is about."""

    url: str
    write_key: str
    seed: int
    clients: int = 6
    users_each: int = 5
    pause_s: float = 0.03
    padding: int = 100
    abandon: float = 0.05
    """Share of unanswered requests that are never sent again."""
    acknowledged: set[str] = field(default_factory=set)
    """messageIds that were answered 200."""
    sent: set[str] = field(default_factory=set)
    unanswered: int = 0
    refused: list[int] = field(default_factory=list)
    _stopping: bool = False

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for client in range(self.clients):
                group.create_task(self._client(client))

    def stop(self) -> None:
        self._stopping = True

    async def _client(self, client: int) -> None:
        rng = random.Random(f"{self.seed}-{client}")
        numbers = dict.fromkeys([f"u{client}x{user}" for user in range(self.users_each)], 0)
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_S)) as session:
            while not self._stopping:
                user = rng.choice(list(numbers))
                events = []
                for _ in range(rng.choice((1, 1, 1, 4))):
                    numbers[user] += 1
                    events.append(track(user, numbers[user], self.padding))
                await self._send(session, events, rng)
                await asyncio.sleep(rng.uniform(0, 2 * self.pause_s))

    async def _send(self, session: aiohttp.ClientSession, events: list[dict[str, Any]], rng: random.Random) -> None:
        """Until it is acknowledged; a client that stops or goes away leaves some requests without having an answer."""
        ids = [event["messageId"] for event in events]
        path, body = ("/v1/track", events[0]) if len(events) == 1 else ("/v1/batch", {"batch": events})
        headers = {"Authorization": f"Basic {base64.b64encode(f'{self.write_key}:'.encode()).decode()}"}
        while True:
            self.sent.update(ids)
            try:
                async with session.post(self.url + path, json=body, headers=headers) as response:
                    await response.read()
                if response.status == 200:
                    self.acknowledged.update(ids)
                    return
                self.refused.append(response.status)
            except (aiohttp.ClientError, TimeoutError, OSError):
                self.unanswered += 1
                if rng.random() < self.abandon:
                    return
            if self._stopping:
                return
            await asyncio.sleep(AGAIN_S)


def track(user: str, number: int, padding: int) -> dict[str, Any]:
    """One event; its messageId says whose it is and which."""
    properties = {"number": number, "padding": "x" * padding}
    return {"type": "track", "userId": user, "event": "Counted", "messageId": f"{user}-{number}", "properties": properties}
