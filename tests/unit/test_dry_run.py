"""A changed workspace beside the one in use: the counts are those of a naive recomputation, whatever was changed; samples tell what, and no secret."""

import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.control.dry_run import SAMPLES, Comparison, differs
from relay.destinations import load_catalog
from relay.kit.encryption import new_pair
from relay.pipeline.compiled import Compiled, compile_workspace
from relay.workspace.assemble import load
from relay.workspace.digest import document
from relay.workspace.revived import workspace_of
from tests.support.app import source, table
from tests.support.naive import counted, naive

SENT_S = 1_768_478_400.0
Table = dict[str, Any]


def hook(slug: str, *mappings: Table, **more: Any) -> tuple[Table, Sequence[Table]]:
    settings = {"url": f"https://hooks.example.com/{slug}", "shared_secret": "whole-secret"}
    return {"slug": slug, "type": "webhook", "settings": settings} | more, mappings


PAID = {
    "name": "paid",
    "action": "send",
    "trigger": 'type = "track" and event = "Order Completed"',
    "fields": {"data": {"total": {"@path": "$.properties.total"}, "who": {"@path": "$.userId"}}},
}
STARTED = {"name": "started", "action": "send", "trigger": 'type = "track" and event = "Checkout Started"'}
GA4 = {"slug": "ga4", "type": "google-analytics-4", "settings": {"measurement_id": "G-1234567890", "api_secret": "ga-secret"}}
BASE = {
    "orders": hook("orders", PAID, STARTED, sources=["web"]),
    "all": hook("all", sources=["web", "app"]),
    "ga4": (GA4, ()),
    "cold": ({"slug": "cold", "type": "archive"}, ()),
}


def config(tables: Mapping[str, tuple[Table, Sequence[Table]]] = BASE, *, web: Table | None = None, plan: str = "loose") -> str:
    text = table("plan", {"slug": "shop", "file": f"{plan}.json"}) + source("web", plan="shop", **(web or {})) + source("app")
    for one, mappings in tables.values():
        text += table("destination", one) + "".join(table("destination.mapping", mapping) for mapping in mappings)
    return text


def with_destination(slug: str, *mappings: Table, **changes: Any) -> str:
    """The base with one destination changed; mappings left out stay as they are."""
    one, old = BASE[slug]
    return config({**BASE, slug: (one | changes, mappings or old)})


def compiled(text: str, folder: Path) -> Compiled:
    path = folder / "relay.toml"
    path.write_text(text)
    for name, total in (("loose", {}), ("strict", {"type": "number"})):
        rule = {"type": "TRACK", "key": "Order Completed", "jsonSchema": {"properties": {"properties": {"properties": {"total": total}}}}}
        (folder / f"{name}.json").write_text(jsonio.dumps({"rules": [rule]}).decode())
    catalog = load_catalog()
    return compile_workspace(load(path, catalog, environment={}).workspace, catalog)


def events(count: int = 2_000) -> list[Event]:
    """Calls of all kinds, some of which do not fit what takes them."""
    draw, made = random.Random(11), []
    for number in range(count):
        kind = draw.choice(("track", "track", "track", "page", "identify", "group"))
        payload: dict[str, Any] = {"type": kind, "messageId": f"m{number}", "userId": f"u{draw.randrange(50)}", "context": {}}
        if kind == "track":
            payload["event"] = draw.choice(("Order Completed", "Checkout Started", "Song Played"))
            payload["properties"] = {"total": draw.choice((5, 12.5, "much", None)), "currency": "EUR", "email": f"u{number}@example.com"}
        elif kind == "page":
            payload |= {"name": "Home", "properties": {"url": "https://shop.example.com"}}
        elif kind == "identify":
            payload["traits"] = {"email": f"u{number}@example.com", "plan": draw.choice(("free", "pro"))}
        else:
            payload["groupId"] = "g1"
        payload["timestamp"] = "2026-01-15T12:00:00.000Z"
        made.append(event_of(payload, draw.choice(("web", "web", "app")), 1_768_478_400_000 + number, jsonio.dumps(payload)))
    return made


