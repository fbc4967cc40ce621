"""The dashboard, the alerts and the list of metrics name what relay exports, all of it and nothing else."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from relay.observe.metrics import COUNTERS, GAUGES, HISTOGRAMS, STATES, DestinationFigures, Metrics, Snapshot
from relay.observe.tallies import Totals

CONF = Path(__file__).parents[2] / "conf"
ALERTS, DASHBOARD, LIST = CONF / "prometheus/alerts.yml", CONF / "grafana/relay.json", CONF / "prometheus/README.md"
NAME = re.compile(r"\b(?:relay|process)_[a-z_]+\b(?!\()")
ENDS = ("_bucket", "_sum", "_count")
PARTS = {f"{name}{end}" for name in HISTOGRAMS for end in ENDS}


def exported() -> dict[str, str]:
    """Every metric by name, and what it says of itself."""
    figures = DestinationFigures("orders", "held", "open", 10, 3, 1, 1, 2, 42.5)
    text = Metrics(Totals(), version="1").render(Snapshot((figures,), {}, 1, 1, 0.1)).decode()
    families = text_string_to_metric_families(text)
    return {f"{one.name}_total" if one.type == "counter" else one.name: one.documentation for one in families}


@pytest.mark.parametrize("file", [ALERTS, DASHBOARD], ids=lambda file: file.name)
def test_only_what_is_exported_is_asked_for(file: Path) -> None:
    asked = set(NAME.findall(file.read_text()))
    assert len(asked) > 10
    assert asked <= exported().keys() | PARTS


def test_the_dashboard_shows_every_metric_of_events_and_deliveries() -> None:
    shown = {re.sub("|".join(f"{end}$" for end in ENDS), "", name) for name in NAME.findall(DASHBOARD.read_text())}
    left_out = {"relay_entries_accepted_total", "relay_alerts_fired_total", "relay_breaker_state"}
    assert {name for name in exported() if name.startswith("relay_")} - shown == left_out


def test_the_dashboard_is_whole() -> None:
    board: dict[str, Any] = json.loads(DASHBOARD.read_text())
    panels = board["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    places = [(panel["gridPos"]["y"], panel["gridPos"]["x"]) for panel in panels]
    assert places == sorted(set(places)), "no panel lies on another"
    assert all(target["expr"] and target["legendFormat"] for panel in panels if panel["type"] != "row" for target in panel["targets"])


def test_the_states_that_alerts_wait_for_exist() -> None:
    states = re.findall(r'destination_state\{[^}]*state=~?"([^"]+)"', ALERTS.read_text() + DASHBOARD.read_text().replace('\\"', '"'))
    assert {state for some in states for state in some.split("|")} <= set(STATES)


def test_every_metric_is_in_the_list_with_its_labels() -> None:
    rows = re.findall(r"^\| `(relay_\w+)` \| \w+ \| ([\w, ]*) \| (.+) \|$", LIST.read_text(), re.MULTILINE)
    told = {name: text for name, _, text in rows}
    assert told == {name: text for name, text in exported().items() if name.startswith("relay_")}
    labels = {name: tuple(filter(None, some.split(", "))) for name, some, _ in rows}
    for name, (_, wanted, *_) in {**COUNTERS, **GAUGES, **HISTOGRAMS}.items():
        assert labels[name] == wanted, name
