"""What the answers of Customer.io, Braze, Iterable, Klaviyo and Loops say of each event, and the steps that follow an answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from relay.cli.trial import run_case
from relay.destinations import load_catalog

CATALOG = load_catalog()
SETTINGS: Mapping[str, dict[str, Any]] = {
    "customerio": {"siteId": "site", "apiKey": "key"},
    "loops": {"apiKey": "key"},
}


def track(number: int, properties: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return {
        "type": "track", "event": "Chapter Finished", "messageId": f"m-{number}", "userId": f"u-{number}", "properties": properties or {},
        "timestamp": "2026-01-10T09:11:05.250Z", "receivedAt": "2026-01-10T09:59:06.480Z",
    } | more  # fmt: skip


def answer(status: int, body: Any = None, **headers: str) -> dict[str, Any]:
    return {"status": status, "body": {} if body is None else body, "headers": headers}


async def deliver(destination: str, action: str, events: Sequence[dict[str, Any]], *answers: Mapping[str, Any], **overrides: Any) -> Any:
    """The one delivery of `events` by an action with its default mapping, changed by `overrides`; `type` is the trigger."""
    kind = events[0]["type"]
    case = {
        "id": "it", "destination": destination, "settings": SETTINGS[destination], "now": "2026-01-15T12:00:00.000Z", "events": events,
        "subscriptions": [{"action": action, "trigger": f'type = "{kind}"', "mapping": "default", "overrides": overrides}], "answers": answers,
    }  # fmt: skip
    return (await run_case(case, CATALOG))["deliveries"][0]


def results(delivery: Any) -> list[str]:
    return [one["result"] for one in delivery["results"]]


async def test_customerio_names_the_operations_that_it_refuses() -> None:
    refusal = {"errors": [{"batch_index": 1, "reason": "invalid", "field": "name", "message": "too long"}]}
    delivery = await deliver("customerio", "trackEvent", [track(1), track(2), track(3)], answer(207, refusal))
    assert results(delivery) == ["delivered", "dead", "delivered"]
    assert delivery["results"][1]["message"] == "Customer.io refuses it: name: too long"


@pytest.mark.parametrize("body", [{}, {"errors": []}, {"errors": None}, {"errors": [{"batch_index": 9}, "odd"]}, '"errors"', '{"errors": ['])
async def test_customerio_has_taken_what_it_does_not_name(body: Any) -> None:
    assert results(await deliver("customerio", "trackEvent", [track(1), track(2)], answer(200, body))) == ["delivered"] * 2


@pytest.mark.parametrize(("status", "result"), [(400, "split"), (429, "retry"), (500, "retry"), (401, "hold")])
async def test_customerio_decides_for_the_whole_batch_by_its_status(status: int, result: str) -> None:
    assert results(await deliver("customerio", "trackEvent", [track(1), track(2)], answer(status))) == [result] * 2


async def test_loops_takes_a_repeat_for_delivered_and_a_false_success_for_a_refusal() -> None:
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(409, {"success": False}))) == ["delivered"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, {"success": False, "message": "no"}))) == ["dead"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, {"success": True}))) == ["delivered"]
    assert results(await deliver("loops", "sendEvent", [track(1)], answer(200, "fine"))) == ["delivered"]
