// All destinations: which deliver, which do not, and how much waits.
import { path, post } from "../lib/api.js";
import { compact, count, ms, percent, plural, rate, visible } from "../lib/format.js";
import { healthOf, toneOfShare, waits } from "../lib/health.js";
import { attempt, Empty, Menu, Pill, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, navigate, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { Spark } from "../lib/figures.js";
import { html, Icon } from "../lib/ui.js";

/** @typedef {import("../lib/health.js").Destination & {definition?: {slug: string, name: string}}} Destination */

export const title = "Destinations";
const SHOW = [
  { value: "", label: "All" },
  { value: "trouble", label: "In trouble" },
  { value: "waiting", label: "Waiting" },
];

/** @param {Destination} to @param {string} show @param {string} text */
function isMeant(to, show, text) {
  if (show === "trouble" && ["ok", "off"].includes(healthOf(to).tone) && !to.dead) return false;
  if (show === "waiting" && !to.pending) return false;
  return !text || `${to.slug} ${to.name} ${to.type}`.toLowerCase().includes(text.toLowerCase());
}

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const poll = usePoll("destinations");
  const { show = "", q = "" } = query;
  return html`<div class="page">
    <div class="page-head"><div class="page-title"><h1>Destinations</h1>${poll.data && html`<span class="count">${poll.data.destinations.length}</span>`}</div><span class="grow"></span>
      <input class="input list-filter" type="search" aria-label="Filter destinations" placeholder="Filter by name or type" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      <div class="segmented" role="group" aria-label="Show">${SHOW.map((each) => html`<button key=${each.value} type="button" aria-pressed=${each.value === show} onClick=${() => setQuery({ show: each.value })}>${each.label}</button>`)}</div></div>
    <${View} poll=${poll}>${(/** @type {{destinations: Destination[]}} */ told) => html`<${List} all=${told.destinations} show=${show} q=${q} onChange=${poll.reload} />`}</${View}>
  </div>`;
}

/** @param {{all: Destination[], show: string, q: string, onChange: () => void}} props */
function List({ all, show, q, onChange }) {
  const found = all.filter((to) => isMeant(to, show, q));
  if (!all.length) {
    return html`<section class="card"><${Empty} icon="destinations" title="No destination yet"><p>Add one to the configuration, then reload with <code>relay reload</code>.</p>
      <pre class="code">${'[[destination]]\nslug = "backend"\ntype = "webhook"\nsources = ["web"]\n\n[destination.settings]\nurl = "${EVENTS_URL}"'}</pre></${Empty}></section>`;
  }
  if (!found.length) {
    return html`<section class="card"><${Empty} icon="check" title=${show === "trouble" && !q ? "No destination is in trouble" : "No destination matches"}><button type="button" class="btn" onClick=${() => setQuery({ q: null, show: null })}>Show all ${all.length}</button></${Empty}></section>`;
  }
  return html`<section class="card"><div class="table-wrap list-wrap"><table class="table">
    <thead><tr><th>Destination</th><th>State</th><th class="wide-only">Sources</th><th class="tight shape">Last 24 h</th><th class="num">Rate</th><th class="num">Success</th><th class="num">p95</th><th class="num">Waiting</th><th class="num">Dead</th>${may("operator") && html`<th class="tight"><span class="sr-only">Actions</span></th>`}</tr></thead>
    <tbody>${found.map((to) => html`<${Row} key=${to.slug} to=${to} onChange=${onChange} />`)}</tbody></table></div></section>`;
}

/** @param {{to: Destination, onChange: () => void}} props */
function Row({ to, onChange }) {
  const health = healthOf(to);
  const href = hrefs.destination(to.slug);
  /** @param {"hold" | "resume"} order */
  const tell = async (order) => {
    await attempt(() => post(`${path("destinations", to.slug)}/${order}`), order === "hold" ? `${to.name} is on hold; its events wait` : `${to.name} goes on`);
    onChange();
  };
  const isStopped = to.state === "held" || to.state === "breaker_open";
  const items = [
    isStopped ? { label: "Resume", icon: "play", act: () => tell("resume") } : { label: "Hold deliveries", icon: "pause", disabled: to.state === "disabled", act: () => tell("hold") },
    { label: "Dead letters", icon: "warn", act: () => navigate(`${href}?tab=dead`) },
    { label: "See its events live", icon: "live", act: () => navigate(hrefs.live(`to:${to.slug}`)) },
  ];
  const go = (/** @type {any} */ event) => !event.target.closest("a, button, [role=menu]") && navigate(href);
  return html`<tr class="click" onClick=${go}>
    <td class="lead"><a class="strong name" href=${href}>${visible(to.name)}</a><div class="small muted">${to.definition?.name ?? to.type}${to.name.toLowerCase() === to.slug ? "" : ` · ${to.slug}`}</div></td>
    <td><${Pill} tone=${health.tone} title=${health.text}><${Icon} name=${health.icon} size=${11} />${health.word}</${Pill}>${to.hold_code && to.held_by !== "user" && html`<div class="small muted">${to.hold_status ? `HTTP ${to.hold_status} ` : ""}${visible(to.hold_code)}</div>`}</td>
    <td class="muted small wide-only" title=${to.sources.join(", ")}>${to.sources.length > 3 ? plural(to.sources.length, "source") : to.sources.map(visible).join(", ")}</td>
    <td class="tight shape"><${Spark} values=${to.spark} width=${84} tone=${health.tone === "ok" ? "accent" : health.tone} /></td>
    <td class="num">${rate(to.rate)}</td>
    <td class="num"><span class="tone-${toneOfShare(to.success)}">${percent(to.success)}</span></td>
    <td class="num">${to.p95_ms === null ? html`<span class="muted">–</span>` : ms(to.p95_ms)}</td>
    <td class="num" title=${count(to.pending)}>${to.pending ? html`${compact(to.pending)}<div class="small muted">${waits(to.oldest_s)}</div>` : html`<span class="muted">0</span>`}</td>
    <td class="num">${to.dead ? html`<a class="tone-bad strong" href="${href}?tab=dead">${compact(to.dead)}</a>` : html`<span class="muted">0</span>`}</td>
    ${may("operator") && html`<td class="tight"><${Menu} class="btn ghost icon small" title="Actions for ${visible(to.name)}" label=${html`<${Icon} name="more" />`} items=${items} /></td>`}
  </tr>`;
}
