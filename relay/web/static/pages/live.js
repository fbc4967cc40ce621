// The live debugger: events as they come in, each with what became of it, newest first.
import { Bottom, Filter, Pins, usePins } from "../lib/livebar.js";
import { parse } from "../lib/filter.js";
import { count, cut, plural, rate, time, timeMs, visible } from "../lib/format.js";
import { useKeys } from "../lib/keys.js";
import { Empty, Skeleton, toast } from "../lib/kit.js";
import { connection, stats, subscribe } from "../lib/live.js";
import { setQuery } from "../lib/router.js";
import { Glyph, html, Icon, useEffect, useMemo, useRef, useState } from "../lib/ui.js";
import { KEPT, Rows, VTable } from "../lib/vtable.js";

export const title = "Live";

const DESTINATIONS = 8;
const TEXT_CHARS = 200;

/** @typedef {import("../lib/live.js").Row} Row */
/** @typedef {import("../lib/live.js").Drops} Drops */

/** The tree of the text, or nothing filtered when it is no filter. @param {string} text */
function treeOf(text) {
  try {
    return parse(text);
  } catch {
    return parse("");
  }
}

/** The rows of a filter, and the two ways in which they can stand still. @param {string} q @param {string[]} pins */
function useRows(q, pins) {
  const rows = useMemo(() => new Rows(), []);
  const [, draw] = useState(0);
  const [drops, setDrops] = useState(/** @type {Drops} */ ({ slow_client: 0, rate_limited: 0, total: 0 }));
  const [error, setError] = useState("");
  const [paused, setPaused] = useState(/** @type {number | null} */ (null));
  const [isReady, setReady] = useState(false);
  const [gapAt, setGap] = useState(0);
  const live = useRef(/** @type {ReturnType<typeof subscribe> | null} */ (null));
  const redraw = () => draw((old) => old + 1);

  useEffect(() => {
    live.current = subscribe({
      filter: treeOf(q),
      fields: ["plan", "to", ...pins],
      onSnapshot: (found, isGap, isResumed) => {
        if (isResumed) rows.add(found);
        else rows.replace(found);
        if (isGap) setGap(Date.now());
        setReady(true);
        setError("");
        redraw();
      },
      onRows: (found) => (rows.add(found), redraw()),
      onPatch: (found) => (rows.patch(found), redraw()),
      onDrops: setDrops,
      onPaused: setPaused,
      onError: (told) => setError(told.text),
    });
    return () => live.current?.close();
  }, []);
  const shown = useRef(q);
  useEffect(() => {
    if (shown.current === q) return;
    shown.current = q;
    live.current?.setFilter(treeOf(q));
  }, [q]);
  const pinned = useRef(pins);
  useEffect(() => {
    if (pinned.current === pins) return;
    pinned.current = pins;
    live.current?.setFields(["plan", "to", ...pins]);
  }, [pins]);

  const toggle = () => {
    if (paused === null) live.current?.pause();
    else live.current?.resume();
    setPaused(paused === null ? 0 : null);
  };
  const clear = () => (rows.clear(), redraw());
  /** @param {boolean} isStill */
  const hold = (isStill) => {
    if (isStill === rows.isFrozen) return;
    if (isStill) rows.freeze();
    else rows.thaw();
    redraw();
  };
  return { rows, drops, error, paused, isReady, gapAt, toggle, clear, hold, closeGap: () => setGap(0) };
}

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const q = query.q ?? "";
  const opened = query.e ?? null;
  const { pins, addPin, removePin } = usePins();
  const { rows, drops, error, paused, isReady, gapAt, toggle, clear, hold, closeGap } = useRows(q, pins);
  const [active, setActive] = useState(/** @type {string | null} */ (opened));
  const [jumps, setJumps] = useState(0);
  const [Detail, setDetail] = useState(/** @type {any} */ (null));
  const filter = useRef(/** @type {HTMLInputElement | null} */ (null));

  useEffect(() => {
    if (opened && !Detail) import("./live_detail.js").then((module) => setDetail(() => module.Detail), () => toast("relay cannot be reached", "bad"));
  }, [opened]);

  const slugs = Object.keys(stats.value?.dest ?? {}).join(" ");
  const seen = rows.count ? Object.keys(rows.at(0).to).join(" ") : "";
  const columns = useMemo(() => columnsFor([...new Set(`${slugs} ${seen}`.split(" ").filter(Boolean))], pins, opened !== null), [slugs, seen, pins, opened !== null]);

  /** @param {Row} row */
  const open = (row) => setQuery({ e: row.event_id });
  const close = () => setQuery({ e: null });
  /** @param {number} step */
  const move = (step) => {
    if (!rows.count) return;
    const at = active === null ? -1 : rows.indexOf(active);
    const row = rows.at(Math.max(0, Math.min(rows.count - 1, at + step)));
    setActive(row.event_id);
    if (opened) open(row);
    requestAnimationFrame(() => /** @type {HTMLElement | null} */ (document.querySelector('.vt-body .vt-row[tabindex="0"]'))?.focus());
  };
  const toTop = () => {
    hold(false);
    setJumps(jumps + 1);
  };
  useKeys(
    [
      { keys: "/", label: "Filter", act: () => filter.current?.select() },
      { keys: "space", label: "Pause, or go on", act: toggle },
      { keys: "j", label: "Next row", act: () => move(1) },
      { keys: "k", label: "Row before", act: () => move(-1) },
      { keys: "enter", label: "Open the row", act: () => active && setQuery({ e: active }) },
      { keys: "esc", label: "Close the event", act: close },
    ],
    [active, opened, paused],
  );

  const perSecond = stats.value?.in_rate;
  const isOff = connection.value !== "live";
  return html`<div class="full live">
    <h1 class="sr-only">Live events</h1>
    <div class="livebar">
      <button type="button" class="btn" aria-pressed=${paused !== null} onClick=${toggle} title="Space">
        <${Icon} name=${paused === null ? "pause" : "play"} size=${14} />${paused === null ? "Pause" : paused ? `Resume, ${count(paused)} waiting` : "Resume"}
      </button>
      <button type="button" class="btn" onClick=${clear}>Clear</button>
      <${Filter} q=${q} input=${filter} refused=${error} />
      <${Pins} pins=${pins} onRemove=${removePin} onAdd=${addPin} />
      <${Figures} perSecond=${perSecond} kept=${rows.all.length} drops=${drops} />
    </div>
    ${gapAt > 0 && html`<div class="live-gap" role="status"><${Icon} name="warn" size=${14} /><span class="grow">The connection was lost until ${time(gapAt / 1000)}: events before may be missing in this window. Nothing is missing in relay.</span>
      <button type="button" class="btn ghost icon small" aria-label="Close" onClick=${closeGap}><${Icon} name="close" size=${14} /></button></div>`}
    <div class="live-body ${opened ? "is-narrow" : ""} ${isOff && rows.count ? "is-off" : ""}">
      <div class="live-grid">
        ${rows.waiting > 0 && html`<button type="button" class="live-new" onClick=${toTop}><${Icon} name="up" size=${14} />${count(rows.waiting)} new</button>`}
        <${VTable} label="Events" columns=${columns} count=${rows.count} rowAt=${(/** @type {number} */ index) => rows.at(index)} keyOf=${keyOf} indexOf=${(/** @type {string} */ key) => rows.indexOf(key)}
          active=${active} onActive=${setActive} onOpen=${open} opened=${opened} rowClass=${look} onTop=${(/** @type {boolean} */ isTop) => hold(!isTop)} scrollKey=${`${q} ${jumps}`} />
        ${isReady && rows.count === 0 && html`<div class="live-empty"><${Nothing} q=${q} /></div>`}
        ${!isReady && html`<div class="live-empty"><${Skeleton} rows=${12} /></div>`}
      </div>
      ${opened && Detail && html`<${Detail} key=${opened} eventId=${opened} onClose=${close} onPin=${addPin} />`}
    </div>
    <${Bottom} perSecond=${perSecond} dropped=${drops.total} />
  </div>`;
}

