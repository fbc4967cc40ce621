"""Tracking plans for people: what each says, what traffic makes of it, and every change of one, which goes into its file.

A change is checked as at the start, written beside the file and renamed over it, then taken into use by the publisher; what the publisher
refuses is put back. A large plan takes a second to check and to print, so that is done in a thread.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Protocol

from relay.access.operator import Operator
from relay.access.store import AuditRecord
from relay.base import jsonio
from relay.base.clock import Clock
from relay.config.locate_json import pointer
from relay.control.drift import DriftWatch, sources_of
from relay.control.infer import TrafficReader, plan_named
from relay.control.operate import Audit
from relay.control.plan_store import is_writable, write_over
from relay.control.plan_trouble import DAY_S, PlanTrouble, Totals, rules_for
from relay.control.publish import Publisher
from relay.errors import ConfigError, PlanError, RequestError
from relay.outbox.interface import Outbox, Seen
from relay.pipeline.compiled import Current
from relay.pipeline.inference import CALLS, extended, with_field
from relay.pipeline.shapes import EventShape
from relay.workspace.model import Source
from relay.workspace.plan_files import (
    Content,
    content_of,
    deprecated,
    diff_plans,
    differs,
    identity,
    path_keys,
    replaced,
    rule_content,
    rules_of,
    schema_at,
    to_json,
    unwrapped,
)
from relay.workspace.plan_rules import read_rules
from relay.workspace.rules import Plan, PlanRule, of_any_item

SEEN_NEWEST: Final = 20_000
SEEN_FRESH_S: Final = 30.0
ADD_SINCE_S: Final = 7 * DAY_S
"""How far back `add` looks for the event."""
VERSIONS_READ: Final = 100
HOURS: Final = (24, 168, 720)
ACTIONS: Final = ("add", "ignore", "block")
IGNORE: Final = "x-ignore"
"""In a rule's schema: fields whose violations are not shown; in the content itself: names of unplanned events that are not shown."""
Told = dict[str, Any]


class Versions(Protocol):
    """Where workspace versions are kept."""

    async def versions(self, limit: int) -> list[tuple[int, float, str]]: ...

    async def document(self, version: int) -> dict[str, Any] | None: ...


class Violations(Protocol):
    """What broke plans, counted."""

    async def groups(self, source_ids: Sequence[str], since_s: float) -> list[Told]: ...

    async def unplanned(self, source_ids: Sequence[str], since_s: float) -> list[Told]: ...


class Switches(Protocol):
    """What the UI switches off at a source."""

    async def change(self, slug: str, events: Mapping[str, Told], traits: Mapping[str, bool], by: Operator) -> Told:
        """Raises RequestError 409 where a file decides."""
        ...


