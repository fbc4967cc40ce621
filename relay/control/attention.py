"""What a person should look at first, in one line each. Pure; alerts are apart: they have thresholds, history and carriers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from relay.base.codes import meaning_of

SUCCESS_LOW: Final = 0.95
SUCCESS_BAD: Final = 0.5
OLD_S: Final = 900.0
REJECTED_SHARE: Final = 0.05
FEW: Final = 20
"""Below that many a share says nothing."""
LEVELS: Final = ("bad", "warn", "info")


@dataclass(frozen=True, slots=True)
class Attention:
    """`level`: one of LEVELS; `href`: the page that says more."""

    level: str
    text: str
    href: str


@dataclass(frozen=True, slots=True)
class Concern:
    """One destination, as far as it may need attention."""

    slug: str
    name: str
    state: str
    hold_code: str | None
    held_by: str | None
    success: float | None
    attempts: int
    """Of the period that `success` is of."""
    oldest_s: float
    pending: int
    dead: int
    balance_ok: bool

    @staticmethod
    def of(row: Mapping[str, Any]) -> "Concern":
        return Concern(**{name: row[name] for name in Concern.__slots__})


def concerns(
    now_s: float, destinations: Sequence[Concern], sources: Sequence[Mapping[str, Any]], plans: Sequence[tuple[str, str, int]] = ()
) -> list[Attention]:
    """The worst first. `plans`: (slug, name, violations of the last day)."""
    found = [one for destination in destinations for one in _destination(now_s, destination)]
    found += [one for source in sources for one in _source(source)]
    found += [_plan(*plan) for plan in plans]
    return sorted(found, key=lambda one: LEVELS.index(one.level))


def _destination(now_s: float, one: Concern) -> list[Attention]:
    href, found = f"/ui/destinations/{quote(one.slug, safe='')}", []
    if not one.balance_ok:
        found.append(Attention("bad", f"{one.name}: the books do not balance; run relay doctor", href))
    if one.state == "held" and one.held_by == "user":
        found.append(Attention("info", f"{one.name} is held by a person, {_waiting(one)}", href))
    elif one.state == "held":
        found.append(Attention("bad", f"{one.name} is held: {meaning_of(one.hold_code or '')}, {_waiting(one)}", href))
    elif one.state == "breaker_open":
        found.append(Attention("bad", f"{one.name} does not answer; relay probes it, {_waiting(one)}", href))
    elif one.success is not None and one.attempts >= FEW and one.success < SUCCESS_LOW:
        found.append(Attention("bad" if one.success < SUCCESS_BAD else "warn", f"{one.name}: {one.success:.0%} of the attempts succeed", href))
    elif one.state == "running" and one.oldest_s and now_s - one.oldest_s > OLD_S:
        found.append(Attention("warn", f"{one.name} is {_age(now_s - one.oldest_s)} behind, {_waiting(one)}", href))
    if one.dead:
        found.append(Attention("warn", f"{one.name} has {one.dead:,} dead letter{'' if one.dead == 1 else 's'}", href))
    return found


def _source(one: Mapping[str, Any]) -> list[Attention]:
    came = one["accepted"] + one["rejected"] + one["blocked"]
    if came < FEW or not one["rejected"] or one["rejected"] < REJECTED_SHARE * came:
        return []
    text = f"{one['name']}: {one['rejected'] / came:.0%} of the messages are rejected"
    return [Attention("warn", text, f"/ui/sources/{quote(str(one['slug']), safe='')}")]


def _plan(slug: str, name: str, violations: int) -> Attention:
    text = f"{name}: {violations:,} violation{'' if violations == 1 else 's'} of the plan in 24 h"
    return Attention("warn", text, f"/ui/plans/{quote(slug, safe='')}")


def _waiting(one: Concern) -> str:
    return f"{one.pending:,} wait" if one.pending != 1 else "1 waits"


def _age(seconds: float) -> str:
    for span_s, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= span_s:
            return f"{seconds / span_s:.0f} {unit}"
    return f"{seconds:.0f} s"
