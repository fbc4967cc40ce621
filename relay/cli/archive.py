"""`relay archive`: the bulk storage of this machine, with or without a running relay; `export` reads S3 as well."""

import asyncio
import functools
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from relay.base.clock import SystemClock
from relay.cli import exits
from relay.cli.moments import Moment, show_moment
from relay.cli.output import Output, agree, output_options
from relay.cli.progress import Progress

if TYPE_CHECKING:
    from relay.kit.definition import Catalog
    from relay.kit.sink import Archive, Span
    from relay.workspace.model import Destination, Workspace

F = TypeVar("F", bound=Callable[..., Any])
KIND = "archive"


@click.group()
def archive() -> None:
    """List, export, verify or prune stored events.

    \b
    relay archive ls --since 7d
    relay archive verify
    """


def where_options(command: F) -> F:
    """Add --from, --data and --config, handed to the command as `where: Where`."""

    @click.option("--from", "slug", metavar="DEST", help="The destination that stored the events; left out when there is only one.")
    @click.option("--data", type=click.Path(path_type=Path), envvar="RELAY_DATA", help="The data folder (also RELAY_DATA); as configured.")
    @click.option("--config", type=click.Path(path_type=Path), help="The configuration; searched as `serve` does.")
    @functools.wraps(command)
    def wrapped(*args: Any, slug: str | None, data: Path | None, config: Path | None, **kwargs: Any) -> Any:
        return command(*args, where=Where(slug, data, config), **kwargs)

    return wrapped  # type: ignore[return-value]


class Where:
    """Which archive is meant."""

    def __init__(self, slug: str | None, data: Path | None, config: Path | None) -> None:
        from relay.destinations import load_catalog
        from relay.workspace.assemble import load

        self._catalog = load_catalog()
        self._workspace = (loaded := load(config, self._catalog, environment=os.environ, default_write_key="wk_to_be_made")).workspace
        self._data = data or Path(loaded.settings.store.data_dir)
        readable = [one for one in self._workspace.destinations if self._catalog[one.type].open_archive is not None]
        chosen = [one for one in readable if slug in (None, one.slug)]
        if len(chosen) != 1:
            known = ", ".join(one.slug for one in readable) or "none"
            reason = f"{slug!r} is no archive" if slug is not None else "there is no archive" if not readable else "there is more than one archive"
            raise exits.Failure(exits.USAGE, reason, f"Name one with --from; there are: {known}.")
        self.destination: Destination = chosen[0]

    @property
    def root(self) -> Path:
        """The folder of a local archive."""
        from relay.destinations.archive import root_of

        if self.destination.type != KIND:
            raise exits.Failure(
                exits.USAGE,
                f"{self.destination.slug} lies in an object store; this command looks after files of this machine",
                "`relay archive export` reads it; use the store's own tools and lifecycle rules for the rest.",
            )
        return root_of(self.destination.settings, self._data)

    def source_ids(self, source: str | None) -> tuple[str, ...]:
        """The sources that are meant."""
        known = {one.slug: one.source_id for one in self._workspace.sources}
        if source is not None and source not in known:
            raise exits.Failure(exits.NO_MATCH, f"there is no source {source!r}", f"There are: {', '.join(sorted(known))}.")
        return (known[source],) if source is not None else tuple(known.values())

    def open(self) -> "Archive":
        """To be called, and used, inside an event loop."""
        opened = open_archive(self.destination, self._workspace, self._catalog, self._data)
        assert opened is not None, "only those were chosen"
        return opened


def open_archive(destination: "Destination", workspace: "Workspace", catalog: "Catalog", data: Path) -> "Archive | None":
    """What a destination stored, for reading; None: it cannot be read back. To be called, and used, inside an event loop."""
    from functools import partial

    from relay.kit.sink import SinkContext
    from relay.net.dial import dial
    from relay.net.guard import parse_allow

    opening = catalog[destination.type].open_archive
    if opening is None:
        return None
    allow = parse_allow(destination.allow_private)
    slugs = {one.source_id: one.slug for one in workspace.sources}
    context: SinkContext = SinkContext(SystemClock(), data, lambda source_id: slugs.get(source_id, source_id), partial(dial, allow=allow))
    return opening(dict(destination.settings), context)


@archive.command("ls")
@click.option("--source", metavar="SLUG", help="Only files of this source.")
@click.option("--since", type=Moment(), metavar="TIME", help="Files with events received since: 24h, 7d or an ISO time.")
@click.option("--until", type=Moment(), metavar="TIME", help="Files with events received before.")
@where_options
@output_options
def ls(source: str | None, since: float | None, until: float | None, where: Where, out: Output) -> int:
    """List the files of an archive, with what each holds.

    \b
    relay archive ls --since 24h
    relay archive ls --source web --json
    """
    from relay.destinations.archive.care import listed

    files = listed(where.root, source or "", since or 0.0, until or 0.0)
    if out.json:
        keys = ("count", "first_seq", "last_seq", "first_time", "last_time", "raw_bytes", "sha256")
        shown = [
            {"file": one.file, "bytes": one.bytes, "growing": one.growing} | {key: getattr(one.entry, key, None) for key in keys} for one in files
        ]
        out.document({"folder": str(where.root), "files": shown})
    elif files:
        rows = [
            [one.file, f"{one.bytes:,}", *((f"{one.entry.count:,}", show_moment(one.entry.first_s), show_moment(one.entry.last_s)) if one.entry else ("growing" if one.growing else "?", "-", "-"))]
            for one in files
        ]  # fmt: skip
        out.table(["FILE", "BYTES", "EVENTS", "FIRST", "LAST"], rows)
        events = sum(one.entry.count for one in files if one.entry)
        out.talk(f"{exits.count_of(len(files), 'file')}, {sum(one.bytes for one in files):,} bytes, {events:,} events in finished files.")
    else:
        out.talk(f"{where.root} holds no files that match.")
    return exits.DONE if files else exits.NO_MATCH


