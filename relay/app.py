"""The composition root: builds every part, hands in the seams, owns the order of start and stop. The only wiring.

Start: configuration, data folder (lock), database, workspace, actors, router, listeners, then ready. Stop: not ready, no new
requests, no new attempts, drain, write, checkpoint. A dead writer ends the process (74): a server that cannot write must not answer.
"""

import asyncio
import gc
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from relay import __version__
from relay.access.operator import CLI_ID, SIGNAL, Operator, Role
from relay.access.sessions import Links, Sessions
from relay.access.store import TokenStore
from relay.alerts.evidence import Witness
from relay.alerts.rules import Disk
from relay.alerts.store import AlertStore
from relay.alerts.watch import Pace, Senses, Watch
from relay.base.chance import Chance, SystemChance
from relay.base.clock import Clock, SystemClock
from relay.base.masking import mask_text
from relay.base.secret import Secret
from relay.base.tasks import spawn, supervise
from relay.config.settings import Settings, parse_listen
from relay.control.alerting import Alerting, shown
from relay.control.archives import Archives
from relay.control.catalog import CatalogView
from relay.control.colors import Colors
from relay.control.drift import DriftStore, DriftWatch
from relay.control.dry_runs import DryRuns
from relay.control.fieldbook import Fieldbook
from relay.control.forget import Forget, Shops, kind_of
from relay.control.infer import Infer, TrafficReader
from relay.control.inventory import Inventory
from relay.control.job_store import JobStore
from relay.control.live import Live
from relay.control.measure import Measure
from relay.control.operate import Operations
from relay.control.places import Books, Kept, Receiver, Ring
from relay.control.plan_trouble import PlanTrouble
from relay.control.plans import Plans
from relay.control.preview import Preview
from relay.control.privacy_view import PrivacyView
from relay.control.publish import Publisher
from relay.control.pulse import Pulse
from relay.control.replay import Replays
from relay.control.residue import Residue
from relay.control.schema_view import SourceSchema
from relay.control.seen_store import SeenStore
from relay.control.statistics import Statistics
from relay.control.upkeep import Budget, Upkeep
from relay.control.violation_store import ViolationStore
from relay.control.violations import Violations
from relay.control.why import Why
from relay.database.database import Database
from relay.database.folder import DataFolder
from relay.delivery.brake import Brake
from relay.delivery.supervisor import Supervisor, Supplies
from relay.destinations import load_catalog, readme_of
from relay.errors import ConfigError, Problem
from relay.kit.request import Transport
from relay.kit.sink import Archive, Eraser, Send, Sink, SinkContext
from relay.net.client import HttpTransport
from relay.net.dial import dial
from relay.net.guard import parse_allow
from relay.observe import logs
from relay.observe.facts import RequestAccepted
from relay.observe.metrics import Metrics, Snapshot
from relay.observe.observer import Observer
from relay.observe.systemd import notify, watchdog_s
from relay.observe.tap import Tap
from relay.outbox.engine import LedgerOutbox, Limits
from relay.outbox.interface import ROUTER
from relay.outbox.operations import Keep
from relay.outbox.sqlite import open_outbox
from relay.pipeline.compiled import Compiled, CompiledDestination, Current, compile_workspace
from relay.router.feed import TailFeed
from relay.router.router import Router
from relay.router.tail import Tail
from relay.web.auth import Gate
from relay.web.console.alerts import AlertRoutes
from relay.web.console.app import ConsoleApi, Ready, private_app
from relay.web.console.catalog import CatalogRoutes
from relay.web.console.dry_run import DryRunRoutes
from relay.web.console.forget import ForgetRoutes
from relay.web.console.live import LiveRoutes
from relay.web.console.plans import PlanRoutes
from relay.web.console.preview import PreviewRoutes
from relay.web.console.privacy import PrivacyRoutes
from relay.web.console.schema import SchemaRoutes
from relay.web.console.session import SessionRoutes
from relay.web.console.settings import SettingsRoutes
from relay.web.health import Health, Heartbeat
from relay.web.pages import Pages
from relay.web.server import Guards, Listener, Proxies
from relay.web.tracking.ingest import TrackingApi, TrackingLimits
from relay.workspace.assemble import Loaded, load, setting_digest
from relay.workspace.model import Destination, Workspace
from relay.workspace.store import WorkspaceStore
from relay.workspace.stored import Stored
from relay.workspace.suppressions import Suppressions, SuppressionStore

