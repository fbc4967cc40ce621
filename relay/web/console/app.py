"""The private application: health, metrics, the console's JSON and the pages, behind the gate; every error has one shape."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import structlog
from aiohttp import web

from relay.access.operator import Role
from relay.access.store import AuditRecord, TokenStore
from relay.base.clock import Clock
from relay.control.inventory import problem_row
from relay.control.operate import Operations
from relay.control.publish import Publisher
from relay.control.replay import Replays
from relay.control.statistics import Statistics
from relay.control.why import Why
from relay.errors import ConfigError, Overloaded, RequestError, StoreError
from relay.pipeline.compiled import Current
from relay.web.auth import Gate, Handler, allowed
from relay.web.console.dead import DeadRoutes
from relay.web.console.destinations import DestinationRoutes
from relay.web.console.events import EventRoutes
from relay.web.console.overview import OverviewRoutes
from relay.web.console.sources import SourceRoutes
from relay.web.console.tokens import TokenRoutes
from relay.web.health import Health
from relay.web.pages import SECURITY_HEADERS, Pages
from relay.web.respond import json_answer

log = structlog.get_logger("relay.web")

BODY_MAX_BYTES: Final = 1_048_576
HEADERS: Final = {**SECURITY_HEADERS, "Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Ready:
    """What the `relay ready` line says."""

    version: str
    tracking_url: str
    ui_url: str
    started_s: float


class Part(Protocol):
    """One family of routes."""

    def routes(self) -> list[web.RouteDef]: ...


class ConsoleApi:
    """All routes under /ui/api; `parts` are those that need more than this class has; `mask_names`: `[ui] mask`."""

    def __init__(
        self,
        *,
        ready: Callable[[], Ready],
        current: Current,
        operations: Operations,
        replays: Replays,
        why: Why,
        statistics: Statistics,
        publisher: Publisher,
        tokens: TokenStore,
        clock: Clock,
        mask_names: tuple[str, ...],
        parts: Sequence[Part] = (),
    ) -> None:
        self._ready = ready
        self._current = current
        self._operations = operations
        self._publisher = publisher
        self._tokens = tokens
        self._clock = clock
        self._parts: tuple[Part, ...] = (
            *parts,
            OverviewRoutes(statistics),
            SourceRoutes(statistics),
            DestinationRoutes(operations, statistics, current, tokens, mask_names),
            DeadRoutes(operations, replays, statistics, mask_names),
            EventRoutes(why, operations, replays),
            TokenRoutes(tokens, clock),
        )

    def routes(self) -> list[web.RouteDef]:
        own = [web.get("/ui/api/status", self.status), web.post("/ui/api/reload", self.reload)]
        return own + [route for part in self._parts for route in part.routes()]

    async def status(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.VIEWER)
        ready = self._ready()
        told: dict[str, Any] = {
            "version": ready.version,
            "tracking_url": ready.tracking_url,
            "ui_url": ready.ui_url,
            "started_s": ready.started_s,
            "workspace_version": self._current.compiled.version,
            "warnings": [problem_row(one) for one in self._publisher.warnings],
            "role": by.role,
            "destinations": await self._operations.destinations_overview(),
        }
        return json_answer(told)

    async def reload(self, request: web.Request) -> web.Response:
        by = allowed(request, Role.OPERATOR)
        try:
            workspace = await self._publisher.reload(by)
        except ConfigError as error:
            await self._tokens.audit(AuditRecord(self._clock.now(), by.name, "workspace.reload", "refused", error.message[:200]))
            raise
        await self._tokens.audit(AuditRecord(self._clock.now(), by.name, "workspace.reload", f"workspace {workspace.version}"))
        return json_answer({"workspace_version": workspace.version, "warnings": [problem_row(one) for one in self._publisher.warnings]})


def private_app(*, api: ConsoleApi, health: Health, gate: Gate, pages: Pages | None) -> web.Application:
    """The application of the private listener; without `pages` nothing is for browsers."""
    app = web.Application(middlewares=[errors, gate.middleware], client_max_size=BODY_MAX_BYTES)
    app.add_routes([*health.routes(), *api.routes(), *(pages.routes() if pages else ())])
    return app


@web.middleware
async def errors(request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> web.StreamResponse:
    """Every failure as `{"error": {"code", "message"}}`, and the security headers on every answer."""
    response = await _answered(request, handler)
    for name, value in HEADERS.items():
        response.headers.setdefault(name, value)
    return response


async def _answered(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except RequestError as error:
        log.debug("request.refused", status=error.status, code=error.code, path=request.path)
        place: dict[str, Any] = {"file": error.place.file, "line": error.place.line} if error.place else {}
        return _refusal(error.status, error.code, error.message, **place)
    except ConfigError as error:
        return _refusal(400, error.code, error.message, problems=[problem_row(one) for one in error.problems])
    except Overloaded as error:
        return _refusal(429, error.code, error.message, retry_after_s=error.retry_after_s)
    except StoreError as error:
        return _refusal(503, error.code, error.message, retry_after_s=error.retry_after_s)
    except web.HTTPException as error:
        code = {404: "not_found", 405: "method_not_allowed", 413: "too_large"}.get(error.status, "bad_request")
        return _refusal(error.status, code, error.reason)
    except Exception:  # fence: web middleware; the caller learns nothing of the inside
        log.exception("request.failed", path=request.path, method=request.method)
        return _refusal(500, "internal", "relay failed; the log says why.")


def _refusal(status: int, code: str, message: str, *, retry_after_s: int = 0, **more: Any) -> web.Response:
    response = json_answer({"error": {"code": code, "message": message, **more}}, status=status)
    if retry_after_s:
        response.headers["Retry-After"] = str(retry_after_s)
    if status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response
