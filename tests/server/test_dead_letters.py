"""Dead letters: kept with their cause, sent again on demand with the same key, or thrown away; the books stay right."""

import time
from pathlib import Path

import orjson

from relay.access.operator import SIGNAL
from relay.outbox.interface import Selection
from tests.support.app import running, source, webhook
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually


async def test_a_dead_letter_tells_what_was_sent_and_what_came_back(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(422, body=b"price is missing"))
        config = source() + webhook("hook", receiver, settings={"shared_secret": "hidden"})
        async with running(config, tmp_path) as relay:
            message_id = await relay.track("u1")
            await relay.settled("hook")
            (row,) = await relay.dead("hook")
            detail = orjson.loads(row.detail)
            assert detail["response"] == {"status": 422, "body": "price is missing"}
            assert orjson.loads(detail["request"]["body"])["messageId"] == message_id
            assert receiver.requests[0].headers["x-signature"] not in row.detail.decode()


async def test_a_resend_goes_out_with_the_same_key_and_a_new_life(tmp_path: Path) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    async with Receiver() as receiver:
        receiver.script(answer(400))
        async with running(source() + webhook("hook", receiver, settings={"signing_secret": [secret]}), tmp_path) as relay:
            await relay.track("u1")
            await relay.settled("hook")
            receiver.script(answer(500))
            assert await relay.app.operations.resend("hook", Selection(), SIGNAL) == 1
            await relay.settled("hook")
            assert len({request.headers["webhook-id"] for request in receiver.requests}) == 1
            assert len({request.json["messageId"] for request in receiver.requests}) == 1
            assert (receiver.count, await relay.dead("hook")) == (3, [])
            assert await relay.doors("hook") == {"dead": 1, "delivered": 1}
            assert (await relay.balance("hook")).extra == 1


async def test_a_resend_takes_what_the_filter_names(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(answer(400), answer(404), answer(422), answer(400))
        async with running(source() + webhook("hook", receiver, concurrency=1), tmp_path) as relay:
            ids = [await relay.track("u1") for _ in range(4)]
            await relay.settled("hook")
            resend = relay.app.operations.resend
            assert await resend("hook", Selection(code="404"), SIGNAL) == 1
            assert await resend("hook", Selection(seqs=(3,)), SIGNAL) == 1
            assert await resend("hook", Selection(message_ids=(ids[0],)), SIGNAL) == 1
            assert await resend("hook", Selection(since_s=time.time() + 60), SIGNAL) == 0
            await relay.settled("hook")
            assert sorted(body["messageId"] for body in receiver.bodies[4:]) == sorted(ids[:3])
            assert [row.seq for row in await relay.dead("hook")] == [4]


async def test_discarded_letters_are_gone_and_stay_counted_as_dead(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        receiver.script(*[answer(400)] * 3)
        async with running(source() + webhook("hook", receiver), tmp_path) as relay:
            await relay.track_many(3)
            await relay.settled("hook")
            assert await relay.app.operations.discard("hook", Selection(), SIGNAL) == 3
            assert await relay.app.operations.resend("hook", Selection(), SIGNAL) == 0
            assert (await relay.dead("hook"), await relay.doors("hook")) == ([], {"dead": 3})


async def test_dead_letters_and_an_open_resend_survive_a_restart(tmp_path: Path) -> None:
    async with Receiver() as receiver:
        config = source() + webhook("hook", receiver, first_delay_s=1, max_delay_s=2)
        receiver.script(answer(400), answer(404))
        async with running(config, tmp_path) as relay:
            ids = [await relay.track("u1") for _ in range(2)]
            await relay.settled("hook")
        async with running(config, tmp_path) as relay:
            assert sorted(row.code for row in await relay.dead("hook")) == ["400", "404"]
            async with receiver.away():
                assert await relay.app.operations.resend("hook", Selection(code="404"), SIGNAL) == 1

                async def failed() -> bool:
                    return any(row.attempts for row in await relay.rows("hook") if row.state == "retry")

                await eventually(failed)
                await relay.stop()
        async with running(config, tmp_path) as relay:
            await relay.settled("hook")
            assert [body["messageId"] for body in receiver.bodies] == [*ids, ids[1]]
            assert [row.code for row in await relay.dead("hook")] == ["400"]


async def test_a_bug_of_one_subscription_leaves_the_other_delivered(tmp_path: Path) -> None:
    good = {"name": "good", "trigger": 'type = "track"', "fields": {"data": {"by": "good"}}}
    bad = {"name": "bad", "trigger": 'type = "track"', "fields": {"url": {"@path": "$.properties.url"}}}
    async with Receiver() as receiver, running(source() + webhook("hook", receiver, good, bad), tmp_path) as relay:
        await relay.track("u1", url="ftp://nowhere")
        await relay.settled("hook")
        (row,) = await relay.dead("hook")
        assert (row.subscription_id, row.code) == ("bad", "PAYLOAD_VALIDATION_FAILED")
        assert (receiver.bodies, await relay.doors("hook")) == ([{"by": "good"}], {"dead": 1, "delivered": 1})
