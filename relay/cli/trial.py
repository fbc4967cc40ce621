"""Cases through trigger, mapping and action with no network: what `relay try` runs, and what each destination is tested with.

A case: `{id, destination, settings, subscriptions, event | events, answers?, now?, oauth?, overrides_all?, expect?, brand_paths?, optional_paths?}`.
`subscriptions` is `"presets"`, `{"actions": [..]}` (each with its default trigger) or a list of `{action, trigger, mapping, overrides}`; `mapping` is
`"default"` or an object. The result has the shape of `expect`, where `results` says in one word how each event ends: delivered, retry, hold, dead
or split (a batch that is sent again in halves). Of what is no HTTP API, `events` stands for the requests: what it is handed; of a warehouse `rows`.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from relay.base import jsonio
from relay.base.event import event_of
from relay.base.secret import Secret
from relay.delivery.attempt import Answer, attempt
from relay.delivery.verdict import judge
from relay.errors import ConfigError
from relay.kit.definition import Catalog, Definition, Preset
from relay.kit.request import Request, Response
from relay.kit.warehouse import rows_of
from relay.pipeline.compiled import CompiledDestination, compile_workspace
from relay.pipeline.decision import Drop, Sourced, Unit
from relay.pipeline.destination_side import destination_side
from relay.workspace.model import Destination, Source, Subscription, Workspace

TRANSPORT_HEADERS: Final = frozenset(("user-agent", "host", "accept", "accept-encoding", "content-length", "connection"))
JSON_FORM_VALUES: Final = frozenset(("data", "identification", "mapping"))
"""Form values that hold JSON text: compared as JSON."""
MESSAGES_MAX: Final = 10
OK: Final = Response(200, {"content-type": "application/json"}, b"{}")

Case = Mapping[str, Any]
Result = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Wanted:
    """A subscription of a case, and what the result calls it."""

    subscription: Subscription
    preset: str = ""


class Script:
    """A transport that answers from a list, then 200 `{}`; it keeps what was asked."""

    def __init__(self, answers: Iterable[Mapping[str, Any]]) -> None:
        self._answers = [_response(answer) for answer in answers]
        self.asked: list[Request] = []

    async def send(self, request: Request) -> Response:
        self.asked.append(request)
        return self._answers.pop(0) if self._answers else OK

    async def close(self) -> None:
        return None


async def run_case(case: Case, catalog: Catalog) -> Result:
    """`{id, outcome, deliveries}` of one case. Raises ConfigError when the case itself is wrong."""
    definition = _definition(case, catalog)
    wanted = _wanted(case, definition)
    compiled = _compile(case, definition, [one.subscription for one in wanted], catalog)
    now_s = datetime.fromisoformat(case["now"]).timestamp() if "now" in case else 0.0
    script = Script(case.get("answers", ()))
    units, drops = _decide(case, compiled)
    deliveries: list[Result] = []
    for one in wanted:
        own = [unit for unit in units if unit.subscription_id == one.subscription.subscription_id]
        if own:
            deliveries.append(await _deliver(one, own, compiled, script, now_s))
    outcome = "filtered" if not deliveries else "sent" if any(one["outcome"] == "sent" for one in deliveries) else "rejected"
    result: Result = {"id": case.get("id", ""), "outcome": outcome, "deliveries": deliveries}
    return result | ({"code": drops[0].code} if outcome == "filtered" and drops else {})


def _definition(case: Case, catalog: Catalog) -> Definition:
    slug = case.get("destination", "")
    if slug not in catalog:
        raise ConfigError(f'case "{case.get("id", "")}": there is no destination "{slug}"; there are: {", ".join(sorted(catalog))}')
    return catalog[slug]


def _wanted(case: Case, definition: Definition) -> list[_Wanted]:
    given = case.get("subscriptions", "presets")
    if given == "presets":
        return [_of_preset(preset, number) for number, preset in enumerate(definition.presets, 1) if preset.automatic]
    if isinstance(given, Mapping):
        slugs: Sequence[str] = given["actions"]
        items: list[Mapping[str, Any]] = [{"action": slug, "overrides": case.get("overrides_all", {})} for slug in slugs]
    else:
        items = list(given)
    return [_of_item(item, definition, number, case) for number, item in enumerate(items, 1)]


def _of_preset(preset: Preset, number: int) -> _Wanted:
    return _Wanted(Subscription(f"preset-{number}", preset.name, preset.action, preset.trigger, preset.mapping), preset.name)


def _of_item(item: Mapping[str, Any], definition: Definition, number: int, case: Case) -> _Wanted:
    slug = item.get("action", "")
    if slug not in definition.actions:
        raise ConfigError(
            f'case "{case.get("id", "")}": destination "{definition.slug}" has no action "{slug}"; it has: {", ".join(definition.actions)}'
        )
    mapping = item.get("mapping", "default")
    fields = {} if mapping == "default" else dict(mapping)
    trigger = item.get("trigger") or definition.actions[slug].default_trigger
    return _Wanted(Subscription(f"{slug}-{number}", slug, slug, trigger, fields | dict(item.get("overrides", {}))))


def _compile(case: Case, definition: Definition, subscriptions: Sequence[Subscription], catalog: Catalog) -> CompiledDestination:
    given = dict(case.get("settings", {}))
    if token := (case.get("oauth") or {}).get("access_token"):
        given.setdefault("accessToken", token)
    known = {setting.name for setting in definition.settings}
    if unknown := sorted(given.keys() - known):
        raise ConfigError(f'case "{case.get("id", "")}": "{definition.slug}" has no setting "{unknown[0]}"; it has: {", ".join(sorted(known))}')
    settings = {}
    for setting in definition.settings:
        value = given.get(setting.name, setting.default)
        if value is not None:
            settings[setting.name] = Secret(value) if setting.secret and isinstance(value, str) else value
    destination = Destination("case", "case", definition.name, definition.slug, ("case",), True, settings, tuple(subscriptions))
    workspace = Workspace(1, (Source("case", "case", "case", ()),), (destination,))
    return compile_workspace(workspace, catalog).destinations["case"]


def _decide(case: Case, compiled: CompiledDestination) -> tuple[list[Unit], list[Drop]]:
    units: list[Unit] = []
    drops: list[Drop] = []
    for seq, payload in enumerate(case["events"] if "events" in case else [case["event"]], 1):
        whole = dict(payload)
        whole.setdefault("messageId", f"case-{seq}")
        event = event_of(whole, "case", 0, jsonio.dumps(whole))
        decided = destination_side(Sourced(seq, event), compiled)
        if isinstance(decided, Drop):
            drops.append(decided)
        else:
            units += decided
    return units, drops


async def _deliver(one: _Wanted, units: Sequence[Unit], compiled: CompiledDestination, script: Script, now_s: float) -> Result:
    """Send the units of one subscription, batched as the actor would; one entry for all of them."""
    told: Result = {"action": one.subscription.action} | ({"preset": one.preset} if one.preset else {}) | {"trigger": one.subscription.trigger}
    if compiled.definition.open_sink is not None:
        return told | {"outcome": "sent", "requests": [], **_written(units, compiled, now_s)}
    first = len(script.asked)
    results: dict[int, Result] = {}
    for group in _groups(units):
        sane = [unit for unit in group if not unit.problem]
        for unit in group:
            if unit.problem:
                results[unit.seq] = {"result": "dead", "status": 400, "code": unit.problem_code, "message": unit.problem}
        if not sane:
            continue
        before = len(script.asked)
        answers = await attempt(sane, compiled, script, now_s=now_s)
        is_whole = len(sane) > 1 and all(answer is answers[0] for answer in answers)
        for unit, answer in zip(sane, answers, strict=True):
            results[unit.seq] = _told(answer, is_batch=is_whole, is_sent=len(script.asked) > before)
    told |= {"outcome": "sent" if len(script.asked) > first else "rejected"}
    items = [results[unit.seq] for unit in units]
    if told["outcome"] == "rejected":
        told["error"] = {"status": items[0].get("status") or 400, "code": items[0]["code"], "message": items[0].get("message", "")}
    return told | {"requests": [_shown(request) for request in script.asked[first:]], "results": items}


def _written(units: Sequence[Unit], compiled: CompiledDestination, now_s: float) -> Result:
    """What a sink is handed: the rows of a warehouse, else the events."""
    if not compiled.definition.has_tables:
        return {"events": [unit.event.payload for unit in units]}
    return {"rows": [{"table": row.table, "values": dict(row.values)} for unit in units for row in rows_of(unit.event, now_s)]}


def _groups(units: Sequence[Unit]) -> list[list[Unit]]:
    """Units that share a request: equal batch key, at most `batch_size`; the others alone, in order."""
    groups: list[list[Unit]] = []
    open_groups: dict[str, list[Unit]] = {}
    for unit in units:
        group = open_groups.get(unit.batch_key) if unit.batch_key else None
        if group is None or len(group) >= unit.batch_size:
            group = []
            groups.append(group)
            if unit.batch_key:
                open_groups[unit.batch_key] = group
        group.append(unit)
    return groups


def _told(answer: Answer, *, is_batch: bool, is_sent: bool) -> Result:
    verdict = judge(answer.result, batch=is_batch, retry_all=False, now_s=0.0)
    told: Result = {"result": str(verdict.kind), "status": verdict.status, "code": verdict.code}
    return told if is_sent and isinstance(answer.result, Response) else told | {"message": verdict.sample.decode("utf-8", "replace")}


def _response(answer: Mapping[str, Any]) -> Response:
    body = answer.get("body", {})
    raw = body.encode() if isinstance(body, str) else jsonio.dumps(body)
    headers = {name.lower(): str(value) for name, value in (answer.get("headers") or {}).items()}
    return Response(int(answer["status"]), headers, raw)


def _shown(request: Request) -> Result:
    """A request as the captures have it."""
    parts = urlsplit(request.url)
    headers = {name.lower(): value for name, value in request.headers if name.lower() not in TRANSPORT_HEADERS}
    told: Result = {"method": request.method, "host": parts.netloc, "path": parts.path}
    if parts.query:
        told["query"] = dict(parse_qsl(parts.query, keep_blank_values=True))
    told["headers"] = headers
    if request.body:
        kind = headers.get("content-type", "")
        text = request.body.decode("utf-8", "replace")
        if kind.startswith("application/x-www-form-urlencoded"):
            told["form"] = dict(parse_qsl(text, keep_blank_values=True))
        else:
            told |= _json_or_text(text)
    return told


def _json_or_text(text: str) -> Result:
    try:
        return {"json": json.loads(text)}
    except ValueError:
        return {"text": text}


def differences(case: Case, result: Result) -> list[str]:
    """How a result differs from the case's `expect`, one line each; messages do not count, nor does what the expectation of a delivery leaves out."""
    expect = case.get("expect")
    if expect is None:
        return []
    brand = {tuple(path.strip("/").split("/")) for path in case.get("brand_paths", ())}
    optional = {tuple(path.strip("/").split("/")) for path in case.get("optional_paths", ())}
    found: list[str] = []
    have = expectation(result)
    for key in ("outcome", "deliveries"):
        _compare(expect.get(key), have[key], (key,), brand, optional, found)
    return found[:MESSAGES_MAX]


