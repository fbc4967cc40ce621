"""Trying a filter or a transformation before it is saved."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web

from relay.access.operator import Role
from relay.control.preview import Preview, Trial
from relay.errors import ConfigError, RequestError
from relay.web.auth import allowed
from relay.web.console.reading import read_object, refuse_unknown, text_of
from relay.web.respond import json_answer

KNOWN = frozenset(("source", "destination", "filter", "transformation", "event_id", "payload"))


class PreviewRoutes:
    """`POST preview`."""

    def __init__(self, preview: Preview) -> None:
        self._preview = preview

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/ui/api/preview", self.preview)]

    async def preview(self, request: web.Request) -> web.Response:
        """400 with `problems: [{message, at, remedy}]` for a rule that would not be saved; `at`: the key within the rule."""
        allowed(request, Role.OPERATOR)
        given = await read_object(request)
        refuse_unknown(given, KNOWN)
        trial = Trial(
            _object_of(given, "filter"), _object_of(given, "transformation"), text_of(given, "source"), text_of(given, "destination"),
            text_of(given, "event_id"), _object_of(given, "payload"),
        )  # fmt: skip
        try:
            return json_answer(await self._preview.run(trial))
        except ConfigError as error:
            problems = [{"message": one.message, "at": one.place.file if one.place else "", "remedy": one.remedy} for one in error.problems]
            return json_answer({"error": {"code": error.code, "message": error.message, "problems": problems}}, status=400)


def _object_of(given: Mapping[str, Any], name: str) -> Mapping[str, Any] | None:
    value = given.get(name)
    if value is not None and not isinstance(value, dict):
        raise RequestError(400, "bad_request", f"{name} must be an object.")
    return value
