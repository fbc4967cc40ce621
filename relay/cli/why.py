"""`relay why`: the whole way of one event, as the event page tells it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import show_moment
from relay.cli.output import Output, output_options, printable
from relay.cli.remote import Remote, remote_options

SIGNS: Final = {
    "delivered": "\u25cf", "retry": "\u21bb", "parked": "\u21bb", "dead": "\u2715", "expired": "\u231b", "filtered": "\u2298", "blocked": "\u2298",
    "pending": "\u2026", "sending": "\u2026", "held": "\u2016", "discarded": "\u2715",
}  # fmt: skip


@click.command()
@click.argument("message_id", metavar="MESSAGE_ID")
@click.option("--source", metavar="SLUG", help="The source, when two used the same messageId.")
@click.option("--request", "show_requests", is_flag=True, help="Print the requests and answers too.")
@remote_options
@output_options
def why(message_id: str, source: str | None, show_requests: bool, remote: Remote, out: Output) -> int:
    """Tell why an event arrived, or why not: every stage, attempt and reason.

    \b
    relay why 3f0c9a52-7b1e-4f5d
    relay why 3f0c9a52-7b1e-4f5d --source web --request
    """
    told = remote.get("events", message_id=message_id, source=source)
    if out.json:
        out.document(told)
    else:
        for number, story in enumerate(told["events"]):
            if number:
                out.line("")
            print_story(story, out, show_requests=show_requests)
    return exits.DONE


def print_story(story: Mapping[str, Any], out: Output, *, show_requests: bool = False) -> None:
    """One story as text."""
    name = " ".join(filter(None, (str(story["type"]), str(story["name"]))))
    out.line(printable(f"{story['message_id']}  {name}  from {story['source']['slug']}"))
    who = story["user_id"] or story["anonymous_id"]
    sender = ", ".join(filter(None, (who and f"user {who}", story["sent_from"]["library"], story["sent_from"]["ip"])))
    out.line(printable(f"  {show_moment(story['received_ms'] / 1000)}  {_bad(story['verdict'], out)}{f'  {sender}' if sender else ''}"))
    for line in _stages(story["stages"]):
        out.line(printable(f"    {line}"))
    if story["why"]:
        out.line(printable(f"  why: {story['why']}"))
    if story.get("original_event_id"):
        out.line(f"  the first one is {story['original_event_id']}")
    if story.get("advice"):
        out.line(f"  do:  {story['advice']}")
    for hint in story.get("hints", ()):
        out.line(printable(f"  hint: {hint['path']}{': ' if hint['path'] else ''}{hint['text']}"))
    for one in story["destinations"]:
        _print_destination(one, out, show_requests)


def _print_destination(one: Mapping[str, Any], out: Output, show_requests: bool) -> None:
    state = str(one["state"])
    code = f"  {one['code']}" if one["code"] and one["code"] != state else ""
    out.line(f"  {SIGNS.get(state, ' ')} {printable(one['slug'])}: {out.paint(state)}{code}")
    for line in _stages(one["stages"]):
        out.line(printable(f"      {line}"))
    for attempt in one["attempts"]:
        status = f" HTTP {attempt['status']}" if attempt["status"] else ""
        failed = f" {attempt['code']}" if attempt["code"] not in (attempt["result"], str(attempt["status"])) else ""
        job = f" (replay {attempt['job']})" if attempt["job"] else ""
        out.line(
            printable(
                f"      {show_moment(attempt['at_s'])}  attempt {attempt['attempt']}: {attempt['result']}{status}{failed} in {attempt['duration_ms']:.0f} ms{job}"
            )
        )
    for row in one["rows"]:
        until = f", until {show_moment(row['until_s'])}" if row.get("until_s") else ""
        due = f": next attempt {show_moment(row['due_s'])}{until}" if row["state"] == "retry" and row["due_s"] else ""
        out.line(printable(f"      {row['state']} {row['code']}{due}"))
        if show_requests and row.get("detail"):
            _print_exchange(row["detail"], out)
    if show_requests:
        for plan in one.get("planned") or []:
            if plan.get("url"):
                out.line(printable(f"      would send {plan['method']} {plan['url']}"))
                out.line(printable(f"      {plan['body']}"))
    out.line(printable(f"      why: {one['why']}"))
    if one.get("advice"):
        out.line(printable(f"      do:  {one['advice']}"))


def _print_exchange(detail: Mapping[str, Any], out: Output) -> None:
    request, response = detail.get("request") or {}, detail.get("response") or {}
    if request:
        out.line(printable(f"        > {request.get('method')} {request.get('url')}"))
        for name, value in (request.get("headers") or {}).items():
            out.line(printable(f"        > {name}: {value}"))
        out.line(printable(f"        > {request.get('body', '')}"))
    out.line(printable(f"        < {response.get('status') or 'no answer'} {response.get('body', '')}"))


def _stages(stages: Iterable[Mapping[str, Any]]) -> list[str]:
    """A line for each stage that has something to say, and for what it changed; those that only let the event pass share one."""
    lines: list[str] = []
    passed: list[str] = []
    for stage in stages:
        if stage["outcome"] == "passed" and not stage["text"] and not stage.get("changes"):
            passed.append(stage["stage"])
            continue
        if passed:
            lines.append(f"{'passed':<12} {', '.join(passed)}")
            passed = []
        code = f" {stage['code']}" if stage["code"] else ""
        text = f": {stage['text']}" if stage["text"] else ""
        lines.append(f"{stage['stage']:<12} {stage['outcome']}{code}{text}")
        lines += [f"{'':<12}   {change['path']}: {_difference(change)}" for change in stage.get("changes", ())]
    return [*lines, f"{'passed':<12} {', '.join(passed)}"] if passed else lines


def _difference(change: Mapping[str, Any]) -> str:
    """A value that a stage made, or what it made of another."""
    return f"{change['after']!r}" if change["before"] is None else f"{change['before']!r} -> {change['after']!r}"


def _bad(verdict: str, out: Output) -> str:
    return out.paint(verdict, "ok" if verdict == "accepted" else "fail")
