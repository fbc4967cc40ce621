"""A receiver that fails: nothing is lost, nothing waits longer than it must, and each kind of failure ends as the verdict table says."""

from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from relay.app import Seams
from tests.support.app import FastClock, running, source, webhook
from tests.support.receiver import Behaviour, Receiver, answer, drip, half_answer, half_head, raw, redirect, reset, stall
from tests.support.waiting import eventually

RETRIED: dict[str, Callable[[], Behaviour]] = {
    "408": lambda: answer(408),
    "425": lambda: answer(425),
    "429": lambda: answer(429),
    "500": lambda: answer(500),
    "503 with a long body": lambda: answer(503, body=b"x" * 200_000),
    "a reset": reset,
    "a stall": lambda: stall(2),
    "a head that breaks off": half_head,
    "no HTTP": lambda: raw(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "half a 500": lambda: half_answer(500),
    "a dripping 500": lambda: drip(b"slow failure", 0.1, 500),
}


@pytest.mark.parametrize("name", RETRIED)
async def test_a_failure_that_may_pass_is_tried_again_until_it_does(name: str, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(RETRIED[name](), RETRIED[name]())
        async with running(source() + webhook("hook", receiver, timeout_s=0.3), tmp_path) as relay:
            message_id = await relay.track("u1")
            await relay.settled("hook")
            assert [body["messageId"] for body in receiver.bodies] == [message_id] * 3
            assert await relay.doors("hook") == {"delivered": 1}
            ((_, first), (_, second), (_, third)) = await relay.app.outbox.history.timeline(1)
            assert [(each.attempt, each.result) for each in (first, second, third)] == [(1, "retry"), (2, "retry"), (3, "delivered")]


@pytest.mark.parametrize("behaviour", [lambda: drip(b"slow but fine", 0.1), half_answer], ids=["dripping", "half"])
async def test_an_answer_whose_head_says_200_is_delivered_however_its_body_ends(behaviour: Callable[[], Behaviour], tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(behaviour())
        async with running(source() + webhook("hook", receiver, timeout_s=0.3), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("hook")
            assert (receiver.count, await relay.doors("hook")) == (1, {"delivered": 1})


async def test_a_receiver_that_is_away_gets_everything_when_it_is_back(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver, running(source() + webhook("hook", receiver), tmp_path, seams=Seams(clock=clock)) as relay:
        async with receiver.away():
            sent = await relay.track_many(300, users=40)
            await eventually(lambda: relay.app.supervisor.actors["hook"].gate and relay.app.supervisor.actors["hook"].gate.breaker == "open", 15)
            balance = await relay.balance("hook")
            assert (balance.holds, balance.pending) == (True, 300)
            assert 'relay_breaker_state{destination="hook",state="open"} 1.0' in await relay.metrics()
        clock.advance(400)
        await relay.settled("hook")
        metrics = await relay.metrics()
        assert 'relay_breaker_state{destination="hook",state="closed"} 1.0' in metrics
        for state in ("open", "half_open", "closed"):
            assert f'relay_breaker_changes_total{{destination="hook",state="{state}"}}' in metrics
        assert sorted(body["messageId"] for body in receiver.bodies) == sorted(sent)
        assert await relay.doors("hook") == {"delivered": 300}


DEAD = {"400": 400, "404": 404, "422": 422, "501": 501}


@pytest.mark.parametrize("status", DEAD.values(), ids=DEAD)
async def test_a_refused_event_is_dead_after_one_try_and_the_next_goes_on(status: int, tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(status, body=b"no"))
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            await relay.track("u1")
            await relay.track("u1")
            await relay.settled("hook")
            assert (receiver.count, await relay.doors("hook")) == (2, {"dead": 1, "delivered": 1})
            (row,) = await relay.dead("hook")
            assert (row.seq, row.code, row.status, row.attempts) == (1, str(status), status, 1)


async def test_a_redirect_is_not_followed_and_the_address_behind_it_hears_nothing(tmp_path: Path) -> None:
    async with Receiver() as receiver, Receiver() as hidden:
        receiver.script(redirect(f"{hidden.url}/latest/meta-data"), redirect("http://169.254.169.254/", 307))
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            await relay.track("u1")
            await relay.track("u2")
            await relay.settled("hook")
            assert [row.code for row in await relay.dead("hook")] == ["redirect", "redirect"]
        assert (receiver.count, hidden.count) == (2, 0)


def _date(seconds: int) -> str:
    return formatdate(1_700_000_000 + seconds, usegmt=True)


AFTER = {
    "seconds": {"retry-after": "1"},
    "decimal": {"retry-after": "0.9"},
    "date": {"date": _date(0), "retry-after": _date(1)},
}


@pytest.mark.parametrize("headers", AFTER.values(), ids=AFTER)
async def test_retry_after_pauses_the_whole_destination(headers: dict[str, str], tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(429, headers))
        async with running(source() + webhook("hook", receiver, concurrency=1), tmp_path) as relay:
            await relay.track("u1")
            await eventually(lambda: receiver.count == 1)
            await relay.track_many(5)
            await relay.settled("hook")
            assert receiver.requests[1].at - receiver.requests[0].at >= 0.85
            assert (receiver.count, await relay.doors("hook")) == (7, {"delivered": 6})


async def test_an_endless_retry_after_waits_one_hour_at_most(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        receiver.script(answer(429, {"retry-after": "31536000"}))
        async with running(source() + webhook("hook", receiver), tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.track("u1")
            await eventually(lambda: receiver.count == 1)
            (row,) = await eventually(lambda: relay.rows("hook"))
            assert 3590 < row.due_s - clock.now() <= 3600
            clock.advance(3500)
            await relay.track("u2")
            assert (await relay.balance("hook")).pending == 2
            clock.advance(110)
            await relay.settled("hook")
            assert (receiver.count, await relay.doors("hook")) == (3, {"delivered": 2})


async def test_what_failed_too_long_and_too_often_is_dead_with_its_last_code(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(500), answer(500), answer(503))
        async with running(source() + webhook("hook", receiver, give_up_after_s=0, min_attempts=3), tmp_path) as relay:
            await relay.track("u1")
            await relay.track("u1")
            await relay.settled("hook")
            (row,) = await relay.dead("hook")
            assert (row.code, row.attempts, receiver.count) == ("503", 3, 4)


async def test_the_schedule_survives_a_restart(tmp_path: Path) -> None:
    clock = FastClock()
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver, schedule_s=[100, 200])
        receiver.script(answer(500), answer(500))
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.track("u1")
            (before,) = await eventually(lambda: relay.rows("hook"))
        clock.advance(50)
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            (after,) = await relay.rows("hook")
            assert (after.attempts, after.due_s, after.first_s) == (1, before.due_s, before.first_s)
            assert receiver.count == 1
            clock.advance(80)
            await eventually(lambda: receiver.count == 2)

            async def twice() -> bool:
                return [row.attempts for row in await relay.rows("hook")] == [2]

            await eventually(twice)
            (second,) = await relay.rows("hook")
            assert 150 < second.due_s - clock.now() < 250
        clock.advance(250)
        async with running(config, tmp_path, seams=Seams(clock=clock)) as relay:
            await relay.settled("hook")
            assert (receiver.count, await relay.doors("hook")) == (3, {"delivered": 1})


async def test_a_refused_batch_is_halved_until_the_bad_event_is_alone(tmp_path: Path) -> None:
    mapping = {"action": "send", "trigger": 'type = "track"', "fields": {"enable_batching": True, "batch_size": 32}}
    async with Receiver() as receiver:

        async def judge(request: object) -> object:
            bad = any(event["properties"]["n"] == 17 for event in receiver.bodies[-1])
            return await answer(400 if bad else 200)(request)  # type: ignore[arg-type]

        receiver.default = judge  # type: ignore[assignment]
        async with running(source() + webhook("hook", receiver, mapping, concurrency=1), tmp_path) as relay:
            await relay.track_many(32)
            await relay.settled("hook")
            assert await relay.doors("hook") == {"dead": 1, "delivered": 31}
            assert [row.seq for row in await relay.dead("hook")] == [18]
            assert receiver.count <= 20
