"""A stored version made again from its document: the same content, secrets taken from the workspace beside it."""

from dataclasses import replace

from relay.base import jsonio
from relay.base.secret import Secret
from relay.workspace.digest import digest, document
from relay.workspace.model import Destination, RetryLimits, Source, Subscription, Workspace
from relay.workspace.revived import workspace_of
from relay.workspace.rules import (
    EventSetting,
    Filter,
    FilterAction,
    Hashing,
    Matcher,
    Plan,
    PlanRule,
    PrivacyRules,
    SchemaSettings,
    Transformation,
    TypeSettings,
)

WORKSPACE = Workspace(
    3,
    (
        Source(
            "web",
            "web",
            "Web",
            ("wk",),
            plan="shop",
            schema=SchemaSettings(TypeSettings(allow_event_on_violations=False), events={"Paid": EventSetting(False, {"orders": False})}),
            transformations=(
                Transformation("all", renames=(("a", "b"),), values=(("c", [1, {"d": None}]),), allow=(), hashing=Hashing("MD5", ("e",))),
            ),
            privacy=PrivacyRules(block=(Matcher("email", keys=("email", "mail")),)),
        ),
    ),
    (
        Destination(
            "orders",
            "orders",
            "Orders",
            "webhook",
            ("web",),
            settings={"url": "https://example.com", "sharedSecret": Secret("text"), "oldSecrets": (Secret("one"), Secret("two"))},
            subscriptions=(Subscription("s1", "S", "send", "all", {"data": {"@path": "$."}}),),
            filters=(Filter("all", (FilterAction("DROP_PROPERTIES", fields={"properties": ("a", "b")}),)),),
            retry=RetryLimits(schedule_s=(1.0, 2.0)),
        ),
    ),
    plans=(Plan("shop", "Shop", (PlanRule("TRACK", {"type": "object"}, "Paid", 2.0),)),),
    matchers=(Matcher("email", "red", pattern="@"),),
)


def revived(beside: Workspace) -> Workspace:
    return workspace_of(jsonio.loads(jsonio.dumps(document(WORKSPACE))), 3, beside)


def test_nothing_is_lost_but_the_places() -> None:
    again = revived(WORKSPACE)
    assert digest(again) == digest(WORKSPACE)
    assert again.sources == WORKSPACE.sources
    assert again.plans == WORKSPACE.plans
    assert replace(again.destinations[0], settings={}) == replace(WORKSPACE.destinations[0], settings={})
    assert again.destinations[0].settings["sharedSecret"] == Secret("text")


def test_a_secret_that_nobody_knows_stays_hidden() -> None:
    secret = revived(Workspace(0, (), ())).destinations[0].settings["sharedSecret"]
    assert isinstance(secret, Secret)
    assert secret.reveal().startswith("•••")


def test_an_older_document_gets_the_defaults_and_a_strange_key_is_passed_over() -> None:
    old = {"sources": [{"source_id": "web", "slug": "web", "name": "Web", "write_keys": ["wk"], "colour": 1}], "destinations": [], "later": []}
    assert workspace_of(old, 1, Workspace(0, (), ())).sources == (Source("web", "web", "Web", ("wk",)),)