def expectation(result: Result) -> Result:
    """The `expect` of a case that has this result."""
    return {"outcome": result["outcome"], "deliveries": [_expected(delivery) for delivery in result["deliveries"]]}


def _expected(delivery: Result) -> Result:
    """Without messages, and of the results their word alone."""
    kept = dict(delivery)
    if "error" in kept:
        kept["error"] = {key: item for key, item in kept["error"].items() if key != "message"}
    return kept | {"results": [one["result"] for one in kept.pop("results", ())]}


def _compare(want: Any, have: Any, path: tuple[str, ...], brand: set[tuple[str, ...]], optional: set[tuple[str, ...]], found: list[str]) -> None:
    if path in brand:
        return
    where = "/" + "/".join(path)
    if len(path) > 1 and path[-2] == "form" and path[-1] in JSON_FORM_VALUES:
        want, have = _parsed(want), _parsed(have)
    if isinstance(want, dict) and isinstance(have, dict):
        for key in (*want, *(key for key in have if key not in want)):
            inner = (*path, str(key))
            if key not in have:
                if inner not in optional:
                    found.append(f"{where}/{key}: missing; expected {_short(want[key])}")
            elif key not in want:
                if inner not in optional and not _is_talk(path):
                    found.append(f"{where}/{key}: not expected, got {_short(have[key])}")
            elif inner not in optional or want[key] != have[key]:
                _compare(want[key], have[key], inner, brand, optional, found)
    elif isinstance(want, list) and isinstance(have, list):
        if len(want) != len(have):
            found.append(f"{where}: {len(have)} items, expected {len(want)}")
        for index, (one, other) in enumerate(zip(want, have, strict=False)):
            _compare(one, other, (*path, str(index)), brand, optional, found)
    elif want != have or isinstance(want, bool) != isinstance(have, bool):
        found.append(f"{where}: got {_short(have)}, expected {_short(want)}")


def _is_talk(path: tuple[str, ...]) -> bool:
    """Whether an expectation may leave keys out here: what a delivery and its error are called, and headers that are ours (a dedupe key)."""
    return len(path) == 2 or path[-1] in ("error", "headers")


def _parsed(value: Any) -> Any:
    try:
        return json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return value


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else text[:117] + "..."
