"""The schema of a source: what it sends, and switches for events and traits."""

from aiohttp import web

from relay.access.operator import Role
from relay.control.schema_view import SourceSchema, read_switches
from relay.web.auth import allowed
from relay.web.console.events import visible
from relay.web.console.reading import read_object, refuse_unknown
from relay.web.respond import json_answer


class SchemaRoutes:
    """`GET sources/{slug}/schema`, `PUT sources/{slug}/schema` {events, traits}."""

    def __init__(self, schema: SourceSchema) -> None:
        self._schema = schema

    def routes(self) -> list[web.RouteDef]:
        path = "/ui/api/sources/{slug}/schema"
        return [web.get(path, self.view), web.put(path, self.change)]

    async def view(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        return json_answer(visible(await self._schema.view(request.match_info["slug"]), by, ("sample",)))

    async def change(self, request: web.Request) -> web.Response:
        """What is not named stays as it is; an event or trait of a file is refused with its place."""
        by = allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, frozenset(("events", "traits")))
        events, traits = read_switches(given)
        return json_answer(await self._schema.change(request.match_info["slug"], events, traits, by))
