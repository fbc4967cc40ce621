"""`relay send`: test events to a running relay, through the same door as any app; or the requests they would cause."""

import base64
import json
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click

from relay.cli import exits
from relay.cli.moments import Span
from relay.cli.output import Output, output_options
from relay.cli.progress import Progress
from relay.cli.remote import Remote, call, remote_options
from relay.cli.why import print_story

TYPES: Final = ("track", "identify", "page", "screen", "group", "alias")
BATCH_EVENTS: Final = 100
BATCH_BYTES: Final = 400_000
POLL_S: Final = 0.2
SEEN_WITHIN_S: Final = 5.0
"""A stored event shows at once; one that does not was refused."""
WAITING: Final = frozenset({"pending", "sending", "retry", "parked", "held"})
"""States of an event at a destination that are no end."""


@click.command()
@click.argument("kind", metavar="TYPE", type=click.Choice(TYPES), required=False)
@click.option("--event", help="The event of a track, or the name of a page or screen.")
@click.option("--user", help="The userId.")
@click.option("--anonymous", help="The anonymousId; made up when no user is named either.")
@click.option("--group", help="The groupId of a group call.")
@click.option("--previous", help="The previousId of an alias call.")
@click.option("--prop", "props", multiple=True, metavar="K=V", help="A property; V may be JSON. Dots nest: --prop cart.total=9.5")
@click.option("--trait", "traits", multiple=True, metavar="K=V", help="A trait, in the same way.")
@click.option(
    "--file", "file", type=click.Path(path_type=Path, allow_dash=True), help="Messages: one JSON object, an array, or one per line; - is stdin."
)
@click.option("--count", type=click.IntRange(1), default=1, show_default=True, help="How often, each with a messageId of its own.")
@click.option("--source", metavar="SLUG", help="The source; the first one when left out.")
@click.option("--write-key", metavar="KEY", help="Its write key, instead of asking relay for it.")
@click.option("--tracking-url", metavar="URL", envvar="RELAY_TRACKING_URL", help="Where relay takes events, instead of asking relay for it.")
@click.option("--wait", is_flag=True, help="Follow each event to its end; exit 5 when one ended dead.")
@click.option("--timeout", "timeout_s", type=Span(), default="60s", show_default=True, metavar="SPAN", help="How long --wait waits.")
@click.option("--dry-run", "dry_run", metavar="DEST", help="Print what this destination would get; send nothing.")
@remote_options
@output_options
def send(
    kind: str | None, event: str | None, user: str | None, anonymous: str | None, group: str | None, previous: str | None,
    props: tuple[str, ...], traits: tuple[str, ...], file: Path | None, count: int, source: str | None, write_key: str | None, tracking_url: str | None, wait: bool, timeout_s: float, dry_run: str | None,
    remote: Remote, out: Output,
) -> int:  # fmt: skip
    """Send test events to a source, or show what a destination would get.

    \b
    relay send track --event "Order Completed" --user u1 --prop total=9.5 --wait
    relay send track --event "Order Completed" --user u1 --dry-run orders --config relay.toml
    """
    messages = read_messages(file, kind) if file else [build_message(kind, event, user, anonymous, props, traits, group=group, previous=previous)]
    if dry_run is not None:
        return _rehearse(messages, remote.config, dry_run, source, out)
    messages = [_with_id(message, fresh=count > 1) for _ in range(count) for message in messages]
    key, target = _where(remote, source, write_key, tracking_url)
    started = time.monotonic()
    with Progress("sending", silent=out.quiet) as progress:
        sent = 0
        for batch in batches(messages):
            _post(target, key, batch)
            sent += len(batch)
            progress.show(sent, len(messages))
    out.talk(f"{exits.count_of(sent, 'event')} sent to {target} in {time.monotonic() - started:.2f} s.")
    ids = [str(message["messageId"]) for message in messages]
    if wait:
        return _follow(remote, ids, timeout_s, out)
    if out.json:
        out.document({"sent": sent, "message_ids": ids})
    else:
        for message_id in ids:
            out.line(message_id)
    return exits.DONE


