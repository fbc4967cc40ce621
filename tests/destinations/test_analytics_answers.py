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


MIXPANEL = {"projectToken": "token", "apiSecret": "secret"}
TWO_PRODUCTS = {"products": [{"product_id": "p-1", "price": 2}, {"product_id": "p-2", "price": 3}]}


def refused(*indexes: int) -> dict[str, Any]:
    """Mixpanel's answer to an import of which some events are refused."""
    records = [{"index": index, "insert_id": "x", "field": "properties.time", "message": "is too old"} for index in indexes]
    return {"status": 400, "body": {"code": 400, "error": "some data points in the request failed validation", "failed_records": records}}


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ({"status": 200, "body": {"code": 200, "num_records_imported": 3, "status": "OK"}}, ["delivered"] * 3),
        (refused(1), ["delivered", "dead", "delivered"]),
        (refused(0, 2), ["dead", "delivered", "dead"]),
        (refused(7), ["delivered"] * 3),
        (refused(), ["split"] * 3),
        ({"status": 400, "body": "no JSON"}, ["split"] * 3),
        ({"status": 400, "body": [1]}, ["split"] * 3),
        ({"status": 413, "body": {}}, ["split"] * 3),
        ({"status": 401, "body": {}}, ["hold"] * 3),
        ({"status": 429, "body": {}}, ["retry"] * 3),
    ],
)
async def test_a_batch_of_events_at_mixpanel(answer: dict[str, Any], kinds: list[str]) -> None:
    events = [track(1), track(2), track(3)]
    case = {"destination": "mixpanel", "settings": MIXPANEL, "subscriptions": {"actions": ["trackEvent"]}, "events": events, "answers": [answer]}
    assert [told["result"] for told in await results(case)] == kinds


async def test_an_order_is_refused_with_any_of_its_products() -> None:
    events = [track(1, properties=TWO_PRODUCTS), track(2), track(3, properties=TWO_PRODUCTS)]
    case = {"destination": "mixpanel", "settings": MIXPANEL, "subscriptions": {"actions": ["trackPurchase"]}, "events": events}
    told = await results({**case, "answers": [refused(5)]})
    assert [item["result"] for item in told] == ["delivered", "delivered", "dead"]


@pytest.mark.parametrize(
    ("answers", "kind", "paths"),
    [
        ([(200, "1"), (200, "1")], "delivered", ["/track", "/engage"]),
        ([(200, {"status": 1}), (200, {"status": 1, "error": None})], "delivered", ["/track", "/engage"]),
        ([(200, "0")], "dead", ["/track"]),
        ([(503, "")], "retry", ["/track"]),
        ([(200, "1"), (200, "0")], "dead", ["/track", "/engage"]),
        ([(200, "1"), (200, {"status": 0, "error": "token, missing or empty"})], "dead", ["/track", "/engage"]),
        ([(200, "1"), (429, "")], "retry", ["/track", "/engage"]),
    ],
)
async def test_an_identify_at_mixpanel(answers: list[tuple[int, Any]], kind: str, paths: list[str]) -> None:
    event = {**track(1), "type": "identify", "anonymousId": "anon-1", "traits": {"plan": "gold"}}
    case = {
        "destination": "mixpanel",
        "settings": MIXPANEL,
        "event": event,
        "answers": [{"status": status, "body": body} for status, body in answers],
    }
    (delivery,) = (await run_case(case, CATALOG))["deliveries"]
    assert [request["path"] for request in delivery["requests"]] == paths
    assert [item["result"] for item in delivery["results"]] == [kind]


async def test_an_insert_id_that_mixpanel_does_not_take_is_hashed_the_same_each_time() -> None:
    event = track(1) | {"messageId": "ajs-next-1767225600000-7f1c0a52-93a4-4f64-a9a4-7d3c5bd6f0aa"}
    case = {"destination": "mixpanel", "settings": MIXPANEL, "event": event}
    first, second = [(await run_case(case, CATALOG))["deliveries"][0]["requests"][0]["json"][0]["properties"]["$insert_id"] for _ in range(2)]
    assert first == second
    assert len(first) == 32
