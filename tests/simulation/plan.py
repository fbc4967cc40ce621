"""The plan of one seed: workspace, events, faults and orders, all drawn before anything runs."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from relay.base.event import Event, event_of
from relay.base.jsonio import dumps
from relay.kit.definition import Action, Definition, Delivery, Field
from relay.kit.request import Request
from relay.workspace.model import Destination, RetryLimits, Source, Subscription, Workspace

SOURCES = ("s1", "s2")
USERS = ("u1", "u2", "u3")
ANONYMOUS = ("a1", "a2")
FAULTS_S = 40.0
"""How long faults happen; afterwards everything is quiet."""
ORDERS = (
    "reload", "reload", "reload", "reload", "expire", "resend", "resend", "replay", "trim", "trim", "erase", "full", "jump", "hold", "resume", "slow", "refuse", "outage",
)  # fmt: skip
BATCHES = 2_000_000
"""From this seed on every destination takes batches of events in no order."""
ANSWERS = ("ok", "lost", "500", "429", "400", "slow", "reset")


def _body(name: Any, deliveries: Sequence[Delivery]) -> bytes:
    units = []
    for delivery in deliveries:
        payload = delivery.event.payload
        units.append([payload["n"], bool((payload.get("context") or {}).get("replay"))])
    return dumps({"sub": name, "units": units})


def _perform(settings: Mapping[str, Any], delivery: Delivery) -> Request:
    return Request("POST", "sim:", body=_body(delivery.fields.get("sub"), [delivery]))


def _perform_batch(settings: Mapping[str, Any], deliveries: Sequence[Delivery]) -> Request:
    return Request("POST", "sim:", body=_body(deliveries[0].fields.get("sub"), deliveries))


_FIELDS = (Field("sub", "Subscription"),)
SIM = Definition(
    "sim",
    "Sim",
    actions={
        "one": Action("one", "One", fields=_FIELDS, perform=_perform),
        "many": Action(
            "many", "Many", fields=_FIELDS, perform=_perform, perform_batch=_perform_batch, batch_size=3, batch_always=True, linger_ms=300
        ),
    },
)
CATALOG = {"sim": SIM}
TRIGGERS = ('type = "track"', 'type = "identify" or type = "track"', 'event = "A"', 'type = "track" or type = "alias"', 'type != "page"')


@dataclass(frozen=True)
class Order:
    """Something that happens at a time: an append, a person's order, or a fault."""

    at_s: float
    kind: str
    what: Any = None


@dataclass
class Plan:
    """Everything that a seed decides."""

    seed: int
    workspaces: list[Workspace]
    """The first one, and what reloads change it to; the last one is what the quiet end runs under."""
    orders: list[Order]
    answers: dict[str, float]
    """Weights of the receiver's answers."""
    crashes: list[int]
    """Steps from the start of a life to its crash."""
    limits: dict[str, int] = field(default_factory=dict)
    """Small values for the constants of the code under test."""
    slow_disk: bool = False
    strict: frozenset[str] = frozenset()


def make_plan(seed: int) -> Plan:
    """Draw the plan of a seed."""
    draw = random.Random(f"plan {seed}")
    first = Workspace(1, tuple(Source(name, name, name, (name,)) for name in SOURCES), _destinations(draw))
    workspaces, orders = [first], _appends(draw)
    many = draw.random() < 0.5
    for _ in range(draw.randint(4, 16) if many else draw.randint(0, 4)):
        kind = draw.choice(ORDERS)
        at_s = draw.uniform(0.5, FAULTS_S)
        name = draw.choice(first.destinations).destination_id
        if kind == "reload":
            workspaces.append(_changed(draw, workspaces[-1], len(workspaces) + 1))
            orders.append(Order(at_s, kind))
        elif kind == "jump":
            orders.append(Order(at_s, kind, draw.choice((-4000.0, -3.0, 7.0, 400.0, 5000.0))))
        elif kind == "erase":
            orders.append(Order(at_s, kind, draw.choice((*USERS, *ANONYMOUS))))
        else:
            orders.append(Order(at_s, kind, (name, draw.random())))
    last = replace(
        workspaces[-1],
        version=len(workspaces) + 1,
        destinations=tuple(replace(one, enabled=True) for one in _all(workspaces[-1], first.destinations)),
    )
    workspaces.append(last)
    if seed >= BATCHES:
        workspaces = [replace(one, destinations=tuple(map(_batching, one.destinations))) for one in workspaces]
    weights = {answer: draw.choice((0.0, 0.3, 1.0)) for answer in ANSWERS} | {"ok": draw.choice((3.0, 6.0, 20.0))}
    return Plan(
        seed,
        workspaces,
        sorted(orders, key=lambda order: order.at_s),
        weights,
        [int(draw.expovariate(1 / draw.choice((200, 800)))) + 5 for _ in range(draw.choice((0, 1, 3, 8)))],
        _limits(draw),
        draw.random() < 0.3,
        frozenset(one.destination_id for one in workspaces[0].destinations if one.order == "strict"),
    )