log = structlog.get_logger("relay.app")

PLACEHOLDER_KEY = "wk_to_be_made"
SLOW_COMMIT_S = 2.0
REQUESTS_END_S = 5.0


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """What `relay serve` was told."""

    config: Path | None = None
    data: Path | None = None
    listen: str | None = None
    ui_listen: str | None = None
    overrides: tuple[str, ...] = ()

    def settings(self) -> tuple[str, ...]:
        """The options as overrides: they win over everything."""
        given = {"store.data_dir": str(self.data) if self.data else None, "server.listen": self.listen, "ui.listen": self.ui_listen}
        return (*self.overrides, *(f"{key}={value}" for key, value in given.items() if value is not None))


@dataclass(frozen=True, slots=True)
class Seams:
    """Where tests hand in another clock, chance or network; left out: the real ones."""

    clock: Clock = field(default_factory=SystemClock)
    chance: Chance = field(default_factory=SystemChance)
    open_transport: Callable[[Destination], Transport] = lambda model: HttpTransport(model.allow_private, model.timeout_s, endpoint=model.endpoint)


class App:
    """One running relay. Made by `build`; `start`, then `stop`."""

    def __init__(self, options: ServeOptions, loaded: Loaded, folder: DataFolder, environment: Mapping[str, str], seams: Seams) -> None:
        self._options = options
        self._environment = environment
        self._loaded = loaded
        self._folder = folder
        self._seams = seams
        self._catalog = load_catalog()
        self._links = Links(seams.clock)
        self._stopping = False
        self._ready = False
        self._router_task: asyncio.Task[None] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self.settings: Settings = loaded.settings
        self.exit_code = 0
        self.ended = asyncio.Event()
        """Set when the app cannot go on (the writer died, the router crashed)."""

    # start

    async def start(self) -> None:
        """Everything up to ready; what was started is stopped again when a step fails."""
        try:
            await self._open_store()
            await self._open_workspace()
            self._build_delivery()
            await self._open_fieldbook()
            self._build_alerts()
            await self._supervise()
            await self._listen()
            self._keep(supervise(self.forget.run, name="forget", on_crash=lambda error, delay_s: None), "forget")
            if self.settings.alerts.enabled:
                self._keep(supervise(self.watch.run, name="alerts", on_crash=lambda error, delay_s: None), "alerts")
        except BaseException:
            await self.stop()
            raise
        self._ready = True
        notify("READY=1")

    async def _open_store(self) -> None:
        store = self.settings.store
        self.database = await Database.open(
            self._folder.database,
            clock=self._seams.clock,
            on_fatal=self._die,
            durability=store.durability,
            commit_max_events=store.commit_max_events,
            commit_max_bytes=store.commit_max_bytes,
            min_free_bytes=store.min_free_bytes,
        )
        self._ended_clean = await self.database.ended_clean()
        keep = Keep(store.keep_h * 3600, store.keep_dead_days * 86400, store.keep_tallies_days * 86400)
        limits = Limits(store.commit_max_events, store.commit_max_bytes, store.memory_max_bytes)
        self.outbox: LedgerOutbox = await open_outbox(self.database, self._seams.clock, keep=keep, limits=limits)
        self.metrics = Metrics(self.outbox.totals, version=__version__)
        self.observer = Observer(self.metrics, level=self.settings.log.level)
        self.database.on_commit = lambda seconds, jobs, events: self.observer.committed(seconds, events)

    def _die(self, error: Exception) -> None:
        log.error("store.failed", error=str(error))
        self.exit_code = 74
        self.ended.set()

    async def _open_workspace(self) -> None:
        self.default_write_key = await self._own_write_key()
        self.workspaces = WorkspaceStore(self.database)
        self._stored = await self.workspaces.stored()
        candidate, warnings = self._read(self._stored)
        workspace = await self.workspaces.save(candidate, "start", self._seams.clock.now(), self._stored)
        self.current = Current(self._compile(workspace))
        self.suppressions = SuppressionStore(self.database, self._seams.clock, self._suppress)
        await self.suppressions.load()
        self.metrics.set("relay_workspace_version", workspace.version)
        self._first_warnings = warnings

    async def _own_write_key(self) -> str:
        """The key of the source that exists without any configuration: made once, kept in the database."""

        def job(connection: object) -> str:
            execute = connection.execute  # type: ignore[attr-defined]
            execute("INSERT OR IGNORE INTO meta (key, value) VALUES ('write_key', ?)", (f"wk_{secrets.token_hex(12)}",))
            return str(execute("SELECT value FROM meta WHERE key = 'write_key'").fetchone()[0])

        return await self.database.write(job)

    def _read(self, stored: Stored, changes: Mapping[str, Any] | None = None) -> tuple[Workspace, list[Problem]]:
        """The configuration as it is on disk now with what the UI owns, perhaps with changes that are not saved.

        Settings of the process take effect at the next start.
        """
        loaded = load(
            self._options.config,
            self._catalog,
            environment=self._environment,
            overrides=self._options.settings(),
            default_write_key=self.default_write_key,
            changes=changes,
            stored=stored,
        )
        return loaded.workspace, list(loaded.warnings)

    def _suppress(self, suppressions: Suppressions) -> None:
        self.current.suppressions = suppressions

    def _compile(self, workspace: Workspace) -> Compiled:
        return compile_workspace(workspace, self._catalog)

    def _build_delivery(self) -> None:
        seams = self._seams
        self.tail = Tail()
        self.router = Router(self.outbox, self.current, self.tail, seams.clock)
        self.archives = Archives(outbox=self.outbox, current=self.current, clock=seams.clock, open_archive=self._archive)
        supplies = Supplies(
            self.outbox, seams.clock, seams.chance, self.observer, self._feed, seams.open_transport, self._sink, setting_digest,
            None if self._ended_clean else asyncio.Lock(), self.archives.open, Brake(time.process_time),
        )  # fmt: skip
        self.supervisor = Supervisor(supplies, drain_s=self.settings.server.drain_s)
        budget = Budget(self.settings.store.max_db_bytes, self.settings.store.when_full)
        self.upkeep = Upkeep(self.outbox, self.database, self.current, seams.clock, self.observer, budget)
        self.violations = Violations(
            store=ViolationStore(self.database), outbox=self.outbox, current=self.current, clock=seams.clock, mask_names=tuple(self.settings.ui.mask)
        )
        self.plan_trouble = PlanTrouble(self.violations, self.current, seams.clock)
        self.router.on_routed.append(self.violations.record)
        self.measure = Measure(self.outbox, self.outbox.totals, self.current, seams.clock, self.observer)
        self.traffic = TrafficReader(self.outbox, self.current, seams.clock)
        self.drift = DriftWatch(
            self.traffic,
            DriftStore(self.database),
            outbox=self.outbox,
            current=self.current,
            clock=seams.clock,
            link=lambda slug: f"{self.ui_url}/ui/plans/{slug}?tab=drift",
        )

    async def _open_fieldbook(self) -> None:
        """What the sources have sent so far; it must hear the router from its first event on."""
        self.colors = Colors(self.current)
        self.fieldbook = Fieldbook(
            store=SeenStore(self.database), colors=self.colors, clock=self._seams.clock, mask_names=tuple(self.settings.ui.mask)
        )
        await self.fieldbook.load()
        self.router.on_routed.append(self.fieldbook.routed)

    def _build_alerts(self) -> None:
        settings, masked = self.settings.alerts, tuple(self.settings.ui.mask)
        self.alert_store = AlertStore(self.database)
        self.watch = Watch(
            outbox=self.outbox,
            current=self.current,
            store=self.alert_store,
            witness=Witness(self.outbox, self.workspaces, lambda text: mask_text(text, masked)),
            senses=Senses(lambda: self.supervisor.restarts, self._disk, self._alerts_page, self.violations.offences),
            pace=Pace(settings.check_every_s, settings.repeat_every_h),
            clock=self._seams.clock,
            observer=self.observer,
        )

    def _disk(self) -> Disk:
        room, most = self.upkeep.room, self.settings.store.max_db_bytes
        left = room.free_bytes + room.freelist_bytes
        reserve_share = room.reserve_bytes / left if left and room.reserve_bytes else 0.0
        return Disk((room.db_bytes - room.freelist_bytes) / most, reserve_share, self.database.full or self.outbox.reserve)

    def _alerts_page(self) -> str:
        return f"{self.ui_url}/ui/alerts"

    def _feed(self, destination: CompiledDestination) -> TailFeed:
        return TailFeed(self.tail, self.current, destination.source_ids)

    def _sink(self, destination: CompiledDestination, transport: Transport) -> Sink | None:
        open_sink = destination.definition.open_sink
        if open_sink is None:
            return None
        return open_sink(dict(destination.destination.settings), replace(self._sink_context(destination), send=transport.send))

    def _archive(self, destination: CompiledDestination) -> Archive | None:
        open_archive = destination.definition.open_archive
        return open_archive(dict(destination.destination.settings), self._sink_context(destination)) if open_archive else None

    def _kept(self, destination: CompiledDestination) -> Kept | None:
        """What a destination stored, as far as users can be deleted from it."""
        definition, model = destination.definition, destination.destination
        if definition.open_archive is None and definition.open_eraser is None:
            return None
        settle = partial(self.supervisor.finish_files, model.destination_id)
        return Kept(model.slug, kind_of(destination), partial(self._seams.open_transport, model), partial(self._eraser, destination), settle)

    def _eraser(self, destination: CompiledDestination, send: Send) -> Eraser:
        """Of a destination that has one."""
        settings, context = dict(destination.destination.settings), replace(self._sink_context(destination), send=send)
        if destination.definition.open_archive is not None:
            return destination.definition.open_archive(settings, context)
        assert destination.definition.open_eraser is not None, "only such destinations are asked"
        slugs = [self._source_slug(source_id) for source_id in destination.destination.source_ids]
        return destination.definition.open_eraser(settings, context, slugs)

    def _sink_context(self, destination: CompiledDestination) -> SinkContext:
        allow = parse_allow(destination.destination.allow_private)
        exclude = destination.destination.sync_exclude
        return SinkContext(self._seams.clock, self._folder.path, self._source_slug, partial(dial, allow=allow), exclude=exclude)

    def _source_slug(self, source_id: str) -> str:
        source = self.current.compiled.sources.get(source_id)
        return source.source.slug if source else source_id

    async def _supervise(self) -> None:
        await self.outbox.create(ROUTER)
        await self.upkeep.step()
        await self.supervisor.use(self.current.compiled)
        self._router_task = self._keep(self.router.run(), "router")
        self._keep(self.upkeep.run(), "upkeep")
        self._keep(self.measure.run(), "measure")
        self._keep(self.violations.run(), "violations")
        self._keep(self.drift.run(), "drift")
        self._keep(self.fieldbook.run(), "fieldbook")
        if period_s := watchdog_s():
            self._keep(self._beat(period_s), "watchdog")

    def _keep(self, work: Coroutine[object, object, None], name: str) -> "asyncio.Task[None]":
        """A task without which relay must not go on."""
        task: asyncio.Task[None] = spawn(work, name=name)
        task.add_done_callback(self._fell)
        self._tasks.append(task)
        return task

    def _fell(self, task: "asyncio.Task[None]") -> None:
        if not task.cancelled() and not self._stopping:
            log.error("task.crashed", task=task.get_name(), exc_info=task.exception())
            self.exit_code = self.exit_code or 70
            self.ended.set()

    async def _beat(self, period_s: float) -> None:
        while True:
            notify("WATCHDOG=1")
            await asyncio.sleep(period_s)

    # listeners

    async def _listen(self) -> None:
        server, ui = self.settings.server, self.settings.ui
        limits = TrackingLimits(
            server.max_body_bytes, server.max_event_bytes, server.max_batch_events, server.body_timeout_s, server.public_url,
            tuple(server.cors_origins), tuple(server.trusted_proxies),
        )  # fmt: skip
        emit = self.observer.emit
        api = TrackingApi(self.current, self.outbox, limits, self._seams.clock, emit, accepted=lambda *told: emit(RequestAccepted(*told)))
        guards = Guards(
            server.head_timeout_s, server.max_connections, server.max_connections_per_address, tuple(server.trusted_proxies),
            server.tls_cert, server.tls_key,
        )  # fmt: skip
        self.tracking = Listener(api.app(), server.listen, guards, error_headers=api.cors.headers)
        self.private = Listener(self._private_app(), ui.listen, Guards(server.head_timeout_s), inflate=True)
        await self.private.start()
        await self.tracking.start()

    def _private_app(self) -> web.Application:
        tokens = TokenStore(self.database, self._seams.clock)
        self._build_orders(tokens)
        self._build_gate(tokens)
        self._build_live()
        self._heartbeat = Heartbeat(self._seams.clock)
        self._heartbeat.start()
        return private_app(api=self._console(tokens), health=self._health(), gate=self.gate, pages=Pages() if self.settings.ui.enabled else None)

    def _build_orders(self, tokens: TokenStore) -> None:
        """What a person may order or ask."""
        clock = self._seams.clock
        self.operations = Operations(
            outbox=self.outbox, current=self.current, access=tokens, clock=clock, observer=self.observer, refresh=self.supervisor.refresh
        )
        self.replays = Replays(
            outbox=self.outbox, current=self.current, supervisor=self.supervisor, access=tokens, clock=clock, archives=self.archives
        )
        self.why = Why(outbox=self.outbox, current=self.current, clock=clock, mask_names=tuple(self.settings.ui.mask), aloft=self.supervisor.aloft)
        self.publisher = Publisher(
            read=self._read,
            compile=self._compile,
            store=self.workspaces,
            stored=self._stored,
            current=self.current,
            supervisor=self.supervisor,
            clock=clock,
            observer=self.observer,
        )
        self.publisher.warnings = self._first_warnings
        self.dry_runs = DryRuns(
            outbox=self.outbox,
            current=self.current,
            clock=clock,
            archives=self.archives,
            candidate=lambda changes: self._compile(self._read(self.publisher.stored, changes)[0]),
            mask_names=tuple(self.settings.ui.mask),
        )
        self.source_schema = SourceSchema(
            fieldbook=self.fieldbook, colors=self.colors, current=self.current, publisher=self.publisher, access=tokens, clock=clock
        )
        self.privacy_view = PrivacyView(
            fieldbook=self.fieldbook, colors=self.colors, current=self.current, publisher=self.publisher, access=tokens, clock=clock
        )

    def _build_gate(self, tokens: TokenStore) -> None:
        """Who may come in."""
        clock, ui = self._seams.clock, self.settings.ui
        self.sessions = Sessions(self.database, clock, lasts_s=ui.session_hours * 3600, ui_token=ui.token)
        self.gate = Gate(
            cli_token=Secret(self.cli_token),
            ui_token=ui.token,
            metrics_token=self.settings.metrics.token,
            tokens=tokens,
            sessions=self.sessions,
            links=self._links,
            hosts=tuple(ui.hosts),
            listen=parse_listen(ui.listen).host,
            proxies=Proxies(self.settings.server.trusted_proxies),
            clock=clock,
        )

    def _build_live(self) -> None:
        """The live rows, and who sends them."""
        clock, ui = self._seams.clock, self.settings.ui
        tap = Tap(clock, self.metrics, ring_rows=ui.ring_events, max_rate=ui.max_rows_per_s)
        pulse = Pulse(totals=self.outbox.totals, operations=self.operations, current=self.current, clock=clock, firing=lambda: len(self.watch.alerts))
        live = Live(tap=tap, outbox=self.outbox, router=self.router, current=self.current, pulse=pulse, aloft=self.supervisor.aloft)
        self._ring = Ring(live)
        self.live = LiveRoutes(live, self.gate, clock, version=__version__, max_viewers=ui.max_viewers, mask_names=tuple(ui.mask))
        self.watch.listeners.append(lambda alert: self.live.announce(shown(alert, [])))

    def _console(self, tokens: TokenStore) -> ConsoleApi:
        """The JSON of the pages and commands."""
        clock, ui, started_s = self._seams.clock, self.settings.ui, self._seams.clock.now()
        statistics = Statistics(
            outbox=self.outbox, operations=self.operations, measure=self.measure, current=self.current, clock=clock,
            healthy=lambda: self._ready and not (self.database.failed or self.database.full or self.outbox.reserve),
            tracking_url=lambda: self.tracking_url, plan_trouble=self.plan_trouble,
        )  # fmt: skip
        inventory = Inventory(
            self.settings, self._loaded.tree, str(self._folder.path), started_s, self.database, self.workspaces, self.current,
            lambda: self.upkeep.room, lambda: self.publisher.warnings,
        )  # fmt: skip
        session_routes = SessionRoutes(gate=self.gate, sessions=self.sessions, links=self._links, tokens=tokens, clock=clock, version=__version__)
        self.forget = self._forget(tokens)
        alerting = Alerting(
            watch=self.watch,
            store=self.alert_store,
            outbox=self.outbox,
            current=self.current,
            access=tokens,
            clock=clock,
            link=self._alerts_page,
            enabled=self.settings.alerts.enabled,
        )
        return ConsoleApi(
            ready=lambda: Ready(__version__, self.tracking_url, self.ui_url, started_s),
            current=self.current,
            operations=self.operations,
            replays=self.replays,
            why=self.why,
            statistics=statistics,
            publisher=self.publisher,
            tokens=tokens,
            clock=clock,
            mask_names=ui.mask,
            parts=(
                session_routes,
                ForgetRoutes(self.forget),
                SettingsRoutes(inventory, tokens),
                AlertRoutes(alerting),
                DryRunRoutes(self.dry_runs),
                CatalogRoutes(CatalogView(self._catalog, readme_of)),
                PreviewRoutes(Preview(outbox=self.outbox, current=self.current, mask_names=tuple(ui.mask))),
                self._plan_routes(tokens),
                SchemaRoutes(self.source_schema),
                PrivacyRoutes(self.privacy_view),
                self.live,
            ),
        )

    def _plan_routes(self, tokens: TokenStore) -> PlanRoutes:
        """Tracking plans."""
        clock = self._seams.clock
        plans = Plans(
            current=self.current,
            outbox=self.outbox,
            publisher=self.publisher,
            versions=self.workspaces,
            access=tokens,
            clock=clock,
            reader=self.traffic,
            watch=self.drift,
            violations=self.violations,
            trouble=self.plan_trouble,
            switches=self.source_schema,
        )
        return PlanRoutes(plans, Infer(self.traffic, self.current, tuple(self.settings.ui.mask)), clock)

    def _forget(self, tokens: TokenStore) -> Forget:
        """Deletion requests, and every place that they search."""
        clock, open_transport = self._seams.clock, self._seams.open_transport
        shops = Shops(
            own=(
                Books(outbox=self.outbox, alerts=self.alert_store, watch=self.watch, tokens=tokens, flush=self.measure.flush),
                self.violations,
                self.fieldbook,
                self.dry_runs,
                self._ring,
            ),
            kept=self._kept,
            receiver=lambda destination: Receiver(destination, partial(open_transport, destination.destination), clock),
        )
        return Forget(
            jobs=JobStore(self.database), suppressions=self.suppressions, shops=shops, residue=Residue(self.database, self._folder.path),
            current=self.current, access=tokens, clock=clock,
        )  # fmt: skip

    def _health(self) -> Health:
        """Liveness, readiness and metrics."""
        return Health(
            heartbeat=self._heartbeat,
            checks={
                "started": lambda: self._ready,
                "stopping": lambda: not self._stopping,
                "store": lambda: not self.database.failed and not self.database.full and self.database.commit_age_s < SLOW_COMMIT_S,
                "disk": lambda: not self.outbox.reserve,
                "router": lambda: self._router_task is not None and not self._router_task.done(),
            },
            metrics=self.metrics if self.settings.metrics.enabled else None,
            gauges=self._snapshot,
            gate=self.gate,
        )

    async def _snapshot(self) -> Snapshot:
        workspace = self.current.compiled.workspace
        slugs = {source.source_id: source.slug for source in workspace.sources}
        slugs |= {destination.destination_id: destination.slug for destination in workspace.destinations}
        room = self.upkeep.room
        gates = {actor.destination.destination.slug: actor.gate.position for actor in self.supervisor.actors.values()}
        figures = tuple(replace(one, breaker=gates.get(one.slug, one.breaker)) for one in await self.operations.figures())
        return Snapshot(figures, slugs, room.db_bytes + room.wal_bytes, room.free_bytes, self._heartbeat.lag_s)

    @property
    def tracking_url(self) -> str:
        return self.settings.server.public_url or self.tracking.urls[0]

    @property
    def ui_url(self) -> str:
        return self.private.urls[0]

    @property
    def cli_token(self) -> str:
        """What `<data_dir>/cli.token` holds."""
        return self._folder.token_text

    # orders from outside

    async def reload(self) -> None:
        """SIGHUP: read the configuration again; a wrong one keeps the old."""
        try:
            await self.publisher.reload(SIGNAL)
        except ConfigError:
            return  # the publisher has told it

    async def stop(self) -> None:
        """Drain and close; works at any point of the start. Calling it twice is harmless."""
        if self._stopping:
            return
        self._stopping = True
        notify("STOPPING=1")
        if hasattr(self, "tracking"):
            await self.tracking.close(REQUESTS_END_S)
        if hasattr(self, "supervisor"):
            await self.supervisor.stop(self.settings.server.drain_s)
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        if hasattr(self, "private"):
            self._heartbeat.stop()
            await self.live.close()
            await self.dry_runs.close()
            await self.private.close(1)
        if hasattr(self, "measure"):
            await self.measure.flush()
            await self.violations.flush()
        if hasattr(self, "fieldbook"):
            await self.fieldbook.flush(whole=True)
        if hasattr(self, "database"):
            await self.database.close()
        self._folder.close()

    def login_link(self) -> str:
        """A page that logs its first visitor in as the owner of this machine; empty when no browser can reach the UI."""
        if not self.settings.ui.enabled or self.ui_url.startswith("unix:"):
            return ""
        here = self.ui_url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
        return f"{here}/ui/login#{self._links.new(Operator(CLI_ID, CLI_ID, Role.ADMIN))}"

    def welcome(self, *, to_person: bool) -> str:
        """What is said when relay is ready; the first line is for programs as well.

        `to_person`: on a terminal. Without one a login link is printed only when there is no `[ui] token` to log in with.
        """
        lines = [f"relay ready: events {self.tracking_url}  ui {self.ui_url}  data {self._folder.path}"]
        if (to_person or not self.settings.ui.token) and (link := self.login_link()):
            lines += ["", f"  open it    {link}", "             (once, within 10 minutes; `relay login` prints a new one)"]
        sources = self.current.compiled.workspace.sources
        if sources and sources[0].write_keys and sources[0].write_keys[0] == self.default_write_key:
            key = sources[0].write_keys[0]
            event = '{"userId":"u1","event":"Hello","properties":{"from":"curl"}}'
            lines += [
                "",
                f"  write key  {key}",
                "  try it     " + f"curl -u {key}: {self.tracking_url}/v1/track -d '{event}'",
                f"  see it     zcat {self._folder.archive}/source=*/date=*/hour=*/*.ndjson.gz*",
            ]
        return "\n".join(lines)


