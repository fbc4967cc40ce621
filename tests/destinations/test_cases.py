"""Every destination's own cases and the captured ones, through trigger, mapping and action: the exact requests."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.cli.trial import differences, run_case
from relay.destinations import load_catalog

ROOT = Path(__file__).resolve().parents[2]
CAPTURES = sorted((ROOT / "tests/data/destinations").glob("*.json"))
OWN = sorted((ROOT / "relay/destinations").glob("*/cases.json"))
CATALOG = load_catalog()
OTHERWISE = {
    **{
        f"facebook-conversions-api-d0{number}": "event_time goes as Unix seconds, as Meta documents it; the rest is checked in cases.json"
        for number in (1, 2, 3)
    },
    "slack-d02": "an object in a template is printed as JSON; the reference prints [object Object]",
}
"""Captured cases that relay answers otherwise, on purpose, with the reason."""


def cases(files: list[Path]) -> list[Any]:
    found = [case for file in files for case in json.loads(file.read_text())]
    return [pytest.param(case, id=str(case["id"])) for case in found if case["destination"] in CATALOG]


@pytest.mark.parametrize("case", cases(CAPTURES))
async def test_a_captured_case(case: dict[str, Any]) -> None:
    result = await run_case(case, CATALOG)
    if case["id"] in OTHERWISE:
        assert differences(case, result), "it passes now: take it off the list"
    else:
        assert differences(case, result) == []


@pytest.mark.parametrize("case", cases(OWN))
async def test_a_case_of_its_own(case: dict[str, Any]) -> None:
    assert differences(case, await run_case(case, CATALOG)) == []


async def test_of_a_stream_the_events_are_shown_that_it_is_handed() -> None:
    event = {"type": "track", "event": "Bought", "userId": "u1", "messageId": "m1"}
    result = await run_case({"destination": "kafka", "settings": {"brokers": ["127.0.0.1:9"], "topic": "t"}, "event": event}, CATALOG)
    (delivery,) = result["deliveries"]
    assert (delivery["outcome"], delivery["requests"], delivery["events"]) == ("sent", [], [event])


TAKEN_APART = {"out-d20": ["delivered", "dead", "delivered"]}
"""Batches of which the answer names the events that failed: the reference fails all of them, relay those."""
OUTCOMES = json.loads((ROOT / "tests/data/outcomes.json").read_text())


@pytest.mark.parametrize("case", [pytest.param(case, id=case["id"]) for case in OUTCOMES if case["destination"] in CATALOG])
async def test_what_an_answer_means(case: dict[str, Any]) -> None:
    """As the reference, but for what relay decides otherwise (reliability page 3): 401, 403 and 410 hold, 3xx is dead, more is retried."""
    events = case.get("events") or [case["event"]]
    asked = {
        "id": case["id"], "destination": case["destination"], "settings": case["settings"], "answers": [case["answer"]] * 10, "events": events,
        "subscriptions": [{"action": case["action"], "overrides": case.get("overrides", {})}],
    }  # fmt: skip
    result = await run_case(asked, CATALOG)
    told = [item for delivery in result["deliveries"] for item in delivery["results"]]
    if case["id"] in TAKEN_APART:
        assert [item["result"] for item in told] == TAKEN_APART[case["id"]]
    elif "items" in case:
        assert [item["result"] == "delivered" for item in told] == [item["status"] == 200 for item in case["items"]]
    elif case["result"] == "delivered":
        assert [item["result"] for item in told] == ["delivered"]
    else:
        assert told[0]["result"] == ("hold" if case["status"] in (401, 403, 410) else "retry" if case["retryable"] else "dead")
