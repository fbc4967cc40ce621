"""One event and what became of it, destination by destination."""

from typing import Any

from aiohttp import web

from relay.access.operator import Role
from relay.control.story import Stories
from relay.errors import RequestError
from relay.web.auth import allowed
from relay.web.respond import json_answer


class EventRoutes:
    """`GET events/{message_id}`; `?source=` when two sources used the same messageId."""

    def __init__(self, stories: Stories) -> None:
        self._stories = stories

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/ui/api/events/{message_id}", self.event)]

    async def event(self, request: web.Request) -> web.Response:
        """Payloads are for operators; a viewer sees what became of the event."""
        by = allowed(request, Role.VIEWER)
        message_id = request.match_info["message_id"]
        events: list[dict[str, Any]] = await self._stories.tell(message_id, request.query.get("source", ""))
        if not events:
            raise RequestError(404, "not_found", "No stored event has this messageId.")
        if not by.role.includes(Role.OPERATOR):
            events = [{key: value for key, value in event.items() if key != "payload"} for event in events]
        return json_answer({"message_id": message_id, "events": events})
