"""Measures events through the whole pipeline, intake to mapping, with no network: bare, and with each kind of rule.

Asked for one round by a line on stdin (how many seconds), it answers with one JSON line; the end of stdin ends it.
"""

import json
import sys
import time
from pathlib import Path
from typing import Any

from relay.destinations import load_catalog
from relay.pipeline.compiled import Compiled, compile_workspace
from relay.pipeline.destination_side import destination_side
from relay.pipeline.intake import Client, Limits, accept, time_text
from relay.pipeline.source_side import source_side
from relay.workspace.assemble import load

RULES = 200
FILTERS = 10
DESTINATIONS = 2
CASES = ("bare", "plan", "filters", "transformations", "privacy", "plan_and_filters", "everything")
NAMES = ("Order Completed", "Product Viewed", "Checkout Started", "Signed Up")
RECEIVED_MS = 1_768_478_400_000


def plan() -> str:
    """A plan of 200 events, each with eight properties, three of them required."""
    types: dict[str, Any] = {"total": {"type": "number", "minimum": 0}, "currency": {"type": "string", "pattern": "^[A-Z]{3}$"}}
    types |= {"coupon": {"type": ["string", "null"]}, "step": {"type": "integer"}, "is_gift": {"type": "boolean"}}
    types |= {"order_id": {"type": "string"}, "email": {"type": "string"}, "products": {"type": "array", "items": {"type": "object"}}}
    schema = {"type": "object", "properties": {"properties": {"type": "object", "properties": types, "required": ["order_id", "total", "currency"]}}}
    names = [*NAMES, *(f"Event {number}" for number in range(RULES - len(NAMES)))]
    return json.dumps({"rules": [{"type": "TRACK", "key": name, "version": 1, "jsonSchema": schema} for name in names]})


def config(case: str, folder: Path) -> str:
    """One source and two destinations under the rules of a case."""
    has = (
        {case}
        if case not in ("plan_and_filters", "everything")
        else {"plan", "filters"} | ({"transformations", "privacy"} if case == "everything" else set())
    )
    source = ['[[source]]\nslug = "app"\nwrite_key = "wk_bench"']
    parts = []
    if "plan" in has:
        (folder / "plan.json").write_text(plan())
        parts.append('[[plan]]\nslug = "shop"\nfile = "plan.json"')
        source.append('plan = "shop"\nschema = { track = { allowUnplannedEvents = false, allowEventOnViolations = false } }')
    if "privacy" in has:
        source.append('privacy = { block = ["red"] }')
    if "transformations" in has:
        renames = 'propertyRenames = [{ oldName = "properties.total", newName = "properties.value" }]'
        source.append(f"[[source.transformation]]\nif = \"event = 'Signed Up'\"\n{renames}")
    parts.append("\n".join(source))
    for number in range(DESTINATIONS):
        parts.append(f'[[destination]]\nslug = "d{number}"\ntype = "webhook"\nsettings = {{ url = "https://hooks.example.com/{number}" }}')
        if "privacy" in has:
            parts.append('privacy = { mask = ["yellow"] }')
        if "filters" in has:
            never = '[[destination.filter]]\nif = "event = \'Event {0}\' and properties.total > {0}"\nactions = [{{ type = "DROP" }}]'
            parts += [never.format(rule) for rule in range(FILTERS - 1)]
            drop = '[{ type = "DROP_PROPERTIES", fields = { properties = ["coupon"] } }]'
            parts.append(f"[[destination.filter]]\nif = \"type = 'track' and contains(properties.currency, 'U')\"\nactions = {drop}")
        if "transformations" in has:
            values = 'propertyValueTransformations = [{ propertyPaths = ["properties.shop"], propertyValue = "main" }]'
            parts.append(f"[[destination.transformation]]\nif = \"event = 'Order Completed'\"\n{values}")
    return "\n".join(parts) + "\n"


def compiled_of(case: str, folder: Path) -> Compiled:
    """The workspace of a case, read as relay reads it."""
    path = folder / f"{case}.toml"
    path.write_text(config(case, folder))
    catalog = load_catalog()
    return compile_workspace(load(path, catalog, environment={}).workspace, catalog)


def message(number: int) -> dict[str, Any]:
    """A track call of about 900 bytes."""
    products = [{"product_id": f"p{item}", "price": 9.5 + item, "name": "A product of the shop", "quantity": 1} for item in range(3)]
    return {
        "type": "track",
        "event": NAMES[number % len(NAMES)],
        "messageId": f"bench-{number}",
        "userId": f"user-{number % 500}",
        "timestamp": "2026-01-15T12:00:00.000Z",
        "context": {"library": {"name": "bench", "version": "1"}, "locale": "de-DE", "page": {"path": "/checkout", "url": "https://shop.example.com/checkout"}},
        "properties": {
            "order_id": f"o-{number}", "total": 39.95, "currency": "EUR" if number % 2 else "USD", "coupon": "WINTER", "step": 2, "is_gift": False,
            "email": "kim@example.com", "products": products,
        },
    }  # fmt: skip


def run(compiled: Compiled, messages: list[dict[str, Any]]) -> int:
    """A batch through intake, source side and every destination; how many units it makes."""
    source, text = compiled.sources["app"], time_text(RECEIVED_MS)
    events, _ = accept(
        messages, {}, source, received_ms=RECEIVED_MS, received_text=text, client=Client(), limits=Limits(), new_id=lambda: "x",
    )  # fmt: skip
    units = 0
    for seq, event in enumerate(events):
        sourced = source_side(seq, event, source)
        for destination in compiled.destinations.values():
            decided = destination_side(sourced, destination)
            units += len(decided) if isinstance(decided, list) else 0
    return units


def main() -> None:
    """Warm up, then answer each order."""
    spec = json.loads(sys.argv[2])
    compiled = compiled_of(spec["case"], Path(spec["folder"]))
    bodies = [json.dumps(message(number)) for number in range(100)]
    for line in sys.stdin:
        count = units = 0
        used, end = 0.0, time.monotonic() + float(line)
        began = time.monotonic()
        while time.monotonic() < end:
            messages = [json.loads(body) for body in bodies]
            cpu = time.process_time()
            units += run(compiled, messages)
            used += time.process_time() - cpu
            count += len(bodies)
        print(json.dumps({"events": count, "units": units, "seconds": time.monotonic() - began, "cpu_s": used}), flush=True)


if __name__ == "__main__":
    main()