class Plans:
    """Answers and orders of the plans page. Raises RequestError 404 for a plan that there is not."""

    def __init__(
        self,
        *,
        current: Current,
        outbox: Outbox,
        publisher: Publisher,
        versions: Versions,
        access: Audit,
        clock: Clock,
        reader: TrafficReader,
        watch: DriftWatch,
        violations: Violations,
        trouble: PlanTrouble,
        switches: Switches,
    ) -> None:
        self._current = current
        self._outbox = outbox
        self._publisher = publisher
        self._versions = versions
        self._access = access
        self._clock = clock
        self._reader = reader
        self._watch = watch
        self._violations = violations
        self._trouble = trouble
        self._switches = switches
        self._lock = asyncio.Lock()
        self._seen: dict[str, tuple[float, list[Seen]]] = {}

    async def ls(self) -> list[Told]:
        """Every plan, in the order of the configuration."""
        totals = await self._trouble.totals()
        return [await self._head(plan, totals) | {"rules": len(plan.rules)} for plan in self._current.compiled.workspace.plans]

    async def detail(self, slug: str) -> Told:
        """One plan with its rules, and how often each was met in the last day."""
        plan, totals = self._plan(slug), await self._trouble.totals()
        seen, broken = await self._seen_of(plan), self._trouble.broken(plan, totals)
        return await self._head(plan, totals) | {
            "rules": [_rule(rule, seen, broken) for rule in plan.rules],
            "version": self._current.compiled.version,
        }

    async def violations(self, slug: str, hours: int) -> Told:
        """What broke the plan, grouped; what is ignored is left out and counted as `ignored`."""
        plan = self._plan(slug)
        if hours not in HOURS:
            raise RequestError(400, "bad_request", f"hours must be {', '.join(map(str, HOURS[:-1]))} or {HOURS[-1]}.")
        sources, since_s = sorted(sources_of(self._current.compiled.workspace, slug)), self._clock.now() - hours * 3600
        names = frozenset((await self._content(plan)).get(IGNORE, ()))
        groups, unplanned = await self._violations.groups(sources, since_s), await self._violations.unplanned(sources, since_s)
        shown = [one for one in groups if not any(rule.ignores(one["field"]) for rule in rules_for(one, plan.rules))]
        strange = [one for one in unplanned if one["event"] not in names]
        return {"groups": shown, "unplanned": strange, "ignored": len(groups) - len(shown) + len(unplanned) - len(strange)}

    async def drift(self, slug: str) -> Told:
        """The last report; made now when there is none yet."""
        plan = self._plan(slug)
        return await self._watch.last(plan)

    async def history(self, slug: str, since: int = 0, until: int = 0) -> Told:
        """`{versions: [{version, at_s, by, rules, diff}]}`, newest first: the workspace versions in which the plan changed, each compared
        with the one before. With `since` and `until` (versions) `{diff}` between those two. Raises RequestError 404."""
        if since and until:
            before, after = [await self._stored(version, slug) for version in (since, until)]
            if before is None or after is None:
                raise RequestError(404, "not_found", f'Plan "{slug}" is not in version {since if before is None else until}.')
            return {"since": since, "until": until, "diff": diff_plans(before, after)}
        found: list[Told] = []
        later: Told | None = None
        for version, at_s, by in await self._versions.versions(VERSIONS_READ):
            content = await self._stored(version, slug)
            if later is not None and later["content"] != content:
                found.append(_version(later, content))
            later = {"version": version, "at_s": at_s, "by": by, "content": content}
        if later is not None:
            found.append(_version(later, None))
        found = [one for one in found if one is not None and (one["rules"] is not None)]
        if not found:
            raise RequestError(404, "not_found", f'There is no plan "{slug}", and none is remembered.')
        return {"versions": found}

    async def put(self, slug: str, content: Mapping[str, Any], by: Operator, *, dry_run: bool = False) -> Told:
        """Give a plan other rules: `{version, diff}`. Raises PlanError or ConfigError (mistakes), RequestError 409 (the file cannot be written)."""
        plan = self._plan(slug)
        async with self._lock:
            before = await self._content(plan)
            await asyncio.to_thread(self._check, content, plan.file)
            kept = [rule for rule in before["rules"] if deprecated(rule) and identity(rule) not in rules_of(content)]
            return await self._change(plan, before, dict(before) | {"rules": [*content["rules"], *kept]}, by, dry_run=dry_run)

    async def decide(self, slug: str, order: Mapping[str, str], by: Operator, *, dry_run: bool = False) -> Told:
        """What becomes of an event or a field that broke the plan. `order`: `{action, type, event, field}`, unused ones empty."""
        plan = self._plan(slug)
        if order["action"] == "block":
            return await self._block(plan, order, by, dry_run=dry_run)
        async with self._lock:
            before = await self._content(plan)
            after = await self._added(plan, before, order) if order["action"] == "add" else _ignored(before, order)
            if not differs(diff_plans(before, after)) and before.get(IGNORE) == after.get(IGNORE):
                raise RequestError(409, "nothing_to_change", "The plan already says so; edit its rule by hand.")
            await asyncio.to_thread(self._check, after, plan.file)
            return await self._change(plan, before, after, by, dry_run=dry_run)

    async def _change(self, plan: Plan, before: Content, after: Content, by: Operator, *, dry_run: bool = False) -> Told:
        diff = await asyncio.to_thread(diff_plans, before, after)
        if not dry_run:
            await self._write(plan, after, by, diff)
        named = {identity(one) for part in ("added", "changed") for one in diff[part]}
        rules = [rule for one, rule in rules_of(after).items() if one in named]
        return {"version": self._current.compiled.version, "diff": diff, "rules": rules}

    def _check(self, content: Mapping[str, Any], file: str) -> None:
        """Raises PlanError; lines and columns are those of the content as JSON with two spaces, which is what an editor shows."""
        try:
            body = jsonio.dumps({"rules": content.get("rules")}, option=jsonio.INDENT)
        except TypeError as error:
            raise RequestError(400, "too_deep", "The plan is nested too deep.") from error
        slugs = [destination.slug for destination in self._current.compiled.workspace.destinations]
        if mistakes := read_rules(file, body, slugs).mistakes:
            raise PlanError([(pointer(mistake.keys), mistake.problem) for mistake in mistakes])

    async def _write(self, plan: Plan, after: Content, by: Operator, diff: Mapping[str, Sequence[Any]]) -> None:
        path = Path(plan.file)
        try:
            old = await asyncio.to_thread(lambda: write_over(path, to_json(after).encode()))
        except OSError as error:
            where = f", configured at {plan.place}" if plan.place else ""
            message = f"{path} cannot be written ({error.strerror}): change the plan there{where}."
            raise RequestError(409, "read_only", message, place=plan.place) from error
        try:
            await self._publisher.reload(by)
        except ConfigError:
            await asyncio.to_thread(write_over, path, old)
            raise
        counts = ", ".join(f"{len(diff[part])} {part}" for part in ("added", "removed", "changed") if diff[part])
        await self._access.audit(AuditRecord(self._clock.now(), by.name, "plan.change", plan.slug, counts))

    async def _added(self, plan: Plan, before: Content, order: Mapping[str, str]) -> Content:
        call, name = _call(order), order["event"]
        wanted = (call, name if call == "track" else "")
        sources = sources_of(self._current.compiled.workspace, plan.slug)
        reading = await self._reader.read(sources, self._clock.now() - ADD_SINCE_S, only=wanted)
        event = reading.traffic.events.get(wanted)
        if event is None:
            raise RequestError(404, "not_found", "No such event is stored of the last 7 days; edit the plan by hand.")
        rules = [rule for (kind, key, _), rule in rules_of(before).items() if CALLS.get(kind) == call and key == wanted[1]]
        if not order["field"] or not rules:
            return extended(before, [event])
        oldest = min(rules, key=lambda rule: identity(rule)[2])  # the one that events without a version are checked by
        path = seen_path(event, order["field"])
        if event.at(path) is None and schema_at(oldest["jsonSchema"], path) is None:
            raise RequestError(404, "not_found", f"{order['field']} is in no stored event of the last 7 days; edit the plan by hand.")
        return replaced(before, [with_field(oldest, event, path)])

    async def _block(self, plan: Plan, order: Mapping[str, str], by: Operator, *, dry_run: bool) -> Told:
        """An event is switched off at every source of the plan; how strict a source is about fields, its file says: then with `toml`, what to write."""
        call = _call(order)
        sources = [source for source in self._current.compiled.workspace.sources if source.plan == plan.slug]
        if order["field"] and call not in ("track", "identify", "group"):
            raise RequestError(409, "cannot_block", f"A {call} call cannot be blocked by its plan; use a destination filter.")
        if order["field"]:
            name = "allowEventOnViolations" if call == "track" else "allowTraitsOnViolations"
            told: Told = {
                "blocked": [],
                "toml": f"[source.schema]\n{call} = {{ {name} = false }}",
                "sources": [_placed(source) for source in sources],
            }
        else:
            if call != "track":
                raise RequestError(409, "cannot_block", "Only track calls are blocked by their name; use a destination filter.")
            for source in () if dry_run else sources:
                await self._switches.change(source.slug, {order["event"]: {"enabled": False}}, {}, by)
            told = {"blocked": [source.slug for source in sources], "toml": "", "sources": []}
        return {"version": self._current.compiled.version, "diff": diff_plans({}, {}), **told}

    async def _head(self, plan: Plan, totals: Totals) -> Told:
        sources = [source.slug for source in self._current.compiled.workspace.sources if source.plan == plan.slug]
        return {
            "slug": plan.slug,
            "name": plan.name,
            "file": plan.file,
            "sources": sources,
            "violations_24h": self._trouble.broken(plan, totals).total(),
            "editable": await asyncio.to_thread(is_writable, Path(plan.file)),
        }

    async def _seen_of(self, plan: Plan) -> list[Seen]:
        """What the plan's sources sent in the last day; of the log's newest events."""
        now_s, found = self._clock.monotonic(), list[Seen]()
        for source_id in sources_of(self._current.compiled.workspace, plan.slug):
            kept = self._seen.get(source_id)
            if kept is None or now_s - kept[0] >= SEEN_FRESH_S:
                seen = await self._outbox.history.seen(source_id, since_s=self._clock.now() - DAY_S, newest=SEEN_NEWEST)
                kept = self._seen[source_id] = (now_s, seen)
            found += kept[1]
        self._seen = {source_id: kept for source_id, kept in self._seen.items() if now_s - kept[0] < SEEN_FRESH_S}
        return found

    async def _content(self, plan: Plan) -> Content:
        """What the file holds now, with what rules do not know of; the plan in use when the file is gone or broken."""
        try:
            found = unwrapped(jsonio.loads(await asyncio.to_thread(Path(plan.file).read_bytes)))
        except (OSError, ValueError):
            found = None
        return content_of(plan) if found is None else found

    async def _stored(self, version: int, slug: str) -> Content | None:
        document = await self._versions.document(version)
        plans = (document or {}).get("plans") or []
        found = next((plan for plan in plans if plan["slug"] == slug), None)
        if found is None:
            return None
        return {"rules": [rule_content(PlanRule(one["type"], one["schema"], one["key"], one["version"])) for one in found["rules"]]}

    def _plan(self, slug: str) -> Plan:
        return plan_named(self._current.compiled.workspace.plans, slug)


