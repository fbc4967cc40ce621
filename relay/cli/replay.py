"""`relay replay`: stored events again, as a job of the server that survives this command."""

import time
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import Moment, show_moment
from relay.cli.output import Output, agree, output_options
from relay.cli.progress import Progress
from relay.cli.remote import Remote, filter_option, remote_options

POLL_S: Final = 0.5


@click.command()
@click.option("--to", metavar="DEST", help="The destination that gets the events.")
@click.option("--from", "origin", metavar="DEST", help="Events that this destination has stored (an archive or s3), not those of the log.")
@click.option("--since", type=Moment(), metavar="TIME", help="Events received since: 24h, 7d or an ISO time.")
@click.option("--until", type=Moment(), metavar="TIME", help="Events received until; now when left out.")
@click.option("--source", metavar="SLUG", help="Only events of this source.")
@filter_option("events that")
@click.option("--rate", type=click.FloatRange(min=0, min_open=True), metavar="N", help="Most events a second.")
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--wait", is_flag=True, help="Wait for the end; exit 5 when an event ended dead.")
@click.option("--job", metavar="ID", help="Look at a replay that was started before (with --wait: wait for it).")
@click.option("--jobs", is_flag=True, help="List the replays that were started.")
@remote_options
@output_options
def replay(
    to: str | None, origin: str | None, since: float | None, until: float | None, source: str | None, filter_text: str | None, rate: float | None,
    dry_run: bool, yes: bool, wait: bool, job: str | None, jobs: bool, remote: Remote, out: Output,
) -> int:  # fmt: skip
    """Send stored events to a destination again, with the message ids that they had.

    \b
    relay replay --to orders --since 24h
    relay replay --to orders --since 7d --filter 'event = "Order Completed"'
    relay replay --to orders --from archive --since 90d --until 60d --source web
    relay replay --to orders --since 2026-01-31T00:00:00Z --until 6h --rate 50 --yes --wait
    """
    if jobs:
        return _list(remote, out)
    if job is not None:
        return _follow(remote, job, out) if wait else _show(remote, job, out)
    if to is None or (since is None and origin is None):
        raise exits.Failure(exits.USAGE, "A replay needs --to, and --since or --from.", "For example: relay replay --to orders --since 24h")
    wanted = {"to": to, "since_s": since, "until_s": until, "source": source, "filter": filter_text, "rate": rate, "from": origin}
    wanted = {key: value for key, value in wanted.items() if value is not None}
    told = remote.post("replay", wanted | {"dry_run": True})
    count, about = int(told["count"]), "" if told.get("exact", True) else "at most "
    if not count or dry_run:
        return _counted(count, about, to, out)
    received = f" received since {show_moment(since)}" if since is not None else ""
    agree(f"Send {about}{exits.count_of(count, 'event')}{received} to {to} again?", yes=yes)
    started = remote.post("replay", wanted | {"dry_run": False})
    name = str(started["job"])
    if wait:
        return _follow(remote, name, out)
    if out.json:
        out.document(started)
    else:
        out.line(name)
        out.talk(f"The replay of {exits.count_of(count, 'event')} runs. `relay replay --job {name} --wait` follows it.")
    return exits.DONE


def _counted(count: int, about: str, to: str, out: Output) -> int:
    if out.json:
        out.document({"count": count, "exact": not about, "dry_run": True})
    else:
        out.talk(f"{about}{exits.count_of(count, 'event')} would be sent to {to}." if count else "No stored event matches.")
    return exits.DONE if count else exits.NO_MATCH


def _find(remote: Remote, name: str) -> dict[str, Any] | None:
    jobs: list[dict[str, Any]] = remote.get("jobs")["jobs"]
    return next((job for job in jobs if job["name"] == name), None)


def _job(remote: Remote, name: str) -> dict[str, Any]:
    job = _find(remote, name)
    if job is None:
        raise exits.Failure(exits.NO_MATCH, f"there is no replay {name!r}", "`relay replay --jobs` lists those that there are.")
    return job


def _list(remote: Remote, out: Output) -> int:
    jobs: list[dict[str, Any]] = remote.get("jobs")["jobs"]
    if out.json:
        out.document({"jobs": jobs})
    elif jobs:
        heads = ["JOB", "DESTINATION", "STATE", "DONE", "TOTAL", "DEAD", "BY", "STARTED"]
        counts = [[f"{count:,}" for count in (job["done"], job["total"], _dead(job))] for job in jobs]
        rows = [[job["name"], job["destination"], _state(job), *told] for job, told in zip(jobs, counts, strict=True)]
        out.table(heads, [[*row, job["by"] or "-", show_moment(job["started_s"])] for row, job in zip(rows, jobs, strict=True)])
    else:
        out.talk("There are no replays.")
    return exits.DONE


def _show(remote: Remote, name: str, out: Output) -> int:
    job = _job(remote, name)
    if out.json:
        out.document(job)
    else:
        out.line(_summary(job))
    return exits.DONE


def _follow(remote: Remote, name: str, out: Output) -> int:
    """Wait for the end. A job that is known and then gone has ended; one that is held is waited for, and said."""
    job, held = _job(remote, name), False
    with Progress(f"replay to {job['destination']}", silent=out.quiet) as progress:
        while not job["finished"]:
            progress.show(job["done"], job["total"])
            if job["held"] and not held:
                held = True
                out.warn(f"{job['destination']} is held; `relay resume {job['destination']}` lets the replay go on.")
            time.sleep(POLL_S)
            job = _find(remote, name) or job | {"finished": True}
    if out.json:
        out.document(job)
    else:
        out.line(_summary(job))
    return exits.ENDED_DEAD if _dead(job) else exits.DONE


def _summary(job: dict[str, Any]) -> str:
    """`orders#1 to orders: 5 of 5, finished (delivered 4, dead 1)`."""
    doors = ", ".join(f"{door} {count:,}" for door, count in job["doors"].items() if count)
    return f"{job['name']} to {job['destination']}: {job['done']:,} of {job['total']:,}, {_state(job)}" + (f" ({doors})" if doors else "")


def _state(job: dict[str, Any]) -> str:
    return "finished" if job["finished"] else "held" if job["held"] else "running"


def _dead(job: dict[str, Any]) -> int:
    return int(job["doors"].get("dead") or 0)
