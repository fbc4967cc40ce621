"""Is relay alive, is it ready, and its metrics. A failing destination never makes relay unready."""

import asyncio
from collections.abc import Callable, Mapping
from typing import Final

from aiohttp import web

from relay.base.clock import Clock
from relay.observe.metrics import CONTENT_TYPE, Gauges, Metrics
from relay.web.auth import Gate

TICK_S: Final = 0.5
STALE_S: Final = 5.0

Check = Callable[[], bool]
"""True: fine. Must be cheap and must not raise."""


class Heartbeat:
    """The loop's own pulse: when it last turned, and how late it was."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._last_s = clock.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        self.lag_s = 0.0

    def start(self) -> None:
        """Tick until `stop`; needs a running loop."""
        self._last_s = self._clock.monotonic()
        self._timer = asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def stop(self) -> None:
        if self._timer:
            self._timer.cancel()

    @property
    def age_s(self) -> float:
        return self._clock.monotonic() - self._last_s

    def _tick(self) -> None:
        self.lag_s = max(0.0, self.age_s - TICK_S)
        self.start()


class Health:
    """`checks`: by name, all must be true to be ready (`store`, `disk`, `supervisor`, `started`, `stopping` ...)."""

    def __init__(self, *, heartbeat: Heartbeat, checks: Mapping[str, Check], metrics: Metrics | None, gauges: Gauges, gate: Gate) -> None:
        self._heartbeat = heartbeat
        self._checks = checks
        self._metrics = metrics
        self._gauges = gauges
        self._gate = gate

    def routes(self) -> list[web.RouteDef]:
        routes = [web.get("/healthz", self.healthz), web.get("/readyz", self.readyz)]
        return [*routes, web.get("/metrics", self.metrics)] if self._metrics else routes

    async def healthz(self, _: web.Request) -> web.Response:
        alive = self._heartbeat.age_s < STALE_S
        return web.json_response({"alive": alive}, status=200 if alive else 503)

    async def readyz(self, _: web.Request) -> web.Response:
        failed = [name for name, check in self._checks.items() if not check()]
        return web.json_response({"ready": not failed, "failed": failed}, status=503 if failed else 200)

    async def metrics(self, request: web.Request) -> web.Response:
        """The snapshot is taken first; rendering asks nobody."""
        self._gate.check_metrics(request)
        assert self._metrics is not None
        return web.Response(body=self._metrics.render(await self._gauges()), headers={"Content-Type": CONTENT_TYPE})
