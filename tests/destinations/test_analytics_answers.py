"""What the answers of the analytics destinations mean, item by item."""

from typing import Any

import pytest

from relay.cli.trial import run_case
from relay.destinations import load_catalog
from relay.destinations.amplitude.device import device_of
from relay.errors import Retryable
from relay.kit.request import Response

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


AMPLITUDE = {"apiKey": "key"}


@pytest.mark.parametrize(
    ("answer", "kinds"),
    [
        ({"status": 200, "body": {"code": 200, "events_ingested": 3}}, ["delivered"] * 3),
        ({"status": 400, "body": {"code": 400, "events_with_invalid_fields": {"time": [1]}}}, ["retry", "dead", "retry"]),
        (
            {"status": 400, "body": {"code": 400, "events_with_missing_fields": {"event_type": [0]}, "silenced_events": [2]}},
            ["dead", "retry", "dead"],
        ),
        ({"status": 400, "body": {"code": 400, "events_with_invalid_id_lengths": {"user_id": [0, 1, 2]}}}, ["dead"] * 3),
        ({"status": 400, "body": {"code": 400, "error": "Request missing required field", "missing_field": "api_key"}}, ["split"] * 3),
        ({"status": 400, "body": {"code": 400, "error": "Invalid API key: key"}}, ["hold"] * 3),
        ({"status": 400, "body": {"events_with_invalid_fields": [1], "silenced_events": {"0": 1}}}, ["split"] * 3),
        ({"status": 400, "body": "no JSON"}, ["split"] * 3),
        ({"status": 413, "body": {"code": 413}}, ["split"] * 3),
        ({"status": 429, "body": {"code": 429, "throttled_users": {"user-1": 31}}}, ["retry"] * 3),
        ({"status": 429, "body": {"code": 429}}, ["retry"] * 3),
        ({"status": 503, "body": ""}, ["retry"] * 3),
    ],
)
async def test_a_batch_of_events_at_amplitude(answer: dict[str, Any], kinds: list[str]) -> None:
    events = [track(1), track(2), track(3)]
    case = {"destination": "amplitude", "settings": AMPLITUDE, "subscriptions": {"actions": ["logEventV2"]}, "events": events, "answers": [answer]}
    assert [told["result"] for told in await results(case)] == kinds


async def test_an_order_is_refused_at_amplitude_with_any_of_its_products() -> None:
    events = [track(1, properties=TWO_PRODUCTS), track(2), track(3, properties=TWO_PRODUCTS)]
    case = {"destination": "amplitude", "settings": AMPLITUDE, "subscriptions": {"actions": ["logPurchase"]}, "events": events}
    told = await results({**case, "answers": [{"status": 400, "body": {"events_with_invalid_fields": {"price": [5]}}}]})
    assert [item["result"] for item in told] == ["retry", "retry", "dead"]


def test_what_is_short_at_amplitude_waits_half_a_minute() -> None:
    read_answer = CATALOG["amplitude"].actions["logEventV2"].read_answer
    assert read_answer is not None
    with pytest.raises(Retryable) as caught:
        read_answer([], Response(429, {}, b'{"code": 429}'))
    assert caught.value.retry_after_s == 30
    assert read_answer([], Response(429, {"retry-after": "5"}, b'{"code": 429}')) is None


@pytest.mark.parametrize(
    ("agent", "told"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36 Edg/120.0.2210.91",
            {"os_name": "Windows", "os_version": "120", "device_model": "Windows"},
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 16_6 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.6 Mobile/15E148 Safari/604.1",
            {"os_name": "iOS", "os_version": "16", "device_manufacturer": "Apple", "device_model": "iPad", "device_type": "tablet"},
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; SM-X700) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            {"os_name": "Android", "os_version": "120", "device_manufacturer": "Samsung", "device_model": "SM-X700", "device_type": "tablet"},
        ),
        (
            "Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/124.0.0.0 Mobile Safari/537.36",
            {"os_name": "Android", "os_version": "124", "device_model": "K", "device_type": "mobile"},
        ),
        (
            "Mozilla/5.0 (X11; CrOS x86_64 14541.0.0) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            {"os_name": "Chromium OS", "os_version": "120", "device_model": "Chromium OS"},
        ),
        ("curl/8.1.2", {}),
        ("Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)", {}),
        ("\x00" * 50, {}),
    ],
)
def test_what_a_user_agent_tells_amplitude(agent: str, told: dict[str, str]) -> None:
    assert dict(device_of(agent)) == told