def seen_path(event: EventShape, field: str) -> tuple[str, ...]:
    """The path of a violation's field in the shape of its event: an index of a list stands for all its items. Raises RequestError 400."""
    try:
        keys = path_keys(field)
    except ValueError as error:
        raise RequestError(400, "bad_request", f"field is no path: {error}.") from error
    path: tuple[str, ...] = ()
    for key in keys:
        found = event.at(path) if path else None
        path = (*path, "$" if key.isdigit() and found is not None and found[0].items is not None else key)
    return path


def _ignored(before: Content, order: Mapping[str, str]) -> Content:
    name, field = order["event"], order["field"]
    kind = _call(order).upper()
    if not field:
        return dict(before) | {IGNORE: sorted({*before.get(IGNORE, ()), name})}
    rules = [rule for (one, key, _), rule in rules_of(before).items() if one == kind and key == (name if kind == "TRACK" else "")]
    rules = rules or [rule for (one, _, _), rule in rules_of(before).items() if one == "COMMON"]
    if not rules:
        raise RequestError(404, "not_found", "The plan has no rule for this event; ignore the event itself.")
    return replaced(before, [_with_ignored(rule, of_any_item(field)) for rule in rules])


def _with_ignored(rule: Mapping[str, Any], field: str) -> Content:
    schema = rule["jsonSchema"]
    return dict(rule) | {"jsonSchema": dict(schema) | {IGNORE: sorted({*rule.get(IGNORE, ()), *schema.get(IGNORE, ()), field})}}


