"""A small shop with everything that can happen to its events: three sources, seven destinations in seven moods, traffic that does not end.

async with town(tmp_path) as shop:
    shop.relay.ui_url, shop.relay.cli_token, shop.receiver ...

`python -m tests.browser.town` runs it until Ctrl-C and prints where to look, for people who work on the pages.
"""

import asyncio
import base64
import json
import random
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp import web

from tests.support.app import source, table, webhook
from tests.support.process import RelayProcess
from tests.support.receiver import Receiver, answer

TRACK = {"name": "Tracks", "action": "send", "trigger": 'type = "track"'}
ORDERS = {"name": "Orders", "action": "send", "trigger": 'type = "track" and event = "Order Completed"'}
PEOPLE = {"name": "People", "action": "send", "trigger": 'type = "identify" or type = "group"'}
RULES = {
    "filter": [
        {"title": "No coupons", "if": "event = 'Coupon Applied'", "actions": [{"type": "DROP"}]},
        {
            "title": "Half of the product views, without addresses",
            "if": "event = 'Product Viewed'",
            "actions": [{"type": "SAMPLE", "percent": 0.5, "path": "userId"}, {"type": "DROP_PROPERTIES", "fields": {"context": ["ip"]}}],
        },
    ],
    "transformation": [
        {
            "name": "Names of the old app",
            "if": "event = 'Signed Up'",
            "newEventName": "Account Created",
            "propertyRenames": [{"oldName": "properties.revenue", "newName": "properties.value"}],
            "hashPropertiesConfiguration": {"algorithm": "SHA256", "paths": ["properties.referral"], "key": "kept-from-pages"},
        },
        {"name": "Test shop", "if": "properties.shop = 'test'", "drop": True, "enabled": False},
    ],
    "privacy": {"mask": ["context.ip"]},
}
SHOP: dict[str, Any] = {
    "transformation": [
        {
            "name": "Which shop",
            "if": "type = 'track'",
            "propertyValueTransformations": [{"propertyPaths": ["properties.shop"], "propertyValue": "web"}],
        }
    ],
    "privacy": {"hash": ["traits.phone"]},
}
CUSTOMER = {"name": "customer number", "color": "yellow", "synonyms": ["customer_no"], "match": "similar"}
EVENTS = ("Product Viewed", "Product Added", "Cart Viewed", "Checkout Started", "Order Completed", "Coupon Applied", "Signed Up")
PAGES = ("Home", "Pricing", "Docs", "Checkout", "Blog")
LIBRARIES = {"web": ("analytics.js", "2.1.0"), "ios": ("analytics-swift", "1.7.3"), "server": ("analytics-python", "2.4.0")}
CART = {"type": "object", "required": ["items"], "properties": {"items": {"type": "integer", "minimum": 1}}}


def _rule(key: str, properties: dict[str, Any], *, required: list[str] | None = None, **more: Any) -> dict[str, Any]:
    part = {"type": "object", "properties": properties} | ({"required": required} if required else {})
    return {"type": "TRACK", "key": key, "version": 1, "jsonSchema": {**more, "type": "object", "properties": {"properties": part}}}


PLAN: dict[str, Any] = {
    "rules": [
        _rule("Product Viewed", {"revenue": {"type": "number"}, "currency": {"enum": ["EUR", "USD"]}}),
        _rule("Product Added", {"revenue": {"type": "number", "minimum": 0}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}, "cart": CART}),
        _rule("Checkout Started", {"revenue": {"type": "number"}, "coupon": {"type": "string"}}),
        _rule(
            "Order Completed",
            {
                "order_id": {"type": "string", "description": "The number that the customer sees"},
                "revenue": {"type": "number", "minimum": 0, "description": "What was paid, without shipping and tax"},
                "currency": {"enum": ["EUR", "USD"]},
                "cart": CART,
            },
            required=["order_id", "revenue", "currency"],
            **{"x-why": "What do people buy, and how much?", "x-owner": "checkout team", "x-destinations": ["orders", "analytics"]},
        ),
        _rule("Refund Requested", {"order_id": {"type": "string"}}, required=["order_id"]),
        {"type": "IDENTIFY", "jsonSchema": {"properties": {"traits": {"type": "object", "properties": {"plan": {"enum": ["free", "pro"]}}}}}},
        {"type": "COMMON", "jsonSchema": {"properties": {"context": {"type": "object", "required": ["locale"]}}}},
    ]
}
"""Of the web shop and the app. Cart Viewed, Coupon Applied and Signed Up are not planned; nobody asks for refunds."""
SCHEMA = {"events": {"Debugged": {"enabled": False}}, "traits": {"internal_note": False}}
PLAN_FILE = "shop-plan.json"
FAULT_SHARE = 0.08
"""Of the track calls: those that break the plan."""
HOSTILE = '<img src=x onerror="document.title=1"> \u202eevil\u202c \x07'
"""What an attacker would like the pages to run, and what steers a terminal or turns the text around."""


