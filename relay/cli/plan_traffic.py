"""`relay plan infer`, `drift` and `test`: plans against events, stored ones and those of a file."""

import asyncio
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from relay.base.clock import SystemClock
from relay.cli import exits
from relay.cli.moments import Moment, show_moment
from relay.cli.output import Output, agree, output_options, printable
from relay.cli.plan_content import content_of as plan_of
from relay.cli.plan_content import read_file, show_diff, write_file
from relay.cli.progress import Progress
from relay.cli.remote import Remote, part, remote_options

if TYPE_CHECKING:
    from relay.base.event import Event
    from relay.pipeline.compiled import CompiledSource
    from relay.workspace.plan_files import Content

INFER_TIMEOUT_S: Final = 300.0
OK: Final = "ok"
UNPLANNED: Final = "unplanned"
VIOLATES: Final = "violates"
REFUSED: Final = "refused"


@click.command()
@click.argument("source")
@click.option("--since", type=Moment(), default="7d", show_default=True, metavar="TIME", help="Events received since: 24h, 7d or an ISO time.")
@click.option("--plan", "plan_slug", metavar="SLUG", help="The plan that grows; left out: the source's own, if it has one.")
@click.option("--archive", metavar="DEST", help="Read this archive instead of the log; relay need not run.")
@click.option("--write", type=click.Path(path_type=Path), metavar="FILE", help="Write the plan to this file.")
@click.option("--yes", is_flag=True, help="Do not ask when the file holds rules that would be lost.")
@remote_options
@output_options
def infer(source: str, since: float, plan_slug: str | None, archive: str | None, write: Path | None, yes: bool, remote: Remote, out: Output) -> int:
    """Make a plan of what a source sends: types, what is always there, values, formats. Shows how the plan would change.

    \b
    relay plan infer web --since 7d
    relay plan infer web --archive cold --since 2026-01-01 --write plans/web.json
    """
    if archive is None:
        body = {"source": source, "since_s": since} | ({"plan": plan_slug} if plan_slug else {})
        told = remote.ask("POST", "plans/infer", body=body, timeout_s=INFER_TIMEOUT_S)
    else:
        told = asyncio.run(_from_archive(source, since, plan_slug, archive, remote, out))
    if not told["events_read"]:
        raise exits.Failure(exits.NO_MATCH, f"source {source!r} sent nothing since {show_moment(since)}", "Take a longer time with --since.")
    if write is not None:
        _agree_on(write, told["content"], yes=yes)
        write_file(write, told["content"])
    if out.json:
        out.document(told | {"written": str(write) if write else ""})
        return exits.DONE
    show_diff(told["diff"], out)
    _tell_seen(told, out)
    out.talk(f"{write} is written." if write else "Nothing was written; name a file with --write.")
    return exits.DONE


def _agree_on(file: Path, content: Mapping[str, Any], *, yes: bool) -> None:
    """Ask before rules are lost that the file has and the plan has not."""
    from relay.workspace.plan_files import diff_plans

    lost = diff_plans(read_file(file), content)["removed"] if file.exists() else []
    if lost:
        agree(f"{file} has {exits.count_of(len(lost), 'rule')} that the plan of this source has not. Replace it?", yes=yes)


def _tell_seen(told: Mapping[str, Any], out: Output) -> None:
    for event in told["seen"]:
        out.detail(printable(f"{event['type']} {event['key']}  {event['count']:,}, last {show_moment(event['last_s'])}"))
        for one in event["properties"]:
            types = ", ".join(f"{name} {count:,}" for name, count in one["types"].items())
            examples = ", ".join(str(example) for example in one["examples"])
            out.detail(printable(f"  {one['path']}: {one['share']:.1%} {types}{f'; {examples}' if examples else ''}"))
    for name in told["left_out"]:
        out.warn(printable(f"left out, since its name holds an id or a date: {name}"))
    if told["truncated"]:
        out.warn("some names or fields were left out: there were too many")
    how = " (a sample, spread over the time)" if told["sampled"] else ""
    out.talk(f"{exits.count_of(told['events_read'], 'event')} read{how}. With -v: what each field looked like.")


async def _from_archive(slug: str, since: float, plan_slug: str | None, archive: str, remote: Remote, out: Output) -> dict[str, Any]:
    from relay.cli.archive import Where
    from relay.cli.check import read
    from relay.control.infer import answer, as_planned, plan_named
    from relay.kit.sink import Span
    from relay.pipeline.shapes import Traffic
    from relay.workspace.plan_files import content_of

    loaded, compiled = read(remote.config)
    where = Where(archive, remote.data, remote.config)
    (source_id,) = where.source_ids(slug)
    source = compiled.sources[source_id]
    wanted = plan_slug or source.source.plan
    before = content_of(plan_named(loaded.workspace.plans, wanted)) if wanted else {"rules": []}
    opened, traffic, done, span = where.open(), Traffic(), 0, Span((source_id,), since)
    try:
        total = (await opened.count(span)).events
        with Progress("infer", silent=out.quiet) as progress:
            async for page in opened.read(span):
                for _, event in page.events:
                    if (seen := as_planned(event, source)) is not None:
                        traffic.add(seen)
                done += len(page.events)
                progress.show(done, max(total, done))
    finally:
        await opened.close()
    return answer(traffic, before, tuple(loaded.settings.ui.mask), loaded.workspace.matchers) | {"sampled": False, "plan": wanted}