def compared(many: Sequence[Event], before: Compiled, after: Compiled, **more: Any) -> dict[str, Any]:
    comparison = Comparison(before, after, sent_s=SENT_S, **more)
    for seq, event in enumerate(many, 1):
        comparison.take(seq, event)
    return comparison.told()


CHANGES: dict[str, tuple[str, Callable[[Counter[str]], bool]]] = {
    "trigger": (
        with_destination("orders", PAID | {"trigger": 'type = "track" and event = "Song Played"'}, STARTED),
        lambda counts: bool(counts["dropped NO_MATCHING_MAPPING"] and counts["added NO_MATCHING_MAPPING"]),
    ),
    "mapping": (
        with_destination("orders", PAID | {"fields": {"data": {"amount": {"@path": "$.properties.total"}, "who": {"@path": "$.userId"}}}}, STARTED),
        lambda counts: bool(counts["changed"]),
    ),
    "mapping that gives the same": (
        with_destination(
            "orders", PAID | {"fields": {"data": {"total": {"@template": "{{properties.currency}}"}}}, "trigger": 'event = "Never"'}, STARTED
        ),
        lambda counts: bool(counts["unchanged"]),
    ),
    "mapping by another way": (
        with_destination("orders", PAID, STARTED | {"fields": {"data": {"@path": "$."}}}),
        lambda counts: not counts["changed"] and not counts["requests"],
    ),
    "more mappings": (with_destination("orders", PAID, STARTED, STARTED | {"name": "again"}), lambda counts: bool(counts["changed"])),
    "switched off": (with_destination("orders", enabled=False), lambda counts: bool(counts["dropped destination_disabled"])),
    "settings": (
        with_destination("orders", settings={"url": "https://hooks.example.com/elsewhere", "shared_secret": "whole-secret"}),
        lambda counts: bool(counts["changed"]),
    ),
    "secret": (
        with_destination("orders", settings={"url": "https://hooks.example.com/orders", "shared_secret": "other-secret"}),
        lambda counts: bool(counts["changed"]),
    ),
    "sources": (with_destination("orders", sources=["app"]), lambda counts: bool(counts["dropped not_connected"] and counts["added not_connected"])),
    "pace": (with_destination("orders", concurrency=2, timeout_s=3), lambda counts: not counts["changed"]),
    "removed": (config({slug: one for slug, one in BASE.items() if slug != "orders"}), lambda counts: bool(counts["dropped not_connected"])),
    "source switched off": (config(web={"enabled": False}), lambda counts: bool(counts["dropped source_disabled"])),
    "consent": (with_destination("orders", consent_categories=["ads"]), lambda counts: bool(counts["unchanged"])),
    "filter": (
        with_destination("orders", filter=[{"if": 'properties.currency = "EUR" and userId = "u7"', "actions": [{"type": "DROP"}]}]),
        lambda counts: bool(counts["dropped FILTERED_BY_RULES"]),
    ),
    "sampling": (
        with_destination("orders", filter=[{"if": "all", "actions": [{"type": "SAMPLE", "percent": 0.5}]}]),
        lambda counts: bool(counts["dropped FILTERED_BY_RULES"]),
    ),
    "filter of properties": (
        with_destination("orders", filter=[{"if": "all", "actions": [{"type": "DROP_PROPERTIES", "fields": {"properties": ["total"]}}]}]),
        lambda counts: bool(counts["changed"]),
    ),
    "transformation of a destination": (
        with_destination("orders", transformation=[{"if": 'event = "Song Played"', "newEventName": "Order Completed"}]),
        lambda counts: bool(counts["added NO_MATCHING_MAPPING"]),
    ),
    "transformation of a source": (
        config(web={"transformation": [{"if": 'event = "Order Completed"', "newEventName": "Paid"}]}),
        lambda counts: bool(counts["dropped NO_MATCHING_MAPPING"]),
    ),
    "plan": (config(plan="strict"), lambda counts: bool(counts["changed"])),
    "plan that blocks": (
        config(plan="strict", web={"schema": {"track": {"allowEventOnViolations": False}}}),
        lambda counts: bool(counts["dropped schema_violation"]),
    ),
    "schema of a source": (
        config(web={"schema": {"events": {"Checkout Started": {"enabled": False}}}}),
        lambda counts: bool(counts["dropped event_setting"]),
    ),
    "schema for one destination": (
        config(web={"schema": {"events": {"Checkout Started": {"integrations": {"orders": False}}}}}),
        lambda counts: bool(counts["dropped FILTERED_BY_INTEGRATIONS_OBJECT"]),
    ),
    "privacy of a destination": (with_destination("orders", privacy={"mask": ["properties.email"]}), lambda counts: bool(counts["changed"])),
    "nothing": (config(), lambda counts: set(+counts) == {"unchanged"}),
}