def build_message(
    kind: str | None, event: str | None, user: str | None, anonymous: str | None, props: Sequence[str], traits: Sequence[str],
    *, group: str | None = None, previous: str | None = None,
) -> dict[str, Any]:  # fmt: skip
    """The message that the options describe."""
    if kind is None:
        raise click.UsageError(f"Name the TYPE ({', '.join(TYPES)}) or a --file.")
    message: dict[str, Any] = {"type": kind}
    if event is not None:
        message["event" if kind == "track" else "name"] = event
    elif kind == "track":
        raise click.UsageError("A track call needs --event.")
    for given, name, needed_by, option in ((group, "groupId", "group", "--group"), (previous, "previousId", "alias", "--previous")):
        if given is not None:
            message[name] = given
        elif kind == needed_by:
            raise click.UsageError(f"{'An' if kind == 'alias' else 'A'} {kind} call needs {option}.")
    if user is not None:
        message["userId"] = user
    if anonymous is not None or user is None:
        message["anonymousId"] = anonymous or f"cli-{uuid.uuid4()}"
    if props:
        message["properties"] = pairs(props, "--prop")
    if traits:
        message["traits"] = pairs(traits, "--trait")
    return message


def pairs(words: Sequence[str], option: str) -> dict[str, Any]:
    """`k=v` words as an object; a value that is JSON is taken as JSON, dots in the key nest."""
    made: dict[str, Any] = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not name or not equals:
            raise click.BadParameter(f"{word!r} is not key=value.", param_hint=option)
        try:
            value = json.loads(text)
        except ValueError:
            value = text
        *parents, last = name.split(".")
        node = made
        for parent in parents:
            node = node.setdefault(parent, {})
            if not isinstance(node, dict):
                raise click.BadParameter(f"{parent!r} has a value already and cannot hold more.", param_hint=option)
        node[last] = value
    return made


