"""What TikTok and Meta mean by their answers: 200 that is no success, 400 that is no bad event."""

import json
from pathlib import Path
from typing import Any

import pytest

from relay.cli.trial import run_case
from relay.destinations import load_catalog

ROOT = Path(__file__).resolve().parents[2]
CATALOG = load_catalog()


async def results(folder: str, answers: list[dict[str, Any]], count: int = 1) -> list[dict[str, Any]]:
    """What became of each event of a destination's batch case, cut to `count` events."""
    cases = json.loads((ROOT / "relay/destinations" / folder / "cases.json").read_text())
    case = next(case for case in cases if case["id"].endswith("-own-batch"))
    result = await run_case(case | {"answers": answers, "events": case["events"][:count]}, CATALOG)
    return [item for delivery in result["deliveries"] for item in delivery["results"]]


def meta(status: int, **error: Any) -> dict[str, Any]:
    return {"status": status, "body": {"error": {"message": "told why"} | error}}


def tiktok(code: int) -> dict[str, Any]:
    return {"status": 200, "body": {"code": code, "message": "told why"}}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (tiktok(0), "delivered"),
        ({"status": 200, "body": {}}, "delivered"),
        ({"status": 200, "body": "no JSON"}, "delivered"),
        (tiktok(40_002), "dead"),
        (tiktok(40_001), "hold"),
        (tiktok(40_105), "hold"),
        (tiktok(40_100), "retry"),
        (tiktok(50_000), "retry"),
        ({"status": 400, "body": {"code": 40_100}}, "dead"),
    ],
)
async def test_the_code_in_the_body_decides_at_tiktok(answer: dict[str, Any], expected: str) -> None:
    assert [item["result"] for item in await results("tiktok_conversions", [answer])] == [expected]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"status": 200, "body": {"events_received": 1}}, "delivered"),
        (meta(400, code=190), "hold"),
        (meta(400, code=100, error_subcode=33), "hold"),
        (meta(400, code=100, error_subcode=2_804_003), "dead"),
        (meta(400, code=4), "retry"),
        (meta(400, code=80_004), "retry"),
        (meta(400, code=2, is_transient=True), "retry"),
        (meta(500, code=1), "retry"),
        ({"status": 400, "body": "no JSON"}, "dead"),
    ],
)
async def test_the_code_of_the_error_decides_at_meta(answer: dict[str, Any], expected: str) -> None:
    assert [item["result"] for item in await results("facebook_conversions_api", [answer])] == [expected]


@pytest.mark.parametrize(("folder", "answer"), [("tiktok_conversions", tiktok(40_002)), ("facebook_conversions_api", meta(400, code=100))])
async def test_a_batch_that_is_refused_is_halved(folder: str, answer: dict[str, Any]) -> None:
    assert [item["result"] for item in await results(folder, [answer], count=2)] == ["split", "split"]
