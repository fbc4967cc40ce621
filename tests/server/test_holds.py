"""Hold, never drop: who holds a destination decides how the hold ends, and what waits is delivered afterwards, in order."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from relay.access.operator import SIGNAL
from relay.app import Seams
from tests.support.app import FastClock, Running, running, source, webhook
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually

PROBE_S = 8.0
"""Later than the first probe, whatever the jitter."""


@pytest.mark.parametrize(("status", "code"), [(401, "credentials"), (403, "credentials"), (410, "gone")])
async def test_a_receiver_that_refuses_relay_is_held_and_goes_on_by_itself(status: int, code: str, tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.default = answer(status, body=b"go away")
        async with running(source() + webhook("hook", receiver, concurrency=4), tmp_path, seams=Seams(clock=clock)) as relay:
            sent = await relay.track_many(40, users=8)
            await relay.held("hook", code)
            hold = await relay.hold("hook")
            assert (hold["by"], hold["status"], hold["sample"]) == ("relay", status, "go away")
            tries = receiver.count
            assert tries <= 4
            clock.advance(PROBE_S)
            await eventually(lambda: receiver.count == tries + 1)
            balance = await relay.balance("hook")
            assert (balance.pending, await relay.doors("hook")) == (40, {})
            receiver.default = answer()
            clock.advance(2 * PROBE_S)
            await relay.settled("hook")
            assert await relay.hold("hook") == {}
            good = [body["messageId"] for body in receiver.bodies[tries + 1 :]]
            assert sorted(good) == sorted(sent)
            assert await relay.doors("hook") == {"delivered": 40}


async def test_the_first_probe_comes_after_about_five_seconds(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(401))
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("hook")
            assert 3.9 <= receiver.requests[1].at - receiver.requests[0].at <= 12


async def test_a_refused_address_holds_and_a_changed_configuration_releases(tmp_path: Path) -> None:
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, allow_private=[]), tmp_path) as relay:
        await relay.track_many(5)
        await relay.held("hook", "blocked_address")
        assert receiver.count == 0
        await relay.reload(source() + webhook("hook", receiver))
        await relay.settled("hook", timeout_s=4)
        assert (receiver.count, await relay.hold("hook")) == (5, {})


async def test_changed_settings_release_a_hold_of_relays_own_at_once(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.by_path = {"/old": answer(401)}
        async with running(source() + webhook("hook", receiver, settings={"url": f"{receiver.url}/old"}), tmp_path) as relay:
            await relay.track_many(5)
            await relay.held("hook", "credentials")
            await relay.reload(source() + webhook("hook", receiver, settings={"url": f"{receiver.url}/new"}))
            await relay.settled("hook", timeout_s=4)
            assert await relay.doors("hook") == {"delivered": 5}


async def test_a_person_holds_and_only_a_person_ends_it(tmp_path: Path) -> None:
    clock = FastClock()
    config: Callable[[int], str] = lambda number: source() + webhook("hook", receiver, concurrency=number)  # noqa: E731
    async with Receiver() as receiver:
        async with running(config(2), tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.app.operations.hold("hook", SIGNAL)
            await relay.track_many(5)
            clock.advance(400)
            await relay.reload(source() + webhook("hook", receiver, settings={"shared_secret": "new"}))
            await _still(relay, receiver, 5)
        async with running(config(3), tmp_path, seams=Seams(clock=clock)) as relay:
            await _still(relay, receiver, 5)
            assert (await relay.hold("hook"))["by"] == "user"
            await relay.app.operations.resume("hook", SIGNAL)
            await relay.settled("hook", timeout_s=4)
            assert receiver.count == 7


async def _still(relay: Running, receiver: Receiver, pending: int) -> None:
    """Longer than an idle actor sleeps: nothing goes."""
    await relay.track("other")  # wakes it
    with pytest.raises(AssertionError):
        await eventually(lambda: receiver.count, 1.2)
    assert (await relay.balance("hook")).pending >= pending


async def test_a_person_resumes_what_relay_held(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(401))
        async with running(source() + webhook("hook", receiver, concurrency=1), tmp_path) as relay:
            await relay.track("u1")
            await relay.held("hook", "credentials")
            await relay.app.operations.resume("hook", SIGNAL)
            await relay.settled("hook", timeout_s=3)
            assert receiver.count == 2


async def test_twenty_refusals_of_one_kind_in_a_row_hold_and_can_be_sent_again(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.default = answer(404)
        async with running(source() + webhook("hook", receiver, concurrency=1), tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.track_many(30)
            await relay.held("hook", "refused")
            assert await relay.doors("hook") == {"dead": 20}
            receiver.default = answer()
            clock.advance(PROBE_S)
            await relay.settled("hook")
            assert await relay.doors("hook") == {"dead": 20, "delivered": 10}


async def test_many_400s_hold_nothing(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.default = answer(400)
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            await relay.track_many(30)
            await relay.settled("hook")
            assert (await relay.doors("hook"), await relay.hold("hook")) == ({"dead": 30}, {})


async def test_one_event_that_a_firewall_refuses_does_not_hold_the_rest_for_ever(tmp_path: Path) -> None:
    """Each probe takes another event, so the rest goes on, and the one that was refused while others succeeded dies at last."""
    clock = FastClock()
    async with Receiver() as receiver:

        async def firewall(request: Any) -> Any:
            return await answer(403 if receiver.bodies[-1]["userId"] == "evil" else 200)(request)

        receiver.default = firewall
        config = source() + webhook("hook", receiver, concurrency=2, min_attempts=3)
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            evil = await relay.track("evil")
            sent: list[str] = []

            async def over() -> bool:
                sent.append(await relay.track(f"good{len(sent)}"))
                clock.advance(PROBE_S * 2)
                return bool(await relay.dead("hook"))

            await eventually(over, 20, every_s=0.3)
            clock.advance(400)
            await relay.settled("hook")
            (row,) = await relay.dead("hook")
            assert (row.seq, row.code, row.status) == (1, "credentials", 403)
            taken = {body["messageId"] for body in receiver.bodies} - {evil}
            assert taken == set(sent)


async def test_the_time_in_a_hold_does_not_count_towards_giving_up(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.script(answer(500), answer(401))
        config = source() + webhook("hook", receiver, concurrency=1, give_up_after_s=100, min_attempts=2)
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.track("u1")
            await relay.held("hook", "credentials")
            receiver.script(answer(), answer(500))
            await relay.track("u2")
            clock.advance(5_000)
            await relay.settled("hook")
            assert (await relay.doors("hook"), await relay.dead("hook")) == ({"delivered": 2}, [])


async def test_a_hold_survives_a_restart(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.default = answer(401)
        config = source() + webhook("hook", receiver)
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.track("u1")
            await relay.held("hook", "credentials")
        tries = receiver.count
        receiver.default = answer()
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            await _still_at(receiver, tries)
            clock.advance(2 * PROBE_S)
            await relay.settled("hook")
            assert receiver.count == tries + 1


async def _still_at(receiver: Receiver, count: int) -> None:
    with pytest.raises(AssertionError):
        await eventually(lambda: receiver.count != count, 0.5)
