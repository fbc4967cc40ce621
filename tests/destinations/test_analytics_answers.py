"""What the answers of the analytics destinations mean, item by item."""

from typing import Any

import pytest

from relay.cli.trial import run_case
from relay.destinations import load_catalog

CATALOG = load_catalog()
POSTHOG = {"api_key": "phc_key"}
TIMES = {"timestamp": "2026-03-04T10:11:12.000Z", "receivedAt": "2026-03-04T10:11:13.000Z"}


def track(number: int, **more: Any) -> dict[str, Any]:
    return {"type": "track", "messageId": f"m-{number}", "userId": f"user-{number}", "event": "Tea Poured", **TIMES, **more}


async def results(case: dict[str, Any]) -> list[dict[str, Any]]:
    """What became of each event of a case with one subscription."""
    (delivery,) = (await run_case({"id": "answer", **case}, CATALOG))["deliveries"]
    told: list[dict[str, Any]] = delivery["results"]
    return told


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (200, {"status": 1}, "delivered"),
        (200, '"Ok"', "delivered"),
        (200, {"status": 1, "quota_limited": ["recordings"]}, "delivered"),
        (200, {"status": 1, "quota_limited": ["events"]}, "hold"),
        (200, "quota_limited", "delivered"),
        (400, {"type": "validation_error"}, "dead"),
        (401, {}, "hold"),
        (429, {}, "retry"),
        (503, {}, "retry"),
    ],
)
@pytest.mark.parametrize("kind_of_call", ["track", "identify"])
async def test_posthog(status: int, body: Any, kind: str, kind_of_call: str) -> None:
    event = track(1) if kind_of_call == "track" else {**track(1), "type": "identify", "traits": {"plan": "gold"}}
    (told,) = await results({"destination": "posthog", "settings": POSTHOG, "event": event, "answers": [{"status": status, "body": body}]})
    assert told["result"] == kind


async def test_heap_sends_no_event_when_the_properties_were_refused() -> None:
    case = {
        "destination": "heap", "settings": {"appId": "1"}, "event": track(1, anonymousId="anon-1"), "answers": [{"status": 503}, {"status": 200}],
        "subscriptions": [{"action": "trackEvent", "overrides": {"identity": {"@path": "$.userId"}}}],
    }  # fmt: skip
    (delivery,) = (await run_case(case, CATALOG))["deliveries"]
    assert [request["path"] for request in delivery["requests"]] == ["/api/add_user_properties"]
    assert [item["result"] for item in delivery["results"]] == ["retry"]
