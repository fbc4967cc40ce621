"""One event and what became of it, destination by destination; and what a person may do about it there."""

from typing import Any, Final

from aiohttp import web

from relay.access.operator import Operator, Role
from relay.control.operate import Operations
from relay.control.replay import Replays
from relay.control.why import Why
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.console.reading import flag_of, read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

PRIVATE: Final = ("payload", "planned", "changes", "detail")
"""What holds the values of an event: for operators; a viewer sees what became of it."""


class EventRoutes:
    """`GET events?message_id=&source=`, `GET events/{event_id}`, and `POST events/{event_id}/retry|discard|send`."""

    def __init__(self, why: Why, operations: Operations, replays: Replays) -> None:
        self._why, self._operations, self._replays = why, operations, replays

    def routes(self) -> list[web.RouteDef]:
        return [
            web.get("/ui/api/events", self.by_message),
            web.get("/ui/api/events/{event_id}", self.event),
            web.post("/ui/api/events/{event_id}/retry", self.retry),
            web.post("/ui/api/events/{event_id}/discard", self.discard),
            web.post("/ui/api/events/{event_id}/send", self.send),
        ]

    async def by_message(self, request: web.Request) -> web.Response:
        """Every story of a messageId: two sources may have used it, and duplicates have one of their own."""
        by = allowed(request, Role.VIEWER)
        message_id = request.query.get("message_id", "")
        if not message_id:
            raise RequestError(400, "bad_request", "Name the event: ?message_id=.")
        stories = await self._why.by_message(message_id, request.query.get("source", ""))
        if not stories:
            raise RequestError(404, "not_found", "No event with this messageId is kept.")
        return json_answer({"message_id": message_id, "events": [visible(story, by) for story in stories]})

    async def event(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        story = await self._why.by_id(request.match_info["event_id"])
        if story is None:
            raise RequestError(404, "not_found", "No event with this id is kept.")
        return json_answer(visible(story, by))

    async def retry(self, request: web.Request) -> web.Response:
        """Now instead of later: dead letters are re-sent, retries become due."""
        by = allowed(request, Role.OPERATOR)
        seq, slug, _ = await self._order(request)
        return json_answer({"count": await self._operations.retry_now(slug, seq, by)})

    async def discard(self, request: web.Request) -> web.Response:
        """Give the event up at this destination: what waits and what is dead."""
        by = allowed(request, Role.OPERATOR)
        seq, slug, _ = await self._order(request)
        return json_answer({"count": await self._operations.give_up(slug, seq, by)})

    async def send(self, request: web.Request) -> web.Response:
        """`dry_run`: what the destination would get, nothing is sent; else the stored event goes there (again)."""
        by = allowed(request, Role.OPERATOR)
        seq, slug, dry_run = await self._order(request)
        if dry_run:
            return json_answer(await self._why.rehearse(request.match_info["event_id"], slug))
        return json_answer({"job": await self._replays.one(slug, seq, by)}, status=202)

    async def _order(self, request: web.Request) -> tuple[int, str, bool]:
        given = await read_object(request)
        refuse_unknown(given, frozenset(("destination", "dry_run")))
        event_id, slug = request.match_info["event_id"], text_of(given, "destination")
        if not (event_id[:1] == "e" and event_id[1:].isascii() and event_id[1:].isdigit() and len(event_id) < 20):
            raise RequestError(404, "not_found", "No stored event has this id.")
        if not slug:
            raise RequestError(400, "bad_request", "Name the destination.")
        return int(event_id[1:]), slug, flag_of(given, "dry_run")


def visible(story: dict[str, Any], by: Operator, private: tuple[str, ...] = PRIVATE) -> dict[str, Any]:
    """The story for this person; `private`: the keys that hold values of events."""
    return story if by.role.includes(Role.OPERATOR) else _without(story, private)


def _without(value: Any, private: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        return {key: _without(item, private) for key, item in value.items() if key not in private}
    return [_without(item, private) for item in value] if isinstance(value, list) else value
