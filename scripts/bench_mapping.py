"""Measures events through trigger, mapping and action of one destination: the cases of its folder again and again, with no network.

Asked for one round by a line on stdin (how many seconds), it answers with one JSON line; the end of stdin ends it.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import GeneratorType
from typing import Any

from relay.base import jsonio
from relay.base.event import Event, event_of
from relay.base.secret import Secret
from relay.destinations import load_catalog
from relay.errors import PayloadError
from relay.kit.definition import Catalog, Delivery
from relay.pipeline.compiled import CompiledDestination, compile_workspace
from relay.pipeline.decision import Drop, Sourced
from relay.pipeline.destination_side import destination_side
from relay.workspace.model import Destination, Source, Subscription, Workspace

DESTINATIONS = Path(__file__).resolve().parent.parent / "relay" / "destinations"
SENT_S = 1_768_478_400.0


def compiled_of(slug: str, case: dict[str, Any], catalog: Catalog) -> CompiledDestination:
    """Every action with its default trigger and mapping, as a case's `{"actions": [..]}`; a case's own list as it is."""
    definition = catalog[slug]
    given = case["subscriptions"]
    items = given if isinstance(given, list) else [{"action": name} for name, action in definition.actions.items() if action.default_trigger]
    subscriptions = tuple(
        Subscription(
            f"s{number}", item["action"], item["action"], item.get("trigger") or definition.actions[item["action"]].default_trigger,
            item.get("overrides", {}),
        )
        for number, item in enumerate(items)
    )  # fmt: skip
    secrets = {setting.name for setting in definition.settings if setting.secret}
    settings = {setting.name: setting.default for setting in definition.settings if setting.default is not None}
    settings |= {name: Secret(value) if name in secrets else value for name, value in case["settings"].items()}
    destination = Destination("bench", "bench", slug, slug, ("bench",), True, settings, subscriptions)
    return compile_workspace(Workspace(1, (Source("bench", "bench", "bench", ()),), (destination,)), catalog).destinations["bench"]


def events_of(cases: list[dict[str, Any]]) -> Iterator[Event]:
    for number, payload in enumerate(one for case in cases for one in case.get("events", [case.get("event")])):
        whole = {"messageId": f"bench-{number}", **payload}
        yield event_of(whole, "bench", 0, jsonio.dumps(whole))


def send(event: Event, compiled: CompiledDestination) -> int:
    """How many requests the event makes."""
    decided = destination_side(Sourced(1, event), compiled)
    if isinstance(decided, Drop):
        return 0
    count = 0
    for unit in decided:
        if unit.action is None or unit.action.perform is None or unit.problem:
            continue
        try:
            performed = unit.action.perform(compiled.destination.settings, Delivery(unit.fields, unit.event, SENT_S))
            if isinstance(performed, GeneratorType):
                next(performed, None)
                performed.close()
        except PayloadError:
            continue
        count += 1
    return count


def main() -> None:
    """Warm up, then answer each order."""
    slug = json.loads(sys.argv[2])["slug"]
    cases = json.loads((DESTINATIONS / slug.replace("-", "_") / "cases.json").read_text())
    compiled = compiled_of(slug, cases[0], load_catalog())
    events = list(events_of(cases))
    for line in sys.stdin:
        end, count, requests = time.monotonic() + float(line), 0, 0
        began, cpu = time.monotonic(), time.process_time()
        while time.monotonic() < end:
            for event in events:
                requests += send(event, compiled)
            count += len(events)
        told = {"events": count, "requests": requests, "seconds": time.monotonic() - began, "cpu_s": time.process_time() - cpu}
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