@pytest.mark.parametrize("name", CHANGES)
def test_the_counts_are_those_of_a_naive_recomputation_in_both_directions(name: str, tmp_path: Path) -> None:
    many, (text, meant) = events(), CHANGES[name]
    before, after = compiled(config(), tmp_path), compiled(text, tmp_path)
    told = compared(many, before, after)
    expected = naive(many, before, after, SENT_S)
    assert {slug: +counts for slug, counts in counted(told).items()} == {slug: +counts for slug, counts in expected.items()}
    assert meant(sum(expected.values(), Counter())), expected
    assert differs(told) == any(set(+counts) - {"unchanged"} for counts in expected.values())
    back = counted(compared(many, after, before))
    assert {slug: +counts for slug, counts in back.items()} == {slug: +counts for slug, counts in naive(many, after, before, SENT_S).items()}


def test_a_stored_version_stands_for_the_configuration_it_was_made_from(tmp_path: Path) -> None:
    after = compiled(config(), tmp_path)
    stored = workspace_of(jsonio.loads(jsonio.dumps(document(after.workspace))), 7, after.workspace)
    told = compared(events(300), compile_workspace(stored, after.catalog), after)
    assert not differs(told)
    assert {one["state"] for one in told["destinations"]} == {"same"}


def test_of_a_stored_version_a_secret_that_is_no_longer_known_is_told_as_changed(tmp_path: Path) -> None:
    old = document(compiled(config(), tmp_path).workspace)
    after = compiled(CHANGES["secret"][0], tmp_path)
    told = compared(events(300), compile_workspace(workspace_of(old, 7, after.workspace), after.catalog), after)
    orders = told["destinations"][0]
    assert orders["changed"] == orders["requests"] > 0
    assert orders["samples"][0]["changes"] == [{"path": "settings.sharedSecret", "before": "•••", "after": "••• (another one)"}]
    assert "secret" not in str(told["destinations"]).replace("sharedSecret", "")


def test_what_is_the_same_is_counted_without_being_read(tmp_path: Path) -> None:
    before, after = compiled(config(), tmp_path), compiled(with_destination("orders", enabled=False), tmp_path)
    event = Event("m1", "app", "track", "Paid", "u1", "", 0, None, b"never looked at")
    told = compared([event], before, after)
    assert (told["unchanged"], told["dropped"]) == (3, {})


def test_samples_are_few_and_tell_fields_with_masked_keys_hidden(tmp_path: Path) -> None:
    fields = {"data": {"total": {"@path": "$.properties.currency"}, "who": {"@path": "$.userId"}, "mail": {"token": {"@path": "$.properties.email"}}}}
    before, after = compiled(config(), tmp_path), compiled(with_destination("orders", PAID | {"fields": fields}, STARTED), tmp_path)
    told = compared(events(), before, after, mask_names=("token",))
    orders = told["destinations"][0]
    assert len(orders["samples"]) == SAMPLES < orders["changed"]
    first = orders["samples"][0]
    assert (first["kind"], first["was"], first["now"], first["name"]) == ("changed", "sent", "sent", "Order Completed")
    assert first["event_id"][0] == "e"
    changes = {one["path"]: (one["before"], one["after"]) for one in first["changes"]}
    assert changes["data.total"][1] == "EUR"
    assert changes["data.mail"] == (None, {"token": "•••"})
    assert "@example.com" not in str(orders["samples"])


def test_requests_are_shown_where_the_fields_are_the_same(tmp_path: Path) -> None:
    before, after = compiled(config(), tmp_path), compiled(CHANGES["settings"][0], tmp_path)
    (change, *_) = compared(events(), before, after)["destinations"][0]["samples"][0]["changes"]
    assert change == {"path": "request.url", "before": "https://hooks.example.com/orders", "after": "https://hooks.example.com/elsewhere"}