def build(options: ServeOptions, *, environment: Mapping[str, str] | None = None, seams: Seams | None = None) -> App:
    """Check the configuration and take the data folder. Raises ConfigError, LockedError or StoreError; nothing runs yet."""
    environment = os.environ if environment is None else environment
    loaded = load(options.config, load_catalog(), environment=environment, overrides=options.settings(), default_write_key=PLACEHOLDER_KEY)
    compile_workspace(loaded.workspace, load_catalog())
    logs.configure(loaded.settings.log.level, loaded.settings.log.format)
    folder = DataFolder.open(Path(loaded.settings.store.data_dir), allow_network_fs=loaded.settings.store.allow_network_fs)
    return App(options, loaded, folder, environment, seams or Seams())


def serve(options: ServeOptions) -> int:
    """Run relay until it is told to stop; returns the exit code."""
    import uvloop

    calm_collector()
    return uvloop.run(_serve(options))


def calm_collector() -> None:
    """Events live for seconds as thousands of small objects without cycles: looking through them at Python's pace costs a fifth of ingest."""
    gc.freeze()
    gc.set_threshold(10_000, 20, 50)


async def _serve(options: ServeOptions) -> int:
    app = build(options)
    loop = asyncio.get_running_loop()
    stop = asyncio.Event()
    reloads: set[asyncio.Task[None]] = set()

    def on_stop() -> None:
        if stop.is_set():
            os._exit(130)  # a second signal: at once
        stop.set()

    def on_reload() -> None:
        task = spawn(app.reload(), name="reload")
        reloads.add(task)
        task.add_done_callback(reloads.discard)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, on_stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: None)
    starting = spawn(app.start(), name="start")
    stopping = spawn(stop.wait(), name="stop")
    await asyncio.wait([starting, stopping], return_when=asyncio.FIRST_COMPLETED)
    if not starting.done():
        starting.cancel()
        await asyncio.wait([starting])
        return app.exit_code
    starting.result()
    loop.add_signal_handler(signal.SIGHUP, on_reload)
    print(app.welcome(to_person=sys.stdout.isatty()), flush=True)  # noqa: T201
    ended = spawn(app.ended.wait(), name="ended")
    await asyncio.wait([stopping, ended], return_when=asyncio.FIRST_COMPLETED)
    for task in (stopping, ended):
        task.cancel()
    await app.stop()
    return app.exit_code
