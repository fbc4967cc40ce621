"""One destination in trouble does not delay another, and never the clients."""

import asyncio
import time
from pathlib import Path

from tests.support.app import Running, running, source, webhook
from tests.support.receiver import Receiver, answer, drip, reset, stall
from tests.support.waiting import eventually

EVENTS = 150
NOISE_S = 0.02
"""What a busy machine may add; twice a very short time would measure the machine."""


async def _p95_s(relay: Running, receiver: Receiver) -> float:
    """From the answer of the tracking API to the arrival at `fine`, one event after the other."""
    receiver.requests.clear()
    accepted: dict[str, float] = {}
    for number in range(EVENTS):
        message_id = await relay.track(f"u{number % 10}")
        accepted[message_id] = time.monotonic()
        await asyncio.sleep(0.002)
    await eventually(lambda: receiver.count == EVENTS, 15)
    waits = sorted(request.at - accepted[request.json["messageId"]] for request in receiver.requests)
    return max(0.0, waits[int(len(waits) * 0.95)])


async def test_destinations_in_trouble_do_not_delay_the_others(tmp_path: Path) -> None:
    async with Receiver() as fine, Receiver() as broken, Receiver() as away:
        broken.by_path = {
            "/stalling": stall(2),
            "/dripping": drip(b"x" * 20, 0.2, 500),
            "/resetting": reset(),
            "/failing": answer(500),
            "/locked": answer(401),
            "/busy": answer(429, {"retry-after": "3"}),
        }
        ill = "".join(webhook(path.strip("/"), broken, timeout_s=1) for path in broken.by_path) + webhook("away", away)
        await away.refuse()
        async with running(source() + webhook("fine", fine), tmp_path, drain_s=0.5) as relay:
            await relay.track_many(100)
            await relay.settled("fine")
            alone_s = min([await _p95_s(relay, fine) for _ in range(2)])
            await relay.reload(source() + webhook("fine", fine) + ill)
            await relay.track_many(500, users=100)
            await relay.settled("fine")
            beside_s = min([await _p95_s(relay, fine) for _ in range(3)])  # what else this machine does must not decide
            assert beside_s <= max(2 * alone_s, alone_s + NOISE_S), (alone_s, beside_s)
            assert (await relay.balance("stalling")).pending > 0


async def test_a_user_whose_event_fails_holds_up_nobody_else(tmp_path: Path) -> None:
    async with Receiver() as receiver:

        async def judge(request: object) -> object:
            return await answer(500 if receiver.bodies[-1]["userId"] == "ill" else 200)(request)  # type: ignore[arg-type]

        receiver.default = judge  # type: ignore[assignment]
        async with running(source() + webhook("hook", receiver, first_delay_s=30, max_delay_s=60), tmp_path) as relay:
            ill = [await relay.track("ill") for _ in range(3)]
            sent = await relay.track_many(200, users=20)
            await eventually(lambda: receiver.count == 201)
            assert sorted(body["messageId"] for body in receiver.bodies) == sorted([ill[0], *sent])

            async def waits() -> bool:
                return sorted((row.seq, row.state) for row in await relay.rows("hook", 3)) == [(1, "retry"), (2, "parked"), (3, "parked")]

            await eventually(waits)

            async def three_wait() -> bool:
                return (await relay.balance("hook")).pending == 3

            await eventually(three_wait)


async def test_a_destination_far_behind_does_not_slow_the_tracking_api(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = stall(5)
        async with running(source() + webhook("hook", receiver, timeout_s=1), tmp_path, drain_s=0.2) as relay:
            await relay.track_many(3_000, users=500)
            started = time.monotonic()
            for _ in range(50):
                await relay.track("u1")
            assert time.monotonic() - started < 10