def test_another_endpoint_is_a_change_of_every_request(tmp_path: Path) -> None:
    before, after = compiled(config(), tmp_path), compiled(with_destination("orders", endpoint="http://127.0.0.1:9000"), tmp_path)
    orders = compared(events(), before, after)["destinations"][0]
    assert orders["changed"] > 0
    assert orders["samples"][0]["changes"] == [{"path": "endpoint", "before": "", "after": "http://127.0.0.1:9000"}]


def test_only_the_destinations_and_sources_that_are_meant_are_compared(tmp_path: Path) -> None:
    before, after = compiled(config(), tmp_path), compiled(with_destination("all", enabled=False), tmp_path)
    many = events()
    assert [one["slug"] for one in compared(many, before, after, destinations=("ga4",))["destinations"]] == ["ga4"]
    told = compared(many, before, after, sources=("app",))
    assert told["dropped"] == {"destination_disabled": sum(event.source_id == "app" for event in many)}


def test_a_new_destination_is_added_with_what_it_would_get(tmp_path: Path) -> None:
    tables = {**BASE, "new": hook("new", PAID, sources=["web"])}
    before, after = compiled(config(), tmp_path), compiled(config(tables), tmp_path)
    new = compared(events(), before, after)["destinations"][-1]
    assert (new["slug"], new["state"]) == ("new", "new")
    assert new["added"]["not_connected"] == new["requests"] > 0
    assert {"path": "data", "before": None} in [{"path": one["path"], "before": one["before"]} for one in new["samples"][0]["changes"]]


def test_a_field_that_both_versions_encrypt_with_one_key_is_no_change(tmp_path: Path) -> None:
    def encrypting(**more: Any) -> Compiled:
        return compiled(with_destination("orders", privacy={"encrypt": ["properties.email"], "public_key": new_pair(2048)[1]} | more), tmp_path)

    before, many = encrypting(), events(300)
    key = before.workspace.destinations[0].privacy.public_key
    same = compared(many, before, compiled(with_destination("orders", privacy={"encrypt": ["properties.email"], "public_key": key}), tmp_path))
    assert not differs(same)
    renamed = encrypting(public_key=key, mask=["properties.currency"])
    orders = compared(many, before, renamed)["destinations"][0]
    assert orders["changed"] == orders["requests"] > 0
    assert {change["path"] for sample in orders["samples"] for change in sample["changes"]} == {"data.properties.currency"}
    for other in (encrypting(), compiled(config(), tmp_path)):
        assert compared(many, before, other)["destinations"][0]["changed"] == orders["changed"]


def test_what_a_source_would_newly_keep_from_the_disk_is_told(tmp_path: Path) -> None:
    before, after = compiled(config(), tmp_path), compiled(config(web={"privacy": {"block": ["properties.email"]}}), tmp_path)
    told = compared(events(300), before, after)
    changes = [change for sample in told["destinations"][1]["samples"] for change in sample["changes"]]
    assert {change["path"].rpartition(".")[2] for change in changes} == {"email"}
    assert {change["after"] for change in changes} == {None}


def test_a_sample_names_the_rule_or_the_field_that_stops_the_event(tmp_path: Path) -> None:
    def why(text: str, kind: str = "dropped", *, back: bool = False) -> str:
        sides = compiled(config(), tmp_path), compiled(text, tmp_path)
        told = compared(events(), *(reversed(sides) if back else sides))
        return next(sample["why"] for sample in told["destinations"][0]["samples"] if sample["kind"] == kind)

    rule = {"title": "nothing in euro", "if": 'properties.currency = "EUR"', "actions": [{"type": "DROP"}]}
    assert "nothing in euro" in why(with_destination("orders", filter=[rule]))
    assert "nothing in euro" in why(with_destination("orders", filter=[rule]), "added", back=True)
    assert "total" in why(config(plan="strict", web={"schema": {"track": {"allowEventOnViolations": False}}}))
    assert "method" in why(with_destination("orders", PAID | {"fields": {"method": {"@path": "$.userId"}}}))
    assert why(config(web={"enabled": False})) == ""
    assert why(with_destination("orders", sources=["app"])) == ""
