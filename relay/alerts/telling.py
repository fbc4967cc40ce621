"""The words of an alert: what is wrong, why, and what to do. Pure."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from relay.alerts.rules import Signal
from relay.base.codes import ADVICE, advice_of, meaning_of
from relay.workspace.alert_rules import KINDS

SAMPLE_CHARS: Final = 500

_CURES: Final[Mapping[str, str]] = {
    "success_rate": "Look at the error groups of {slug} (`relay why` of one event shows request and answer), then mend the settings or the mapping.",
    "backlog_age": "Look whether {slug} is slow or limited (rate_per_s, concurrency); events wait and are not lost.",
    "dead": "See what they have in common with `relay dead ls --to {slug}`, mend it, then `relay dead resend --to {slug}`.",
    "held": "Then `relay resume {slug}`, if it does not go on by itself.",
    "breaker_open": "`relay resume {slug}` tries at once.",
    "rejected_share": "Open {slug} in the UI: the codes say which app sends what is refused.",
    "volume_change": "Check the apps that send to {slug}: a release, a consent banner, or a loop.",
    "source_silent": "Check the apps that send to {slug}, their write key and the address they send to: `relay send track --source {slug}` tries it.",
    "violations": "Look at the violations of {slug} by event and rule, then mend the app or the plan.",
    "disk": "Make room on the disk, or raise max_db_bytes; `relay doctor` shows what uses it.",
    "actor_restarts": "Look for `actor.crashed` in relay's log and report the traceback; events wait meanwhile.",
    "balance": "Keep the data folder as it is, run `relay doctor`, and report what it says.",
}


def describe(signal: Signal) -> str:
    """One sentence: who, what, how much."""
    return _SENTENCES[signal.kind](signal)


def cause_of(signal: Signal, code: str) -> str:
    """Why, as far as a code tells it; empty when nothing is known."""
    return f"{meaning_of(code)} ({code})" if code else ""


def offences_text(offences: Sequence[Mapping[str, Any]]) -> str:
    """Which rules of a plan were broken, by which fields, and who looks after them."""
    return "; ".join(_offence(one) for one in offences)


def _offence(one: Mapping[str, Any]) -> str:
    owners = f" (owner: {', '.join(one['owners'])})" if one["owners"] else ""
    name = one["rule"] or one["event"] or one["type"]
    return f"{name}: {', '.join(dict.fromkeys(one['fields']))}, {_count(one['count'], 'event')}{owners}"


def cure_of(signal: Signal, code: str) -> str:
    """What to do: by the code, and by the kind of rule."""
    by_kind = _CURES[signal.kind].format(slug=signal.slug)
    first = advice_of(code) if code in ADVICE or code.isdigit() else ""
    if not first:
        return by_kind
    return first if signal.kind == "held" and code == "user" else f"{first} {by_kind}"


def unit_of(kind: str) -> str:
    return KINDS[kind].unit


def _share(value: float) -> str:
    percent = value * 100
    return f"{percent:.0f} %" if percent >= 10 or percent == 0 else f"{percent:.1f} %"


def _count(number: Any, noun: str) -> str:
    return f"{number:,.0f} {noun}" + ("" if number == 1 else "s")


def span_text(seconds: float) -> str:
    """`40 seconds`, `21 minutes`, `3 hours`, `2 days`."""
    for size, name in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= 2 * size or (seconds >= size and size == 60):
            return _count(seconds // size, name)
    return _count(max(0, int(seconds)), "second")


def _window(signal: Signal) -> str:
    return f"the last {span_text(signal.rule.window_m * 60)}"


def _success_rate(signal: Signal) -> str:
    attempts = _count(signal.facts["attempts"], "attempt")
    return f"{signal.slug}: {_share(signal.value)} of {attempts} in {_window(signal)} were delivered; the least is {_share(signal.rule.threshold)}."


def _backlog_age(signal: Signal) -> str:
    pending = _count(signal.facts["pending"], "event")
    return f"{signal.slug}: {pending} wait, the oldest for {span_text(signal.value)}; the most is {span_text(signal.rule.threshold)}."


def _held(signal: Signal) -> str:
    status = f" (status {signal.facts['status']})" if signal.facts.get("status") else ""
    who = "by a person" if signal.facts.get("by") == "user" else "by relay"
    return f"{signal.slug} is held {who}{status}; {_count(signal.facts['pending'], 'event')} wait."


def _volume_change(signal: Signal) -> str:
    now, before = _count(signal.facts["now"], "event"), f"{signal.facts['before']:,}"
    sign = "+" if signal.value > 0 else "-"
    return f"{signal.slug}: {now} in {_window(signal)}, {before} in the time before ({sign}{_share(abs(signal.value))})."


def _disk(signal: Signal) -> str:
    if signal.facts.get("closed"):
        return f"relay takes no events: {signal.facts['closed']}."
    if signal.facts.get("database"):
        return f"The database uses {_share(signal.value)} of max_db_bytes."
    return f"The disk is nearly full: min_free_bytes is {_share(signal.value)} of what is free."


_SENTENCES: Final[Mapping[str, Callable[[Signal], str]]] = {
    "success_rate": _success_rate,
    "backlog_age": _backlog_age,
    "dead": lambda signal: f"{signal.slug}: {_count(signal.value, 'event')} ended dead in {_window(signal)}.",
    "held": _held,
    "breaker_open": lambda signal: f"{signal.slug} keeps failing, so relay only probes it; {_count(signal.facts['pending'], 'event')} wait.",
    "rejected_share": lambda signal: (
        f"{signal.slug}: {_share(signal.value)} of {_count(signal.facts['messages'], 'message')} in {_window(signal)} were refused;"
        f" the most is {_share(signal.rule.threshold)}."
    ),
    "volume_change": _volume_change,
    "source_silent": lambda signal: (
        f"{signal.slug}: {_count(signal.value, 'event')} in {_window(signal)}; at this time yesterday there were {signal.facts['day_ago']:,}."
    ),
    "violations": lambda signal: f"{signal.slug}: {_count(signal.value, 'event')} broke the tracking plan in {_window(signal)}.",
    "disk": _disk,
    "actor_restarts": lambda signal: f"{signal.slug}: its worker crashed {_count(signal.value, 'time')} in {_window(signal)}.",
    "balance": lambda signal: f"{signal.slug}: the books do not balance; what came in is not what left plus what waits.",
}