@dataclass
class Town:
    """What runs. `quiet` stops the traffic (events that are sent by hand still go)."""

    relay: RelayProcess
    receiver: Receiver
    session: aiohttp.ClientSession
    rate: float
    quiet: bool = False
    sent: int = 0
    _random: random.Random = field(default_factory=lambda: random.Random(7))

    async def send(self, events: list[dict[str, Any]], source: str = "web") -> int:
        """One batch; the answer's status."""
        key = base64.b64encode(f"wk_{source}:".encode()).decode()
        url = f"{self.relay.tracking_url}/v1/batch"
        async with self.session.post(url, json={"batch": events}, headers={"authorization": f"Basic {key}"}) as done:
            await done.read()
            return done.status

    def event(self, source: str = "web", **more: Any) -> dict[str, Any]:
        """A made-up event."""
        draw = self._random
        self.sent += 1
        name, version = LIBRARIES[source]
        context: dict[str, Any] = {
            "library": {"name": name, "version": version},
            "ip": f"203.0.113.{draw.randrange(1, 255)}",
            "locale": draw.choice(("en-GB", "de-DE")),
        }
        if source == "web":
            context["consent"] = {"categoryPreferences": {"advertising": draw.random() < 0.8}}
        user = f"user-{draw.randrange(1, 400)}"
        made: dict[str, Any] = {"messageId": f"shop-{self.sent}-{draw.randrange(10**9)}", "userId": user, "context": context}
        kind = draw.choices(("track", "page", "identify", "group"), (70, 20, 8, 2))[0]
        if kind == "track":
            price = round(draw.uniform(5, 250), 2)
            made |= {"event": draw.choice(EVENTS), "properties": {"revenue": price, "currency": "EUR", "cart": {"items": draw.randrange(1, 6)}}}
            if made["event"] == "Order Completed":
                made["properties"]["order_id"] = f"A-{draw.randrange(10**6)}"
            if draw.random() < FAULT_SHARE:
                self._break(made)
        elif kind == "page":
            made |= {"name": draw.choice(PAGES), "properties": {"path": "/" + draw.choice(PAGES).lower(), "referrer": "https://example.com/"}}
        elif kind == "identify":
            made |= {"traits": {"plan": draw.choice(("free", "pro")), "password": "never shown"}}
            made["traits"] |= {"email": f"{user}@example.com", "phone": f"+49 30 {draw.randrange(10**6)}", "customer_no": draw.randrange(10**6)}
        else:
            made |= {"groupId": f"team-{draw.randrange(1, 20)}"}
        return {"type": kind} | made | more

    def _break(self, made: dict[str, Any]) -> None:
        """As apps do when nobody looks."""
        faults = (
            {"currency": "euro"},
            {"revenue": str(made["properties"]["revenue"])},
            {"cart": {"items": 0}},
            {"order_id": 4711, "email": "kim@example.com"},
        )
        made["properties"] |= self._random.choices(faults, (4, 3, 2, 1))[0]
        if self._random.random() < 0.1:
            made["event"] = "Debugged"

    async def trade(self) -> None:
        """Traffic until cancelled: batches ten times a second, now and then a message that is refused or comes twice."""
        last: dict[str, Any] | None = None
        while True:
            await asyncio.sleep(0.1)
            if self.quiet:
                continue
            for slug, share in (("web", 0.7), ("ios", 0.2), ("server", 0.1)):
                wanted = self.rate * share / 10
                count = int(wanted) + (self._random.random() < wanted % 1)
                events = [self.event(slug) for _ in range(count)]
                if events and self._random.random() < 0.02:
                    events.append({"type": "track", "userId": "user-1", "messageId": f"bad-{self.sent}"})
                if last and self._random.random() < 0.02:
                    events.append(last)
                if events:
                    last = events[0]
                    with suppress(TimeoutError, aiohttp.ClientError):  # relay may be starting again
                        await self.send(events, slug)