def read_messages(file: Path, kind: str | None) -> list[dict[str, Any]]:
    """The messages of a file: an object, an array, a batch body, or one object per line."""
    text = sys.stdin.read() if str(file) == "-" else file.read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
    except ValueError:
        value = [_parse_line(line, number, file) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    if isinstance(value, dict):
        value = value["batch"] if isinstance(value.get("batch"), list) else [value]
    if not isinstance(value, list) or not value or not all(isinstance(item, dict) for item in value):
        raise exits.Failure(exits.USAGE, f"{file}: holds no messages (an object, an array of objects, or one object per line)")
    return [({"type": kind} | item) if kind else item for item in value]


def _parse_line(line: str, number: int, file: Path) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        raise exits.Failure(exits.USAGE, f"{file}:{number}: is no JSON: {error}") from error


def _with_id(message: Mapping[str, Any], *, fresh: bool) -> dict[str, Any]:
    keep = None if fresh else message.get("messageId")
    return {**message, "messageId": keep or f"cli-{uuid.uuid4()}"}


def batches(messages: Sequence[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """Messages in batches that a source accepts."""
    made: list[list[dict[str, Any]]] = []
    room = 0
    for message in messages:
        size = len(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass"))
        if not made or len(made[-1]) >= BATCH_EVENTS or size > room:
            made.append([])
            room = BATCH_BYTES
        made[-1].append(message)
        room -= size
    return made


def _where(remote: Remote, slug: str | None, write_key: str | None, tracking_url: str | None) -> tuple[str, str]:
    """The write key and the tracking address; what is not given is asked of relay."""
    if write_key and tracking_url:
        return write_key, tracking_url
    address = tracking_url or str(remote.get("status")["tracking_url"])
    if write_key:
        return write_key, address
    answer = remote.get("sources")
    usable = [one for one in answer["sources"] if one.get("write_keys") and (slug is None or one["slug"] == slug)]
    if answer["sources"] and not any("write_keys" in one for one in answer["sources"]):
        raise exits.Failure(exits.NOT_ALLOWED, "this token may not see write keys", "Use a token of an operator, or --write-key.")
    if not usable:
        known = ", ".join(one["slug"] for one in answer["sources"])
        problem = f"there is no source {slug!r} with a write key" if slug else "relay has no source with a write key"
        raise exits.Failure(exits.NO_MATCH, problem, f"The sources are: {known}" if known else "")
    chosen = next((one for one in usable if one.get("enabled", True)), usable[0])
    return str(chosen["write_keys"][0]), address


def _post(target: str, key: str, batch: Sequence[Mapping[str, Any]]) -> None:
    headers = {"authorization": f"Basic {base64.b64encode(f'{key}:'.encode()).decode()}", "content-type": "application/json"}
    for attempt in range(1, 6):
        answer = call(target, "POST", "/v1/batch", headers=headers, body=json.dumps({"batch": batch}).encode())
        if answer.status not in (429, 503) or attempt == 5:
            break
        time.sleep(attempt)
    if answer.status == 200:
        return
    said = answer.json()
    error = said.get("error") if isinstance(said, dict) else None
    words = error.get("message", "") if isinstance(error, dict) else said.get("message", "") if isinstance(said, dict) else ""
    code = {401: exits.NOT_ALLOWED, 403: exits.NOT_ALLOWED, 429: exits.UNREACHABLE, 503: exits.UNREACHABLE}.get(answer.status, exits.PROBLEMS)
    remedy = "Check the write key." if answer.status == 401 else ""
    raise exits.Failure(code, f"{target} answered with status {answer.status}{f': {words}' if words else ''}", remedy)


def _follow(remote: Remote, ids: Sequence[str], timeout_s: float, out: Output) -> int:
    """Poll until each destination has an end; prints the timelines."""
    stories: list[dict[str, Any]] = []
    deadline = time.monotonic() + timeout_s
    with Progress("followed to the end", silent=out.quiet) as progress:
        for number, message_id in enumerate(ids, 1):
            stories += _wait_for(remote, message_id, deadline)
            progress.show(number, len(ids))
    if out.json:
        out.document({"events": stories})
    else:
        for story in stories:
            print_story(story, out)
    states = {str(one["state"]) for story in stories for one in story["destinations"]}
    if "dead" in states:
        return exits.ENDED_DEAD
    if any(story["verdict"] == "rejected" for story in stories):
        return exits.PROBLEMS
    if states & WAITING:
        out.warn(f"not every delivery ended within {timeout_s:g} s; relay goes on with them.")
        return exits.PROBLEMS
    return exits.DONE


def _wait_for(remote: Remote, message_id: str, deadline: float) -> list[dict[str, Any]]:
    seen_by = time.monotonic() + SEEN_WITHIN_S
    while True:
        try:
            stories: list[dict[str, Any]] = remote.get("events", message_id=message_id)["events"]
        except exits.Failure as error:
            if error.code != exits.NO_MATCH:
                raise
            if time.monotonic() >= min(seen_by, deadline):
                message = f"relay knows nothing of {message_id}: it was refused as a whole request, or its source is another one"
                raise exits.Failure(exits.PROBLEMS, message, "`relay_events_rejected_total` in /metrics counts refused messages by code.") from error
        else:
            waiting = any(one["state"] in WAITING for story in stories for one in story["destinations"])
            if not waiting or time.monotonic() >= deadline:
                return stories
        time.sleep(POLL_S)


def _rehearse(messages: Sequence[dict[str, Any]], config: Path | None, slug: str, source: str | None, out: Output) -> int:
    from relay.cli.rehearsal import rehearse_message

    answers = [rehearse_message(config, slug, source, message) for message in messages]
    if out.json:
        out.document({"events": answers})
    else:
        for answer in answers:
            _print_rehearsal(answer, out)
    return exits.PROBLEMS if any(answer["outcome"] == "refused" for answer in answers) else exits.DONE


def _print_rehearsal(answer: Mapping[str, Any], out: Output) -> None:
    why = f": {answer['code']}: {answer['problem']}" if answer["code"] else ""
    out.talk(f"{answer['message_id']} to {answer['destination']}: {answer['outcome']}{why}")
    for request in answer["requests"]:
        out.line(f"{request['method']} {request['url']}")
        for name, value in request["headers"].items():
            out.line(f"{name}: {value}")
        out.line("")
        out.line(request["body"])
