"""`relay diff`: a changed configuration over stored events, beside the one in use. Reads only; works beside a running relay and without one."""

import asyncio
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from relay.base.clock import SystemClock
from relay.base.codes import meaning_of
from relay.cli import exits
from relay.cli.moments import Moment, show_moment
from relay.cli.output import Output, output_options, printable, to_json
from relay.cli.progress import Progress

if TYPE_CHECKING:
    from relay.control.dry_run import Comparison
    from relay.control.traffic import Traffic
    from relay.outbox.sqlite.reading import StoredLog
    from relay.pipeline.compiled import Compiled
    from relay.workspace.assemble import Loaded
    from relay.workspace.stored import Stored

KEY: str = "wk_to_be_made"
VALUE_CHARS: int = 200
"""Of a value in the report; --json has all of it."""


@dataclass(frozen=True, slots=True)
class Order:
    """What is compared over which events."""

    since_s: float
    until_s: float
    source: str | None
    limit: int | None


@click.command(epilog="Exit: 0 nothing differs, 1 something does, 4 no stored event matched, 78 a configuration is wrong.")
@click.option("--config", type=click.Path(path_type=Path), required=True, metavar="NEW", help="The changed configuration.")
@click.option("--against", type=click.Path(path_type=Path), metavar="FILE", help="Compare with this configuration; left out: with the one in use.")
@click.option("--since", type=Moment(), default="24h", show_default=True, metavar="TIME", help="Events received since: 24h, 7d or an ISO time.")
@click.option("--until", type=Moment(), metavar="TIME", help="Events received before.")
@click.option("--destination", "destinations", multiple=True, metavar="DEST", help="Only this destination; may be given more than once.")
@click.option("--source", metavar="SLUG", help="Only events of this source.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Stop after so many events, the oldest first.")
@click.option(
    "--data", type=click.Path(path_type=Path), envvar="RELAY_DATA", help="The data folder (also RELAY_DATA); as the new configuration says."
)
@output_options
def diff(
    config: Path,
    against: Path | None,
    since: float,
    until: float | None,
    destinations: tuple[str, ...],
    source: str | None,
    limit: int | None,
    data: Path | None,
    out: Output,
) -> int:
    """Run a changed configuration over stored events: what would be sent otherwise than now.

    \b
    relay diff --config new.toml --since 24h
    relay diff --config new.toml --against relay.toml --destination orders --since 7d --json
    """
    from relay.control.dry_run import Comparison, differs
    from relay.database.folder import DATABASE
    from relay.outbox.sqlite.reading import stored_log
    from relay.workspace.store import owned

    clock = SystemClock()
    loaded, _ = _read(config)
    folder = data or Path(loaded.settings.store.data_dir)
    with stored_log(folder / DATABASE, clock) as log:
        stored = owned(log.connection)  # what was switched in the UI holds whatever the files say
        after = _read(config, stored)[1]
        before, name = (_read(against, stored)[1], str(against)) if against is not None else _in_use(log, after)
        _check_names(before, after, destinations, source)
        comparison = Comparison(
            before,
            after,
            sent_s=clock.now(),
            destinations=destinations,
            sources=(source,) if source else (),
            mask_names=tuple(loaded.settings.ui.mask),
        )
        order = Order(since, until or 0.0, source, limit)
        traffic = asyncio.run(_run(log, comparison, before, folder, order, out))
    told = {"before": name, "after": str(config), "since_s": since, "until_s": until, "archived": traffic.archived, "partial": traffic.is_partial}
    told |= comparison.told()
    if out.json:
        out.document(told)
    else:
        _print(told, out)
    if traffic.is_partial:
        out.warn(f"the log no longer reaches back to {show_moment(since)}, and there is no archive to read what is missing from")
    if not told["read"]:
        return exits.NO_MATCH
    return exits.PROBLEMS if differs(told) else exits.DONE


def _read(config: Path, stored: "Stored | None" = None) -> "tuple[Loaded, Compiled]":
    """A configuration, checked and compiled, with what the UI owns. Raises ConfigError."""
    from relay.destinations import load_catalog
    from relay.pipeline.compiled import compile_workspace
    from relay.workspace.assemble import load
    from relay.workspace.stored import NOTHING

    catalog = load_catalog()
    loaded = load(config, catalog, environment=os.environ, default_write_key=KEY, stored=stored or NOTHING)
    return loaded, compile_workspace(loaded.workspace, catalog)


def _in_use(log: "StoredLog", after: "Compiled") -> "tuple[Compiled, str]":
    """The newest stored version, which is what a running relay uses."""
    from relay.pipeline.compiled import compile_workspace
    from relay.workspace.revived import workspace_of
    from relay.workspace.store import newest

    found = newest(log.connection)
    if found is None:
        raise exits.Failure(exits.NO_MATCH, "this data folder has never been used", "Start relay on it once, or name a configuration with --against.")
    version, document = found
    workspace = workspace_of(document, version, after.workspace)
    if missing := sorted({one.type for one in workspace.destinations} - set(after.catalog)):
        raise exits.Failure(
            exits.PROBLEMS, f"version {version} uses {', '.join(missing)}, which is not installed", "Name a configuration with --against."
        )
    return compile_workspace(workspace, after.catalog), f"version {version}"


