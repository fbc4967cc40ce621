"""`relay dead`: dead letters, chosen by filter or id. Re-send and discard count first and ask."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click

from relay.cli import exits
from relay.cli.moments import Moment, show_moment
from relay.cli.output import Output, agree, output_options, printable, to_json
from relay.cli.remote import Remote, filter_option, remote_options

F = TypeVar("F", bound=Callable[..., Any])

SHOWN: Final = 100
"""Most letters that `show` prints in full."""


def selection_options(command: F) -> F:
    """Add --to --code --since --filter and ids, handed to the command as `which`, in the console's words."""

    @click.argument("message_ids", nargs=-1, metavar="[MESSAGE_ID]...")
    @click.option("--to", metavar="DEST", help="Only of this destination.")
    @click.option("--code", help="Only with this code, for example BAD_REQUEST or 404.")
    @click.option("--since", type=Moment(), metavar="TIME", help="Only what died since: 24h, 7d or an ISO time.")
    @filter_option("letters whose event")
    @functools.wraps(command)
    def wrapped(
        *args: Any, message_ids: tuple[str, ...], to: str | None, code: str | None, since: float | None, filter_text: str | None, **kwargs: Any
    ) -> Any:
        which = {"to": to, "code": code, "since_s": since, "filter": filter_text, "message_ids": list(message_ids)}
        return command(*args, which=which, **kwargs)

    return wrapped  # type: ignore[return-value]


@click.group()
def dead() -> None:
    """List, show, re-send or discard dead letters.

    \b
    relay dead ls --to orders --since 24h
    relay dead resend --to orders --code 404
    """


@dead.command()
@selection_options
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="Most rows.")
@remote_options
@output_options
def ls(which: Mapping[str, Any], limit: int, remote: Remote, out: Output) -> int:
    """List dead letters, one line each.

    \b
    relay dead ls --to orders
    relay dead ls --filter 'event = "Order Completed"' --since 24h --json
    """
    rows, total = letters(remote, which, limit)
    if out.json:
        out.document({"dead": rows, "total": total})
    elif rows:
        out.table(
            ["DESTINATION", "MESSAGE ID", "TYPE", "NAME", "CODE", "STATUS", "ATTEMPTS", "DIED"],
            [
                [
                    *(_cell(row, key) for key in ("destination", "message_id", "type", "name", "code", "status", "attempts")),
                    show_moment(row.get("changed_s")),
                ]
                for row in rows
            ],
        )
        if len(rows) < total:
            out.talk(f"{len(rows):,} of {total:,} are shown; --limit shows more.")
    return exits.DONE if rows else _nothing(out)


@dead.command()
@selection_options
@remote_options
@output_options
def show(which: Mapping[str, Any], remote: Remote, out: Output) -> int:
    """Show dead letters in full: cause, request, answer.

    \b
    relay dead show 3f0c9a52-7b1e-4f5d
    relay dead show --to orders --since 1h
    """
    rows, total = letters(remote, which, SHOWN)
    if out.json:
        out.document({"dead": rows, "total": total})
        return exits.DONE if rows else exits.NO_MATCH
    for row in rows:
        out.line(f"{_cell(row, 'message_id')} to {_cell(row, 'destination')}")
        for key in ("source", "type", "name", "subscription_id", "code", "status", "attempts", "job"):
            out.line(f"  {key.removesuffix('_id'):<16}{_cell(row, key)}")
        out.line(f"  {'first attempt':<16}{show_moment(row.get('first_s'))}")
        out.line(f"  {'died':<16}{show_moment(row.get('changed_s'))}")
        if row.get("detail"):
            _show_detail(row["detail"], out)
    if len(rows) < total:
        out.talk(f"{len(rows):,} of {total:,} are shown; name message ids, or narrow with --to, --code, --since and --filter.")
    return exits.DONE if rows else _nothing(out)


@dead.command()
@selection_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
@output_options
def resend(which: Mapping[str, Any], dry_run: bool, yes: bool, remote: Remote, out: Output) -> int:
    """Send dead letters again, with attempts counted from one.

    \b
    relay dead resend --to orders --code 404
    relay dead resend --to orders --since 24h --yes
    """
    return _change("resend", "Re-send", "sent again", which, dry_run, yes, remote, out)


@dead.command()
@selection_options
@click.option("--dry-run", is_flag=True, help="Only count.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@remote_options
@output_options
def discard(which: Mapping[str, Any], dry_run: bool, yes: bool, remote: Remote, out: Output) -> int:
    """Throw dead letters away, for good.

    \b
    relay dead discard --to orders --code BAD_REQUEST
    relay dead discard 3f0c9a52-7b1e-4f5d --yes
    """
    return _change("discard", "Discard", "discarded", which, dry_run, yes, remote, out)


def letters(remote: Remote, which: Mapping[str, Any], limit: int) -> tuple[list[dict[str, Any]], int]:
    """The dead letters that `which` chooses, `limit` at most, and how many there are."""
    query = {key: which[key] for key in ("to", "code", "since_s", "filter")}
    answer = remote.get("dead", **query, message_id=which["message_ids"], limit=limit)
    return answer["dead"], int(answer["total"])


def _change(verb: str, title: str, past: str, which: Mapping[str, Any], dry_run: bool, yes: bool, remote: Remote, out: Output) -> int:
    if not any(which.values()):
        raise exits.Failure(exits.USAGE, f"Say which dead letters to {verb}: --to, --code, --since, --filter or message ids.")
    wanted = {key: value for key, value in which.items() if value}
    count = int(remote.post(f"dead/{verb}", wanted | {"dry_run": True})["count"])
    if count and not dry_run:
        agree(f"{title} {exits.count_of(count, 'dead letter')}?", yes=yes)
        count = int(remote.post(f"dead/{verb}", wanted | {"dry_run": False})["count"])
    if out.json:
        out.document({"count": count, "dry_run": dry_run})
        return exits.DONE if count else exits.NO_MATCH
    if not count:
        return _nothing(out)
    would = "would be " if dry_run else ""
    out.talk(f"{exits.count_of(count, 'dead letter')} {would}{past}.")
    return exits.DONE


def _nothing(out: Output) -> int:
    out.talk("No dead letter matches.")
    return exits.NO_MATCH


def _cell(row: Mapping[str, Any], key: str) -> str:
    value = row.get(key)
    return "-" if value in (None, "") else printable(str(value))


def _show_detail(detail: Any, out: Output) -> None:
    """The last request and its answer, as kept; anything else as JSON."""
    request, response = (detail.get("request"), detail.get("response")) if isinstance(detail, dict) else (None, None)
    if not isinstance(request, dict):
        for line in to_json(detail).splitlines():
            out.line(f"  | {printable(line)}")
        return
    lines = [f"{request.get('method', '')} {request.get('url', '')}"]
    lines += [f"{name}: {value}" for name, value in (request.get("headers") or {}).items()]
    lines += ["", *str(request.get("body") or "").splitlines()]
    for line in lines:
        out.line(f"  > {printable(line)}".rstrip())
    if isinstance(response, dict):
        for line in [f"status {response.get('status')}", *str(response.get("body") or "").splitlines()]:
            out.line(f"  < {printable(line)}".rstrip())
