// One destination: does it deliver, what fails and why, what waits, and how it is set up.
import { path, post } from "../lib/api.js";
import { ago, compact, count, ms, percent, PERIODS, rate, seconds, sentence, visible } from "../lib/format.js";
import { healthOf, toneOfShare, waits } from "../lib/health.js";
import { attempt, Dialog, Empty, Periods, Pill, Tabs, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { Stats } from "../lib/figures.js";
import { html, Icon, useState } from "../lib/ui.js";
import { Dead } from "./dead.js";
import { Delivery } from "./destination_delivery.js";
import { History, Mappings, Setup } from "./destination_setup.js";
import { ReplayDialog, Replays } from "./replay.js";
import { DestinationRules, ruleCount } from "./rules.js";

/** @typedef {{code: string, count: number, meaning: string}} Coded */
/** @typedef {{code: string, status: number | null, count: number, first_s: number, last_s: number, state: string, meaning: string, advice: string, samples: number}} Trouble */
/**
 * @typedef {{received: number, failed_on_ingest: number, filtered_at_source: number, filtered_at_destination: number, pending: number, retry: number,
 *   failed: number, delivered: number, by_code: Record<string, Coded[]>}} Funnel
 * @typedef {import("../lib/health.js").Destination & {period: string, funnel: Funnel, series: number[][], latency: (number | null)[][], errors: Trouble[],
 *   p50_ms: number | null, p99_ms: number | null, eta_s: number | null, mappings: import("../lib/health.js").Mapping[],
 *   settings: {name: string, label: string, value: unknown, secret: boolean}[],
 *   delivery: {order: string, concurrency: number, rate_per_s: number, timeout_s: number, max_waiting?: number, retry: Record<string, any>},
 *   origin: {file: string, line: number} | null, audit: {id: number, at_s: number, operator: string, action: string, detail: string}[],
 *   definition: {slug: string, name: string}, filters: import("./rules.js").Told[], transformations: import("./rules.js").Told[],
 *   privacy: import("./rules.js").Protects[], consent_categories: string[], sync_exclude: string[], keeps_all: boolean}} Detail
 */

/** @param {Record<string, string>} params */
export const title = (params) => `${params.slug} · Destinations`;

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function Page({ params, query }) {
  const period = query.period ?? "1h";
  const poll = usePoll(path("destinations", params.slug), { query: { period } });
  return html`<div class="page">
    <nav class="trail" aria-label="Where this is"><a href="/ui/destinations">Destinations</a><${Icon} name="right" size=${12} /><span class="muted">${visible(params.slug)}</span></nav>
    ${poll.error?.status === 404
      ? html`<section class="card"><${Empty} icon="destinations" title="There is no destination of this name"><a class="btn" href="/ui/destinations">All destinations</a></${Empty}></section>`
      : html`<${View} poll=${poll} rows=${12}>${(/** @type {Detail} */ to) => html`<${Body} to=${to} period=${period} query=${query} onChange=${poll.reload} />`}</${View}>`}
  </div>`;
}

/** @param {{to: Detail, period: string, query: Record<string, string>, onChange: () => void}} props */
function Body({ to, period, query, onChange }) {
  const tab = query.tab ?? "delivery";
  const tabs = [
    { id: "delivery", label: "Delivery" },
    { id: "dead", label: "Dead letters", count: to.dead ? compact(to.dead) : null },
    { id: "mappings", label: "Mappings", count: to.mappings.length || null },
    { id: "filters", label: "Filters", count: ruleCount(to) || null },
    { id: "settings", label: "Settings" },
    ...(may("operator") ? [{ id: "history", label: "History" }] : []),
  ];
  const choose = (/** @type {string} */ id) => setQuery({ tab: id === "delivery" ? null : id, code: null, stage: null, dcode: null, since: null, mid: null, rule: null });
  return html`<${Head} to=${to} period=${period} onChange=${onChange} />
    <${Held} to=${to} onChange=${onChange} />
    <${Figures} to=${to} />
    <${Replays} slug=${to.slug} />
    <${Tabs} label="Parts of this destination" tabs=${tabs} value=${tab} onChange=${choose}>
      ${tab === "dead"
        ? html`<${Dead} to=${to} query=${query} onChange=${onChange} />`
        : tab === "mappings"
          ? html`<${Mappings} to=${to} />`
          : tab === "filters"
            ? html`<${DestinationRules} to=${to} query=${query} />`
            : tab === "settings"
              ? html`<${Setup} to=${to} />`
              : tab === "history" && may("operator")
                ? html`<${History} to=${to} />`
                : html`<${Delivery} to=${to} query=${query} />`}
    </${Tabs}>`;
}

/** @param {{to: Detail, period: string, onChange: () => void}} props */
function Head({ to, period, onChange }) {
  const [open, setOpen] = useState("");
  const health = healthOf(to);
  const isStopped = to.state === "held" || to.state === "breaker_open";
  const resume = async () => {
    await attempt(() => post(`${path("destinations", to.slug)}/resume`), `${to.name} goes on`);
    onChange();
  };
  return html`<div class="page-head">
    <div class="page-title"><h1 class="name ellipsis">${visible(to.name)}</h1><${Pill} tone=${health.tone} title=${health.text}><${Icon} name=${health.icon} size=${11} />${health.word}</${Pill}>
      <span class="muted small nowrap">${to.definition.name}</span></div>
    <span class="grow"></span>
    <${Periods} value=${period} onChange=${(/** @type {string} */ value) => setQuery({ period: value === "1h" ? null : value })} />
    <a class="btn" href=${hrefs.live(`to:${to.slug}`)} title="Its events as they happen"><${Icon} name="live" size=${14} />Live</a>
    ${may("operator") &&
    html`${isStopped ? html`<button type="button" class="btn primary" onClick=${resume}><${Icon} name="play" size=${14} />Resume</button>` : html`<button type="button" class="btn" disabled=${to.state === "disabled"} onClick=${() => setOpen("hold")}><${Icon} name="pause" size=${14} />Hold</button>`}
      <button type="button" class="btn" disabled=${to.state === "disabled"} onClick=${() => setOpen("replay")}><${Icon} name="refresh" size=${14} />Replay…</button>`}
    ${open === "hold" && html`<${HoldDialog} to=${to} onClose=${() => setOpen("")} onDone=${onChange} />`}
    ${open === "replay" && html`<${ReplayDialog} to=${to} onClose=${() => setOpen("")} onDone=${onChange} />`}
  </div>`;
}

/** @param {{to: Detail, onClose: () => void, onDone: () => void}} props */
function HoldDialog({ to, onClose, onDone }) {
  const hold = async () => {
    if (await attempt(() => post(`${path("destinations", to.slug)}/hold`), `${to.name} is on hold; its events wait`)) onClose();
    onDone();
  };
  return html`<${Dialog} title="Hold ${visible(to.name)}" onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Cancel</button><button type="button" class="btn primary" onClick=${hold}><${Icon} name="pause" size=${14} />Hold deliveries</button>`}>
    <p>relay stops sending to this destination until a person resumes. Events go on being stored and wait; nothing is lost.</p>
    ${to.rate > 0.005 && html`<p class="muted">At the present rate about ${compact(to.rate * 3600)} events will wait after an hour.</p>`}
  </${Dialog}>`;
}

/** Why nothing is delivered, and what to do about it. @param {{to: Detail, onChange: () => void}} props */
function Held({ to }) {
  if (to.state !== "held" && to.state !== "breaker_open") return null;
  const isUser = to.held_by === "user";
  const trouble = to.errors.find((each) => each.code === to.hold_code) ?? to.errors[0];
  return html`<div class="notice ${isUser ? "warn" : "bad"} held" role="status">
    <${Icon} name=${isUser ? "pause" : "warn"} />
    <div class="grow stack near">
      <strong>${isUser ? "A person stopped deliveries" : to.state === "held" ? "relay stopped deliveries" : "The receiver does not answer; relay probes it"}${to.since ? html`<span class="muted nowrap"> · ${ago(to.since)}</span>` : ""}</strong>
      ${!isUser && trouble && html`<p>${sentence(visible(trouble.meaning))}${to.hold_status ? ` (HTTP ${to.hold_status})` : ""}. <span class="muted">${visible(trouble.advice)}</span></p>`}
      ${!isUser && to.sample && html`<p class="mono small wrap">${visible(to.sample).slice(0, 300)}</p>`}
      <p class="muted small">${to.pending ? `${count(to.pending)} events wait and will be sent after it goes on.` : "Events that come now wait; nothing is lost."}</p>
    </div></div>`;
}

/** @param {{to: Detail}} props */
function Figures({ to }) {
  const oldest = waits(to.oldest_s);
  const left = to.eta_s ? to.eta_s - Date.now() / 1000 : null;
  const ends = left === null ? (to.pending && !oldest ? "on its way" : to.pending ? (to.state === "running" ? "does not shrink now" : "waits for it to go on") : "nothing waits") : left < 5 ? "done in a moment" : `done in ~${seconds(Math.round(left))}`;
  return html`<${Stats} items=${[
    { label: "Delivered", value: rate(to.rate), sub: `${compact(to.funnel.delivered)} in the ${PERIODS[to.period] ?? to.period}` },
    { label: "Success", value: percent(to.success), tone: to.success === null ? undefined : toneOfShare(to.success) === "ok" ? undefined : toneOfShare(to.success), sub: "of all attempts" },
    { label: "p95", value: ms(to.p95_ms), sub: to.p50_ms === null ? "nothing delivered" : `p50 ${ms(to.p50_ms)}` },
    { label: "Backlog", value: compact(to.pending), sub: ends, title: count(to.pending) },
    { label: "Oldest waiting", value: oldest || "–", sub: to.retry ? `${compact(to.retry)} retrying` : to.parked ? `${compact(to.parked)} parked` : "none retrying" },
    { label: "Dead", value: compact(to.dead), tone: to.dead ? "bad" : undefined, sub: to.dead ? "can be sent again" : "none given up" },
  ]} />`;
}
