"""An alert of relay as a card: title, sentence, facts, cure, sample. Chat and mail destinations lay it out, each in its own way. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

NAMES: Final[Mapping[str, str]] = {
    "Alert Fired": "firing",
    "Alert Reminded": "still firing",
    "Alert Resolved": "resolved",
    "Plan Drift Reported": "report",
}
TRIGGER: Final = 'type = "track" and (' + " or ".join(f'event = "{name}"' for name in NAMES) + ")"
"""Matches relay's alerts and reports, for presets."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a person should see. Every text is plain: the layout escapes it."""

    state: str
    """`firing`, `still firing`, `resolved` or `report`."""
    title: str
    text: str
    facts: tuple[tuple[str, str], ...]
    """Label and value."""
    cure: str
    sample: str
    """What the receiver answered; empty: nothing was kept."""
    url: str

    @property
    def is_over(self) -> bool:
        return self.state == "resolved"


def card_of(name: str, properties: Mapping[str, Any]) -> Card:
    """The card of an alert's event; what is missing or of another type is left out."""
    subject = properties.get("subject")
    slug = str(subject.get("slug") or "") if isinstance(subject, Mapping) else ""
    state = NAMES.get(name, "firing")
    title = f"{'[test] ' if properties.get('test') is True else ''}{slug}: {properties.get('rule') or 'alert'} ({state})"
    facts = [("Cause", _text(properties, "cause")), ("Owner", _names(properties.get("owners"))), ("Since", _time(_text(properties, "opened_at")))]
    if state == "resolved":
        facts = [("Began", _time(_text(properties, "opened_at"))), ("Lasted", _span(properties.get("lasted_s")))]
    change = properties.get("change")
    if isinstance(change, Mapping) and state != "resolved":
        named = ", ".join(str(one) for one in change.get("changed") or ()) or "nothing that is named"
        facts.append(("Changed just before", f"workspace version {change.get('version')} by {change.get('by')}: {named}"))
    sample = properties.get("sample")
    answer = ""
    if isinstance(sample, Mapping) and state != "resolved":
        status = sample.get("status")
        answer = f"{status if status is not None else sample.get('code') or ''} {sample.get('answer') or ''}".strip()
    cure = "" if state == "resolved" else _text(properties, "cure")
    told = _text(properties, "text")
    text = f"It is over. It was: {told}" if state == "resolved" else told
    return Card(state, title, text, tuple((label, value) for label, value in facts if value), cure, answer, _text(properties, "url"))


def _text(properties: Mapping[str, Any], name: str) -> str:
    value = properties.get(name)
    return value if isinstance(value, str) else ""


def _names(value: Any) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else ""


def _time(iso: str) -> str:
    """`2026-11-25 09:31 UTC` of an ISO time in UTC."""
    return f"{iso[:10]} {iso[11:16]} UTC" if len(iso) == 24 and iso.endswith("Z") else iso


def _span(seconds: Any) -> str:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or seconds < 0:
        return ""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {name}{'' if count == 1 else 's'}"
    return "less than a second"