def _all(workspace: Workspace, first: Sequence[Destination]) -> list[Destination]:
    known = {one.destination_id: one for one in workspace.destinations}
    return [known.get(one.destination_id, one) for one in first]


def _limits(draw: random.Random) -> dict[str, int]:
    return {
        "window": draw.choice((2, 3, 5, 8, 4096)),
        "chunk": draw.choice((1, 2, 4, 500)),
        "step": draw.choice((1, 2, 5, 1000)),
        "tail": draw.choice((1, 3, 8, 20_000)),
        "fresh": draw.choice((1, 4, 8_192)),
        "unsaved": draw.choice((1, 3, 1_000)),
        "expire": draw.choice((2, 5, 5_000)),
    }


def _destinations(draw: random.Random) -> tuple[Destination, ...]:
    made = []
    for number in range(1, draw.randint(2, 3) + 1):
        name = f"d{number}"
        made.append(
            Destination(
                name, name, name, "sim",
                SOURCES if draw.random() < 0.6 else (draw.choice(SOURCES),),
                settings={"key": "1"},
                subscriptions=_subscriptions(draw),
                order=draw.choice(("user", "user", "user", "user", "strict", "none")),
                concurrency=draw.randint(1, 4),
                rate_per_s=draw.choice((0, 0, 0, 5)),
                max_waiting=draw.choice((2, 4, 50)),
                retry=RetryLimits(draw.choice((0.2, 1.0)), draw.choice((1.0, 6.0)), draw.choice((0.0, 20.0, 100_000.0)), draw.choice((1, 3, 5))),
            )
        )  # fmt: skip
    return tuple(made)


def _subscriptions(draw: random.Random) -> tuple[Subscription, ...]:
    names = ("x", "y")[: draw.randint(1, 2)]
    return tuple(Subscription(name, name, draw.choice(("one", "one", "many")), draw.choice(TRIGGERS), {"sub": name}) for name in names)


def _batching(one: Destination) -> Destination:
    return replace(one, order="none", subscriptions=tuple(replace(each, action="many") for each in one.subscriptions[:1]))


def _changed(draw: random.Random, old: Workspace, version: int) -> Workspace:
    destinations = list(old.destinations)
    place = draw.randrange(len(destinations))
    one = destinations[place]
    change = draw.choice(("enabled", "enabled", "sources", "subscriptions", "settings", "small", "small", "removed"))
    if change == "enabled":
        one = replace(one, enabled=not one.enabled)
    elif change == "sources":
        one = replace(one, source_ids=draw.choice((SOURCES, ("s1",), ("s2",), ())))
    elif change == "subscriptions":
        one = replace(one, subscriptions=_subscriptions(draw))
    elif change == "settings":
        one = replace(one, settings={"key": str(version)})
    elif change == "small":
        one = replace(one, concurrency=draw.randint(1, 4), max_waiting=draw.choice((2, 4, 50)))
    destinations[place] = one
    if change == "removed" and len(destinations) > 1:
        del destinations[place]
    return replace(old, version=version, destinations=tuple(destinations))


def _appends(draw: random.Random) -> list[Order]:
    """Events in requests of one to three; each has its number as `n`."""
    orders, number, at_s = [], 0, 0.1
    hot = draw.random() < 0.5
    total = draw.randint(15, 25)
    while number < total:
        source_id = draw.choice(SOURCES)
        group = []
        for _ in range(min(total - number, draw.randint(1, 3))):
            number += 1
            group.append(_payload(draw, number, USERS[:1] if hot and draw.random() < 0.7 else USERS))
        orders.append(Order(at_s, "append", (source_id, group)))
        at_s += draw.expovariate(1.5 if draw.random() < 0.7 else 0.2)
    return orders


def _payload(draw: random.Random, number: int, users: Sequence[str]) -> dict[str, Any]:
    payload: dict[str, Any] = {"messageId": f"m{number}", "n": number, "context": {}}
    kind = draw.choice(("track", "track", "track", "identify", "alias", "page"))
    payload["type"] = kind
    user = draw.choice(users)
    if kind == "alias":
        return payload | {"previousId": draw.choice((*ANONYMOUS, *USERS)), "userId": user}
    if kind == "identify":
        return payload | {"userId": user, "anonymousId": draw.choice(ANONYMOUS)}
    if kind == "track":
        payload["event"] = draw.choice(("A", "B"))
    return payload | ({"userId": user} if draw.random() < 0.7 else {"anonymousId": draw.choice(ANONYMOUS)})


def make_event(payload: Mapping[str, Any], source_id: str, received_ms: int) -> Event:
    """The event that intake would have made of it."""
    return event_of(payload, source_id, received_ms, dumps(payload))