@archive.command()
@click.option("--source", metavar="SLUG", help="Only events of this source.")
@click.option("--since", type=Moment(), metavar="TIME", help="Events received since: 24h, 7d or an ISO time.")
@click.option("--until", type=Moment(), metavar="TIME", help="Events received before.")
@click.option("--filter", "filter_text", metavar="FQL", help="Only events that match, for example 'event = \"Order Completed\"'.")
@click.option("--to", "target", type=click.Path(path_type=Path), metavar="FILE", help="Write to this new file instead of stdout.")
@where_options
@output_options
def export(
    source: str | None, since: float | None, until: float | None, filter_text: str | None, target: Path | None, where: Where, out: Output
) -> int:
    """Print stored events as lines of JSON, in the order in which they came.

    \b
    relay archive export --since 7d --filter 'type = "track"' > events.ndjson
    relay archive export --from s3 --source web --to web.ndjson
    """
    from relay.kit.fql import compile_filter
    from relay.kit.sink import Span

    takes = compile_filter(filter_text) if filter_text else None
    span = Span(where.source_ids(source), since or 0.0, until or 0.0)
    if target is None:
        count = asyncio.run(_export(where, span, takes, sys.stdout.buffer, out))
    else:
        with target.open("xb") as file:
            count = asyncio.run(_export(where, span, takes, file, out))
    out.talk(f"{exits.count_of(count, 'event')} exported." if count else "No stored event matches.")
    return exits.DONE if count else exits.NO_MATCH


async def _export(where: Where, span: "Span", takes: Any, file: Any, out: Output) -> int:
    archive = where.open()
    done = count = 0
    try:
        total = (await archive.count(span)).events
        with Progress("export", silent=out.quiet) as progress:
            async for page in archive.read(span):
                lines = [event.body for _, event in page.events if takes is None or takes(event)]
                file.write(b"".join(line + b"\n" for line in lines))
                count += len(lines)
                done += len(page.events)
                progress.show(done, max(total, done))
        file.flush()
    finally:
        await archive.close()
    return count


@archive.command()
@where_options
@output_options
def verify(where: Where, out: Output) -> int:
    """Check every finished file against the manifest: size, SHA-256, number of events. Exit 1 when something is wrong.

    \b
    relay archive verify
    relay archive verify --from cold --json
    """
    from relay.destinations.archive.care import listed
    from relay.destinations.archive.care import verify as verified

    root, faults, count = where.root, [], 0
    total = len([one for one in listed(root) if not one.growing])
    with Progress("verify", silent=out.quiet) as progress:
        for _, fault in verified(root):
            count += 1
            faults += [fault] if fault else []
            progress.show(count, max(total, count))
    if out.json:
        shown = [{"file": one.file, "code": one.code, "message": one.message} for one in faults]
        out.document({"folder": str(root), "files": count, "ok": not faults, "faults": shown})
    else:
        if faults:
            out.table(["FILE", "FAULT", "MEANING"], [[one.file, one.code, one.message] for one in faults])
        out.talk(f"{exits.count_of(count, 'file')} checked, {len(faults) or 'none'} with a fault.")
    return exits.PROBLEMS if faults else exits.DONE


@archive.command()
@click.option("--before", type=Moment(), required=True, metavar="TIME", help="Files whose last event was received before: 90d or an ISO time.")
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@where_options
@output_options
def prune(before: float, dry_run: bool, yes: bool, where: Where, out: Output) -> int:
    """Delete finished files that are old; relay itself never does.

    \b
    relay archive prune --before 90d
    relay archive prune --before 2026-01-01 --yes
    """
    from relay.destinations.archive import care

    root = where.root
    files = care.prunable(root, before)
    events, size = sum(one.entry.count for one in files if one.entry), sum(one.bytes for one in files)
    told = f"{exits.count_of(len(files), 'file')} with {exits.count_of(events, 'event')}, {size:,} bytes"
    if files and not dry_run:
        agree(f"Delete {told}, from before {show_moment(before)}, of {root}?", yes=yes)
        care.prune(root, files)
    if out.json:
        out.document({"folder": str(root), "dry_run": dry_run, "files": [one.file for one in files], "events": events, "bytes": size})
    else:
        out.talk(f"{told} {'would be' if dry_run else 'were'} deleted." if files else "No finished file is that old.")
    return exits.DONE if files else exits.NO_MATCH