/** @param {Row} row */
function keyOf(row) {
  return row.event_id;
}

/** @param {Row} row */
function look(row) {
  return `${row.verdict === "accepted" ? "" : `not ${row.verdict}`}`;
}

/** @param {{perSecond: number | undefined, kept: number, drops: Drops}} props */
function Figures({ perSecond, kept, drops }) {
  const why = `Not shown here, but not lost: ${count(drops.slow_client)} because this window was slow, ${count(drops.rate_limited)} above the limit of rows per second. Delivery is not affected.`;
  return html`<div class="live-figures num">
    <span title="Events that come in, all sources">${rate(perSecond)}</span>
    <span title=${`This window keeps the newest ${count(KEPT)} events`}>${count(kept)} kept</span>
    <span class=${drops.total ? "tone-warn" : ""} title=${why}>${count(drops.total)} dropped <${Icon} name="info" size=${12} /></span>
  </div>`;
}

/** @param {{q: string}} props */
function Nothing({ q }) {
  if (!q) {
    return html`<${Empty} icon="live" title="Waiting for the first event">
      <p>Send one from an app, or try it from a terminal:</p>
      <pre class="code">relay send track --event "Hello relay" --user u1</pre>
    </${Empty}>`;
  }
  return html`<${Empty} icon="search" title="No event matches this filter">
    <p>None of the ${plural(KEPT, "newest event")} does. Matching events appear here as they come in.</p>
    <button type="button" class="btn" onClick=${() => setQuery({ q: null })}>Show all events</button>
  </${Empty}>`;
}