@click.command()
@click.argument("slug")
@remote_options
@output_options
def drift(slug: str, remote: Remote, out: Output) -> int:
    """Tell where a plan and the traffic of the last day differ, as of the daily look at it.

    \b
    relay plan drift shop
    relay plan drift shop --json
    """
    told = remote.get(f"plans/{part(slug)}/drift")
    if out.json:
        out.document(told)
        return exits.DONE
    for line in _drift_lines(told):
        out.line(printable(line))
    sample = " (a sample)" if told["sampled"] else ""
    out.talk(f"As of {show_moment(told['at_s'])}: {exits.count_of(told['events_read'], 'event')} of 24 hours{sample}.")
    return exits.DONE


def _drift_lines(told: Mapping[str, Any]) -> Iterator[str]:
    for one in told["new_events"]:
        yield f"not planned     {one['event']}  {exits.count_of(one['count'], 'event')}, last {show_moment(one['last_s'])}"
    if missing := [one["key"] or one["type"] for one in told["missing_events"]]:
        yield f"never seen      {exits.count_of(len(missing), 'event')}: {', '.join(missing)}"
    for one in told["new_properties"]:
        yield f"not planned     {one['event'] or one['type']}: {one['property']}  in {one['share']:.1%}, {', '.join(one['types'])}"
    for one in told["unused_properties"]:
        yield f"never seen      {one['event'] or one['type']}: {one['property']}"
    for one in told["type_changes"]:
        yield f"another type    {one['event'] or one['type']}: {one['property']}  planned {', '.join(one['planned'])}, seen {_counts(one['types'])}"


@click.command(epilog="Exit: 0 every event keeps to the plan, 1 one does not.")
@click.argument("plan", metavar="SLUG|FILE")
@click.argument("events", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--config", type=click.Path(path_type=Path), help="The configuration that a slug is looked up in; searched as `serve` does.")
@output_options
def test(plan: str, events: Path, config: Path | None, out: Output) -> int:
    """Check events, one JSON object a line (- for stdin), against a plan: a verdict for each, with what breaks its rule.

    \b
    relay plan test plans/shop.json events.ndjson
    relay archive export --since 1h | relay plan test shop - --json
    """
    found = list(_verdicts(plan_of(plan, config), events))
    counts = {verdict: sum(one["verdict"] == verdict for one in found) for verdict in (OK, UNPLANNED, VIOLATES, REFUSED)}
    if out.json:
        out.document({"events": found, "counts": counts})
    else:
        for one in found:
            state = {VIOLATES: "fail", REFUSED: "fail", UNPLANNED: "warn"}.get(one["verdict"], "ok")
            out.line(f"{one['line']:>5}  {out.paint(one['verdict'], state)}  {printable(' '.join(filter(None, (one['type'], one['name']))))}")
            for violation in one["violations"]:
                out.line(printable(f"         {violation['field']}: {violation['type']}: {violation['description']}"))
            if one["code"]:
                out.line(f"         {one['code']}")
        out.talk(", ".join(f"{count:,} {verdict}" for verdict, count in counts.items() if count) or "There are no events.")
    return exits.PROBLEMS if counts[VIOLATES] or counts[REFUSED] else exits.DONE


def _verdicts(content: "Content", events: Path) -> Iterator[dict[str, Any]]:
    from relay.base import jsonio
    from relay.pipeline.compiled import CompiledSource
    from relay.pipeline.rulebook import RuleBook
    from relay.pipeline.stages.inspect import compile_inspection
    from relay.workspace.model import Source
    from relay.workspace.plan_files import to_json
    from relay.workspace.plan_rules import read_rules
    from relay.workspace.rules import Plan

    plan = Plan("plan", "plan", read_rules("plan", to_json(content).encode()).rules)
    source = Source("plan-test", "plan-test", "plan test", (), plan="plan")
    inspect = compile_inspection(source, RuleBook(plan))
    assert inspect is not None, "there is a plan"
    for number, line in enumerate(_lines(events), 1):
        if not line.strip():
            continue
        try:
            message = jsonio.loads(line)
        except ValueError as error:
            raise exits.Failure(exits.USAGE, f"{events}, line {number}: this is no JSON: {error}", "Write one event a line.") from error
        event, code = _event_of(message, CompiledSource(source))
        if event is None:
            kind = message.get("type") if isinstance(message, dict) else ""
            yield {"line": number, "message_id": "", "type": str(kind or ""), "name": "", "verdict": REFUSED, "code": code, "violations": []}
            continue
        found = inspect(event)
        violations = [{"type": one.type, "field": one.field, "description": one.description} for one in found.violations]
        verdict = REFUSED if found.drop else VIOLATES if violations else UNPLANNED if found.is_unplanned else OK
        head = {"line": number, "message_id": event.message_id, "type": event.type, "name": event.name}
        yield head | {"verdict": verdict, "code": found.drop.code if found.drop else "", "violations": violations}


def _event_of(message: Any, source: "CompiledSource") -> "tuple[Event | None, str]":
    """The event as intake makes it; None with the code: it would be refused."""
    from relay.base.ids import new_message_id
    from relay.pipeline.intake import Client, Limits, accept, time_text

    received_ms = int(SystemClock().now() * 1000)
    made, refusals = accept(
        [message], {}, source, received_ms=received_ms, received_text=time_text(received_ms), client=Client(), limits=Limits(), new_id=new_message_id
    )
    return (made[0], "") if made else (None, refusals[0].code)


def _lines(events: Path) -> Iterator[bytes]:
    if str(events) == "-":
        yield from (line.encode() for line in sys.stdin)
        return
    with events.open("rb") as file:
        yield from file


def _counts(types: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in types.items())
