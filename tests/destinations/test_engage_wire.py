"""A batch of which the far side refuses one event, over a real socket: that event is dead, the others are delivered: at once, or by another request."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.app import running, source, table
from tests.support.receiver import Receiver, answer
from tests.support.waiting import eventually

LIMIT_S = 15
BRAZE = {"errors": [{"type": "bad", "input_array": "events", "index": 1}]}
KLAVIYO = {"errors": [{"detail": "bad", "source": {"pointer": "/data/attributes/events-bulk-create/data/1/attributes"}}]}
PROFILE = {"profile": {"external_id": {"@path": "$.userId"}}}


@pytest.mark.parametrize(
    ("slug", "settings", "where", "reply", "fields"),
    [
        ("customerio", {"siteId": "s", "apiKey": "k"}, "/api/v2/batch", (207, {"errors": [{"batch_index": 1, "message": "bad"}]}), {}),
        ("braze", {"api_key": "k"}, "/users/track", (201, BRAZE), {}),
        ("iterable", {"apiKey": "k"}, "/api/events/trackBulk", (200, {"invalidUserIds": ["u-1"]}), {}),
        ("klaviyo", {"api_key": "k"}, "/api/event-bulk-create-jobs/", (400, KLAVIYO), PROFILE),
    ],
)
async def test_one_event_of_a_batch_is_refused(
    slug: str, settings: dict[str, Any], where: str, reply: tuple[int, Any], fields: dict[str, Any], tmp_path: Path
) -> None:
    async with Receiver() as receiver:
        options = {"slug": "it", "type": slug, "sources": ["web"], "endpoint": receiver.url, "allow_private": receiver.allow, "first_delay_s": 0.05}
        mapping = {"name": "events", "action": "trackEvent", "trigger": 'type = "track"', "fields": fields}
        text = source() + table("destination", options | {"settings": settings}) + table("destination.mapping", mapping)
        async with running(text, tmp_path) as relay:
            receiver.script(answer(reply[0], body=json.dumps(reply[1]).encode()))
            events = [
                {"type": "track", "event": "Paid", "userId": f"u-{number}", "messageId": f"m-{number}", "properties": {}} for number in range(3)
            ]
            assert await relay.send(events) == 200

            async def settled() -> list[str]:
                states = []
                for number in range(3):
                    told = (await relay.app.why.by_message(f"m-{number}"))[0]["destinations"]
                    states.append(next(one["state"] for one in told if one["slug"] == "it"))
                assert set(states) <= {"delivered", "dead"}, states
                return states

            assert await eventually(settled, LIMIT_S, every_s=0.05) == ["delivered", "dead", "delivered"]
            assert receiver.requests[0].path == where
            assert (receiver.count == 1) == (reply[0] < 300)