/** @param {string | null | undefined} text */
function shown(text) {
  return text ? cut(visible(text), TEXT_CHARS) : html`<span class="muted">–</span>`;
}

/** What makes room when an event is open beside the grid. @type {import("../lib/vtable.js").Column<Row>[]} */
const ASIDE = [
  { key: "user", label: "User", width: "minmax(90px, 1fr)", class: "mono", render: (row) => (row.user_id ? shown(row.user_id) : row.anonymous_id ? html`<span class="muted" title="anonymous">${shown(row.anonymous_id)}</span>` : shown(null)) },
  { key: "source", label: "Source", width: "minmax(72px, 0.7fr)", render: (row) => shown(row.source) },
];

/**
 * @param {string[]} slugs of destinations @param {string[]} pins @param {boolean} isNarrow an event is open beside the grid
 * @returns {import("../lib/vtable.js").Column<Row>[]}
 */
function columnsFor(slugs, pins, isNarrow) {
  const named = slugs.slice(0, DESTINATIONS);
  const rest = slugs.slice(DESTINATIONS);
  return [
    { key: "time", label: "Time", width: "96px", class: "mono num", render: (row) => html`<time datetime=${row.at} title=${row.at}>${timeMs(row.at)}</time>` },
    { key: "type", label: "Type", width: "64px", class: "type", render: (row) => cut(visible(row.type), 20) },
    { key: "event", label: "Event", width: `minmax(${isNarrow ? 110 : 150}px, 2fr)`, class: "event", render: what },
    ...(isNarrow ? [] : ASIDE),
    ...pins.map((path) => ({ key: `pin:${path}`, label: path.split(".").at(-1), title: path, width: "minmax(80px, 1fr)", class: "mono", render: (/** @type {Row} */ row) => pinned(row, path) })),
    { key: "plan", label: "Plan", width: isNarrow ? "34px" : "52px", class: "mid muted", render: plan },
    ...named.map((slug) => ({ key: `to:${slug}`, label: slug, title: slug, width: isNarrow ? "38px" : `minmax(40px, ${Math.max(56, Math.min(96, slug.length * 8))}px)`, class: "mid", render: (/** @type {Row} */ row) => delivery(row, slug) })),
    ...(rest.length ? [{ key: "to:rest", label: `+${rest.length}`, title: rest.join(", "), width: "56px", class: "mid", render: (/** @type {Row} */ row) => worst(row, rest) }] : []),
  ];
}

/** Name of the event; what was not accepted says why. @param {Row} row */
function what(row) {
  const name = row.name ? cut(visible(row.name), TEXT_CHARS) : html`<span class="muted">${row.type === "identify" ? shown(row.user_id) : "–"}</span>`;
  if (row.verdict === "accepted") return name;
  return html`<${Glyph} state=${row.verdict} /> ${name} <span class="live-code">${row.code ?? row.verdict}</span>`;
}

/** @param {Row} row @param {string} path */
function pinned(row, path) {
  const value = row.fields?.[path];
  if (value === undefined) return shown(null);
  return cut(visible(typeof value === "string" ? value : JSON.stringify(value)), TEXT_CHARS);
}

/** @param {Row} row */
function plan(row) {
  if (!row.plan) return row.verdict === "accepted" ? "ok" : "";
  return html`<span class="tone-warn strong" title=${`${row.plan} against the plan`}>!${row.plan}</span>`;
}

/** @param {Row} row @param {string} slug */
function delivery(row, slug) {
  const state = row.to[slug];
  return state ? html`<${Glyph} state=${state} title=${`${slug}: ${state}`} />` : "";
}

const WORST = ["dead", "expired", "retry", "held", "blocked", "parked", "pending", "sending", "delivered", "filtered", "discarded"];

/** The one of many that needs a look first. @param {Row} row @param {string[]} slugs */
function worst(row, slugs) {
  const states = slugs.map((slug) => row.to[slug]).filter(Boolean);
  const first = WORST.find((state) => states.includes(state));
  return first ? html`<${Glyph} state=${first} title=${slugs.map((slug) => `${slug}: ${row.to[slug] ?? "skipped"}`).join(", ")} />` : "";
}
