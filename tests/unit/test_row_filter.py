"""The filter bar: text to tree as the table says, the tree from the wire checked, and what a tree lets through."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from relay.errors import FilterError
from relay.observe.filter_bar import parse
from relay.observe.row_filter import RowFilter

CASES = json.loads((Path(__file__).parent.parent / "data" / "filter_cases.json").read_text())
PAYLOAD = {
    "properties": {"revenue": 40.0, "coupon": "X", "vip": True, "items": [{"sku": "A1"}], "empty": None},
    "note": "Größe <b>Refund</b>",
}
ROW = {
    "event_id": "e7", "message_id": "m-1", "source": "web", "type": "track", "name": "Order Completed", "user_id": "u1", "anonymous_id": None,
    "bytes": 812, "verdict": "accepted", "code": None, "plan": 0, "to": {"slack": "delivered", "ga4": "retry"},
}  # fmt: skip


@dataclass
class Body:
    payload: dict[str, Any]
    body: bytes


MATERIAL = Body(PAYLOAD, jsonio.dumps(PAYLOAD))


@pytest.mark.parametrize("case", CASES, ids=[case["text"][:60] for case in CASES])
def test_text_becomes_the_tree_of_the_table(case):
    if "ast" in case:
        assert parse(case["text"]) == case["ast"]
        RowFilter(case["ast"])
        return
    with pytest.raises(FilterError) as failure:
        parse(case["text"])
    assert (failure.value.message, failure.value.at) == (case["error"], case["at"])


@pytest.mark.parametrize(
    "text",
    [
        "", "type:track", "type:TRACK,page", 'event:"order*"', "event:*completed", "event:*der*plet*", "event:*", "user:U1", "id:e7", "id:m-1",
        "source:web", "-source:test", "to:ga4", "state:retry", "to:ga4 state:retry", "to:slack -state:dead", "to:g* state:retry", "plan:ok",
        "bytes:>800 bytes:<813", "bytes:812", "has:properties.coupon", "has:properties.items.0.sku", "properties.revenue:40",
        "properties.revenue:>39", "properties.vip:true", "properties.items.0.sku:a1", "refund", "REFUND", "GRÖSSE,größe", "größe", "-nothing",
        "verdict:accepted", "-code:x",
    ],
)  # fmt: skip
def test_a_row_passes(text):
    expected = "," not in text or text.startswith("type")
    assert RowFilter(parse(text)).matches(ROW, MATERIAL) is expected


@pytest.mark.parametrize(
    "text",
    [
        "type:page", "event:order", "event:*complete", "event:a*a", "user:u2", "to:ga4 state:delivered", "to:slack state:retry",
        "to:ga4 -state:retry", "-state:retry", "to:wh", "plan:violated", "bytes:<812", "has:properties.empty", "has:properties.items.9.sku",
        "properties.revenue:>40", "properties.coupon:>1", "properties.none:x", "refundx", "ü",
    ],
)  # fmt: skip
def test_a_row_is_held_back(text):
    assert not RowFilter(parse(text)).matches(ROW, MATERIAL)


def nested(depth: int) -> dict[str, Any]:
    return {"not": nested(depth - 1)} if depth else {"all": []}


@pytest.mark.parametrize(
    ("ast", "text"),
    [
        (None, "a filter is an object"),
        ([], "a filter is an object"),
        ({}, "a filter is {all}"),
        ({"all": {}}, "'all' is a list"),
        ({"any": [1]}, "a filter is an object"),
        ({"f": "type", "op": "eq"}, "a filter is {all}"),
        ({"f": "type", "op": "eq", "v": "track", "x": 1}, "a filter is {all}"),
        ({"f": 1, "op": "eq", "v": "track"}, "a field is a text"),
        ({"f": "evnt", "op": "eq", "v": "x"}, "unknown field 'evnt', did you mean 'event'?"),
        ({"f": "type", "op": "equal", "v": "x"}, "unknown op 'equal'"),
        ({"f": "type", "op": [], "v": "x"}, "unknown op '[]'"),
        ({"f": "type", "op": "in", "v": []}, "'in' takes a list"),
        ({"f": "type", "op": "in", "v": "track"}, "'in' takes a list"),
        ({"f": "source", "op": "in", "v": ["x"] * 51}, "'in' takes a list"),
        ({"f": "type", "op": "eq", "v": "trak"}, "unknown type 'trak', did you mean 'track'?"),
        ({"f": "user", "op": "eq", "v": {}}, "the value of 'user' is no text"),
        ({"f": "user", "op": "eq", "v": "x" * 513}, "a value has 1 to 512"),
        ({"f": "user", "op": "gt", "v": 1}, "'user' is no number"),
        ({"f": "bytes", "op": "gt", "v": "1"}, "'bytes' is compared with a number"),
        ({"f": "bytes", "op": "eq", "v": True}, "'bytes' is compared with a number"),
        ({"f": "has", "op": "eq", "v": "x"}, "op 'eq' does not go with field 'has'"),
        ({"f": "type", "op": "text", "v": "x"}, "op 'text' does not go with field 'type'"),
        (nested(9), "nested deeper than 8"),
        ({"all": [{"all": []}] * 65}, "'all' is a list of at most 64"),
        ({"any": [{"all": [{"f": "user", "op": "eq", "v": "x"}] * 33}] * 2}, "more than 64 terms"),
    ],
)  # fmt: skip
def test_a_wrong_tree_is_refused_with_a_reason(ast, text):
    with pytest.raises(FilterError) as failure:
        RowFilter(ast)
    assert text in failure.value.message


def test_a_hostile_pattern_costs_no_more_than_its_length():
    wanted = RowFilter({"f": "event", "op": "glob", "v": "*a" * 255 + "b"})
    assert not wanted.matches(ROW | {"name": "a" * 30_000}, MATERIAL)


def test_a_filter_knows_whether_it_follows_the_delivery():
    assert RowFilter(parse("-state:dead")).follows_state
    assert not RowFilter(parse("type:track x")).follows_state
    assert RowFilter({"all": []}).everything