def _call(order: Mapping[str, str]) -> str:
    call = CALLS.get(order["type"].upper() or "TRACK", "")
    if not call:
        raise RequestError(400, "bad_request", f"type must be one of {', '.join(CALLS)}.")
    if call == "track" and not order["event"]:
        raise RequestError(400, "bad_request", "Name the event.")
    return call


def _rule(rule: PlanRule, seen: Iterable[Seen], broken: Mapping[tuple[str, str], int]) -> Told:
    call = CALLS.get(rule.type, "")
    found = [one for one in seen if one.type == call and (not rule.key or one.name == rule.key)]
    return {
        "type": rule.type,
        "key": rule.key,
        "version": rule.version,
        "jsonSchema": rule.schema,
        "why": rule.why,
        "owner": ", ".join(rule.owners),
        "destinations": list(rule.destinations),
        "seen_24h": sum(one.n for one in found),
        "last_seen_s": max((one.last_ms for one in found), default=0) / 1000 or None,
        "violations_24h": broken.get((call, rule.key), 0),
    }


def _placed(source: Source) -> Told:
    return {"source": source.slug} | ({"file": source.place.file, "line": source.place.line} if source.place else {"file": "", "line": 0})


def _version(later: Mapping[str, Any], before: Content | None) -> Told:
    content = later["content"]
    return {
        "version": later["version"],
        "at_s": later["at_s"],
        "by": later["by"],
        "rules": len(content["rules"]) if content is not None else None,
        "diff": diff_plans(before or {"rules": []}, content or {"rules": []}),
    }