def _check_names(before: "Compiled", after: "Compiled", destinations: Sequence[str], source: str | None) -> None:
    known = {one.destination.slug for side in (before, after) for one in side.destinations.values()}
    for slug in destinations:
        if slug not in known:
            raise exits.Failure(
                exits.NO_MATCH, f"there is no destination {slug!r} in either configuration", f"There are: {', '.join(sorted(known))}."
            )
    sources = {one.source.slug for side in (before, after) for one in side.sources.values()}
    if source is not None and source not in sources:
        raise exits.Failure(exits.NO_MATCH, f"there is no source {source!r} in either configuration", f"There are: {', '.join(sorted(sources))}.")


async def _run(log: "StoredLog", comparison: "Comparison", before: "Compiled", folder: Path, order: Order, out: Output) -> "Traffic":
    from relay.cli.archive import open_archive
    from relay.control.traffic import Traffic
    from relay.kit.sink import Span

    opened = (open_archive(one, before.workspace, before.catalog, folder) for one in before.workspace.destinations)
    archive = next((one for one in opened if one is not None), None)
    head = await log.read(lambda tx: tx.head())
    sources = tuple(one.source.source_id for one in before.sources.values() if order.source in (None, one.source.slug))
    traffic = Traffic(log=log.history, head=head, span=Span(sources, order.since_s, order.until_s), archive=archive)
    try:
        with Progress("diff", silent=out.quiet) as progress:
            async with aclosing(traffic.pages()) as pages:
                async for page, archived in pages:
                    for seq, event in page[: order.limit - comparison.read if order.limit else None]:
                        comparison.take(seq, event, archived=archived)
                    if comparison.read == order.limit:
                        break
                    progress.show(comparison.read, min(traffic.total, order.limit or traffic.total))
    finally:
        if archive is not None:
            await archive.close()
    return traffic


# the report


def _print(told: Mapping[str, Any], out: Output) -> None:
    archived = f" ({told['archived']:,} of them from the archive)" if told["archived"] else ""
    until = f" until {show_moment(told['until_s'])}" if told["until_s"] else ""
    out.line(
        f"{exits.count_of(told['read'], 'event')}{archived} since {show_moment(told['since_s'])}{until}: {told['before']} beside {told['after']}"
    )
    counts = [
        f"unchanged {told['unchanged']:,}",
        *(f"{kind} {sum(told[kind].values()):,}" for kind in ("dropped", "added")),
        f"changed {told['changed']:,}",
    ]
    out.line(f"{', '.join(counts)}; {exits.count_of(told['requests'], 'request')} would be sent for what is added or changed")
    out.line("")
    rows = [
        [
            one["slug"],
            one["state"],
            f"{one['unchanged']:,}",
            f"{sum(one['dropped'].values()):,}",
            f"{sum(one['added'].values()):,}",
            f"{one['changed']:,}",
            f"{one['requests']:,}",
        ]
        for one in told["destinations"]
    ]
    out.table(["DESTINATION", "IT IS", "UNCHANGED", "DROPPED", "ADDED", "CHANGED", "REQUESTS"], rows)
    for one in told["destinations"]:
        _print_destination(one, out)


def _print_destination(one: Mapping[str, Any], out: Output) -> None:
    for kind, code, count in _groups(one):
        reason = f", {code}: {meaning_of(code)}" if code else ""
        words = {"dropped": "no longer sent", "added": "sent now, and was not before", "changed": "sent otherwise"}
        out.line("")
        out.line(out.paint(f"{one['slug']}: {count:,} {words[kind]}{reason}", "warn" if kind == "changed" else "fail" if kind == "dropped" else "ok"))
        for sample in one["samples"]:
            if (sample["kind"], sample["code"]) == (kind, code):
                name = " ".join(filter(None, (sample["type"], sample["name"])))
                why = f"  ({sample['why']})" if sample["why"] else ""
                out.line(printable(f"  {sample['message_id']}  {name}{why}"))
                for change in sample["changes"]:
                    for line in _lines(change):
                        out.line(printable(f"    {line}"))


def _groups(one: Mapping[str, Any]) -> Iterator[tuple[str, str, int]]:
    for kind in ("dropped", "added"):
        for code, count in sorted(one[kind].items(), key=lambda item: -item[1]):
            yield kind, code, count
    if one["changed"]:
        yield "changed", "", one["changed"]


def _lines(change: Mapping[str, Any]) -> list[str]:
    """The value before and the one after; what is absent has no line."""
    both = (("-", change["before"]), ("+", change["after"]))
    return [f"{sign} {change['path']}: {_short(value)}" for sign, value in both if value is not None]


def _short(value: Any) -> str:
    text = " ".join(to_json(value).split()) if isinstance(value, dict | list) else to_json(value)
    return text if len(text) <= VALUE_CHARS else f"{text[:VALUE_CHARS]}\N{HORIZONTAL ELLIPSIS}"
