"""Hints: a table of events and what is said about each."""

from typing import Any

import pytest

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.pipeline.lint import HINTS_MAX, compile_lint, is_dynamic
from relay.workspace.templates import known_rules

LINT = compile_lint(known_rules())
RECEIVED_MS = 1_700_000_000_000
ORDER = {"order_id": "A-1", "revenue": 10.5, "currency": "EUR", "products": [{"product_id": "p1", "price": 10.5, "quantity": 1}]}


def event(**message: Any) -> Event:
    payload = {"type": "track", "messageId": "m1", "userId": "u1", "timestamp": "2023-11-14T22:13:20.000Z"} | message
    return event_of(payload, "web", RECEIVED_MS, jsonio.dumps(payload))


def track(name: str, **properties: Any) -> Event:
    return event(event=name, properties=properties)


def identify(**traits: Any) -> Event:
    return event(type="identify", traits=traits)


def said(one: Event) -> list[tuple[str, str]]:
    return [(hint.code, hint.path) for hint in LINT(one)]


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (track("Order Completed", **ORDER), []),
        (track("Report Shared", format="pdf"), []),
        (track("Added to Team", size=3), []),
        (event(type="page", name="Home", properties={"path": "/"}), []),
        (identify(email="ann@example.com", createdAt="2026-01-31T09:00:00Z", age=30, plan="pro"), []),
        (identify(createdAt=1_700_000_000), []),
        (track("Page Viewed"), [("should_be_page", "event")]),
        (track("Viewed Pricing Page"), [("should_be_page", "event")]),
        (track("page_view"), [("should_be_page", "event")]),
        (track("Screen Viewed"), [("should_be_screen", "event")]),
        (track("screenView"), [("should_be_screen", "event")]),
        (track("Order Completed", **ORDER | {"revenue": "10.50"}), [("not_a_number", "properties.revenue")]),
        (track("Report Shared", value=True), [("not_a_number", "properties.value")]),
        (track("Report Shared", value=None), []),
        (
            track("Order Completed", **ORDER | {"products": [{"product_id": "p", "quantity": 1}, {"product_id": "p", "price": "1"}]}),
            [("not_a_number", "properties.products.1.price")],
        ),
        (track("Order Completed", **ORDER | {"currency": "eur"}), [("bad_currency", "properties.currency")]),
        (track("Order Completed", **ORDER | {"currency": "€"}), [("bad_currency", "properties.currency")]),
        (track("Order Completed", **ORDER | {"currency": 978}), [("bad_currency", "properties.currency")]),
        (track("Order Completed", **ORDER | {"currency": None}), [("currency_missing", "properties.currency")]),
        (track("Order Completed", **ORDER | {"order_id": ""}), [("missing_core", "properties.order_id")]),
        (track("Experiment Viewed", experiment_id="e"), [("missing_core", "properties.variation_id")]),
        (track("order completed", **ORDER), [("near_miss", "event")]),
        (track("Completed Order", **ORDER), [("near_miss", "event")]),
        (track("orderCompleted", **ORDER), [("near_miss", "event")]),
        (track("order_complete", **ORDER), [("near_miss", "event")]),
        (track("Prodcut Added", product_id="p"), [("near_miss", "event")]),
        (track("report_shared"), [("name_case", "event")]),
        (track("report shared"), [("name_case", "event")]),
        (track("Report_Shared"), [("name_case", "event")]),
        (track("Report Shared", report_id="r", reportName="x"), [("key_case", "properties")]),
        (track("Viewed 83920"), [("dynamic_name", "event")]),
        (track("Order 2026-01-31"), [("dynamic_name", "event")]),
        (track("Opened 3f0c9a52-7b1e-4f5d-9c1d-000000000000"), [("dynamic_name", "event")]),
        (track("Mail to ann@example.com"), [("pii_in_name", "event")]),
        (track("Call +49 170 1234567"), [("pii_in_name", "event")]),
        (event(type="page", name="Order 83920"), [("dynamic_name", "name")]),
        (identify(email="ann"), [("trait_type", "traits.email")]),
        (identify(createdAt="yesterday"), [("trait_type", "traits.createdAt")]),
        (identify(age="30"), [("trait_type", "traits.age")]),
        (identify(address="Long Road 1"), [("trait_type", "traits.address")]),
        (event(type="group", groupId="g", traits={"employees": 5, "plan": 3}), [("trait_type", "traits.plan")]),
        (event(userId="null", type="identify"), [("placeholder_id", "userId")]),
        (event(userId="Undefined", type="identify"), [("placeholder_id", "userId")]),
        (event(userId="ann@example.com", type="identify"), [("email_as_id", "userId")]),
        (event(userId="", anonymousId="[object Object]", type="identify"), [("placeholder_id", "anonymousId")]),
        (event(type="identify", timestamp="2023-11-14T22:17:00.000Z"), []),
        (event(type="identify", timestamp="2023-11-14T23:13:20.000Z"), [("future_timestamp", "timestamp")]),
        (event(type="alias", previousId="undefined"), [("placeholder_id", "previousId")]),
    ],
)
def test_what_is_said(made: Event, expected: list[tuple[str, str]]) -> None:
    assert said(made) == expected


def test_no_hint_repeats_a_persons_address() -> None:
    made = event(userId="ann@example.com", event="Mail ann@example.com", properties={"value": "ann@example.com"})
    assert LINT(made)
    assert not any("ann@" in hint.text for hint in LINT(made))


def test_hints_are_bounded_and_nothing_raises() -> None:
    many = track("Order Completed", **ORDER | {"products": [{"price": "x"}] * 100})
    assert len(LINT(many)) == HINTS_MAX
    for odd in (None, [], "x", 5, {"a": {}}):
        LINT(event(event="X", properties=odd, traits=odd))
        LINT(event(type="identify", properties=odd, traits=odd, timestamp=odd, userId="u"))
        LINT(track("Order Completed", products=odd, currency=odd, order_id=odd))


def test_the_event_is_left_as_it_is() -> None:
    made = track("Order Completed", **ORDER)
    before = jsonio.dumps(made.payload)
    LINT(made)
    assert jsonio.dumps(made.payload) == before


@pytest.mark.parametrize(
    "name", ["Step 1 Viewed", "Order Completed", "Level 12 Reached", "Added to Cart", "Feedback", "Facade Painted", "OAuth2 Signed In"]
)
def test_ordinary_names_are_not_dynamic(name: str) -> None:
    assert not is_dynamic(name)


def test_a_value_that_a_privacy_rule_hides_is_not_judged() -> None:
    assert said(identify(email="•••", phone="a" * 64)) == []
    assert said(track("Order Completed", **ORDER | {"revenue": "•••"})) == []
