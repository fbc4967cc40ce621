"""Order per user, whatever fails: first receipts rise, and the last thing a receiver heard of a user is the latest."""

import random
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Behaviour, Receiver, answer, half_head, reset, stall

EVENTS = 90
USERS = 6


def _events(relay: Running, draw: random.Random) -> list[dict[str, Any]]:
    """Track events of known and anonymous users, and the calls that belong to two of them at once."""
    made = []
    for number in range(EVENTS):
        user, other = (f"u{draw.randrange(USERS)}" for _ in range(2))
        event = relay.event(user, n=number)
        if draw.random() < 0.2:
            event |= {"type": "identify", "anonymousId": f"a{draw.randrange(USERS)}", "traits": {"n": number}}
        elif draw.random() < 0.15 and user != other:
            event |= {"type": "alias", "previousId": other}
        elif draw.random() < 0.3:
            del event["userId"]
            event["anonymousId"] = f"a{draw.randrange(USERS)}"
        made.append(event)
    return made


def _keys(event: dict[str, Any]) -> set[str]:
    """The users of an event as the promise counts them."""
    if event["type"] == "alias":
        return {event["userId"], event["previousId"]}
    if event["type"] == "identify":
        return {event["userId"], event["anonymousId"]}
    return {event.get("userId") or event["anonymousId"]}


class Moody:
    """A receiver's mood: now and then it fails, in one of many ways, and it knows which requests it took."""

    def __init__(self, receiver: Receiver, draw: random.Random, share: float) -> None:
        self.receiver, self.draw, self.share = receiver, draw, share
        self.taken: list[str] = []
        receiver.default = self.behave

    async def behave(self, request: Any) -> Any:
        message_id = self.receiver.bodies[-1]["messageId"]
        if self.draw.random() < self.share:
            return await self._failure()(request)
        self.taken.append(message_id)
        return await (stall(self.draw.random() * 0.01) if self.draw.random() < 0.3 else answer())(request)

    def _failure(self) -> Behaviour:
        return self.draw.choice([answer(500), answer(503), answer(429, {"retry-after": "0.2"}), reset(), half_head(), stall(1)])


@pytest.mark.parametrize("order", ["user", "strict"])
@pytest.mark.parametrize("seed", range(3))
async def test_order_holds_through_random_failures(seed: int, order: str, tmp_path: Path) -> None:
    draw = random.Random(seed)
    async with Receiver() as receiver:
        moody = Moody(receiver, draw, 0.2 if order == "user" else 0.05)
        config = source() + webhook("hook", receiver, order=order, timeout_s=0.3, max_delay_s=0.4)
        async with running(config, tmp_path) as relay:
            events = _events(relay, draw)
            for first in range(0, EVENTS, 15):
                assert await relay.send(events[first : first + 15]) == 200
            await relay.settled("hook", timeout_s=40)
            assert await relay.doors("hook") == {"delivered": EVENTS}
    number = {event["messageId"]: position for position, event in enumerate(events)}
    assert set(moody.taken) == set(number), "each event arrived"
    lanes: dict[str, list[int]] = {}
    for message_id in moody.taken:
        position = number[message_id]
        for key in ["all"] if order == "strict" else _keys(events[position]):
            lanes.setdefault(key, []).append(position)
    for key, seen in lanes.items():
        assert seen == sorted(seen), (key, seen)