def configuration(receiver: Receiver) -> str:
    """Each destination is in another mood: well, limited, failing, refused, filtered, off; and the archive."""
    every = ["web", "ios", "server"]
    return "".join(
        (
            table("plan", {"slug": "shop", "name": "Shop", "file": PLAN_FILE}),
            source("web", name="Web shop", plan="shop", **SHOP, schema=SCHEMA),
            source("ios", name="iOS app", plan="shop"),
            source("server", name="Order server"),
            webhook("orders", receiver, ORDERS, sources=every, name="Order service", settings={"shared_secret": "hush-hush"}),
            webhook("analytics", receiver, TRACK, sources=every, name="Product analytics", **RULES),
            webhook("crm", receiver, PEOPLE, sources=every, name="CRM"),
            webhook("ads", receiver, TRACK, sources=["web"], name="Ad platform", consent_categories=["advertising"]),
            webhook("push", receiver, {"action": "send", "trigger": 'type = "screen"'}, sources=["ios"], name="Push messages"),
            webhook("legacy", receiver, sources=["server"], name="Old warehouse", enabled=False),
            table("matcher", CUSTOMER),
            table("destination", {"slug": "archive", "type": "archive", "sources": every, "name": "Archive"}),
        )
    )


def moods(receiver: Receiver, seed: int = 3) -> None:
    """How the receivers answer."""
    draw = random.Random(seed)
    well, limited, failing = (
        answer(200, body=b'{"ok":true}'),
        answer(429, {"retry-after": "1"}, b'{"error":"quota_exceeded"}'),
        answer(500, body=b"oops"),
    )
    refused = answer(400, {"content-type": "application/json"}, b'{"error":{"code":"invalid_value","message":"revenue must be below 200"}}')

    async def analytics(request: web.BaseRequest) -> web.StreamResponse:
        await asyncio.sleep(draw.uniform(0.01, 0.08))
        return await draw.choices((well, limited, failing, refused), (90, 3, 4, 3))[0](request)

    receiver.by_path = {
        "/analytics": analytics,
        "/crm": answer(401, body=b'{"error":"invalid api key"}'),
        "/orders": well,
        "/ads": well,
        "/push": well,
    }


@asynccontextmanager
async def town(folder: Path, *, rate: float = 40, settings: tuple[str, ...] = ()) -> AsyncIterator[Town]:
    """The shop, open: relay in its own process, the receivers in this one."""
    arguments = [part for setting in settings for part in ("--set", setting)]
    async with Receiver() as receiver, aiohttp.ClientSession() as session:
        moods(receiver)
        (folder / PLAN_FILE).write_text(json.dumps(PLAN, indent=2))
        async with RelayProcess(folder, configuration(receiver), arguments=arguments) as relay:
            shop = Town(relay, receiver, session, rate)
            async with asyncio.TaskGroup() as group:
                trade = group.create_task(shop.trade())
                try:
                    yield shop
                finally:
                    trade.cancel()


async def main() -> None:
    """Keep the shop open for somebody who looks at the pages."""
    with tempfile.TemporaryDirectory(prefix="relay-town-") as folder:
        async with town(Path(folder), rate=float(sys.argv[1]) if len(sys.argv) > 1 else 40) as shop:
            print(f"ui {shop.relay.ui_url}/ui   token {shop.relay.cli_token}   folder {folder}", flush=True)
            await asyncio.Event().wait()


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
