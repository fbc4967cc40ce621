// What a source sends, event by event and field by field, with switches that let it through or block it.
import { path, put } from "../lib/api.js";
import { compact, count, cut, percent, visible } from "../lib/format.js";
import { attempt, Empty, Pill, Time, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {{path: string, types: Record<string, number>, count: number, first_s: number, last_s: number, color: "" | "red" | "yellow" | "green", sample?: unknown}} Property */
/** @typedef {{file: string, line: number} | null | undefined} Place */
/**
 * @typedef {{type: string, name: string, count: number, allowed: number, blocked: number, first_s: number | null, last_s: number | null, state: "allowed" | "blocked",
 *   owner: "file" | "ui" | "", place?: Place, destinations: Record<string, boolean>, planned: boolean | null, sampled: number, truncated: number, properties: Property[]}} Seen
 * @typedef {{name: string, state: "allowed" | "blocked", owner: "file" | "ui" | "", place?: Place}} Trait
 * @typedef {{events: Seen[], traits: Trait[], truncated: number}} Schema
 */

const EVERY_MS = 5000;
const SHOWN = 50;
const FIELDS_SHOWN = 40;
/** @type {Record<string, (one: Seen) => number | string>} */
const ORDERS = { name: (one) => nameOf(one).toLowerCase(), count: (one) => -one.count, blocked: (one) => -one.blocked, first: (one) => -(one.first_s ?? 0), last: (one) => -(one.last_s ?? 0) };

/** @param {Seen} one */
function nameOf(one) {
  return one.name || `${one.type} calls`;
}

/** @param {{slug: string, plan?: string, query: Record<string, string>}} props */
export function SchemaTab({ slug, query }) {
  const poll = /** @type {import("../lib/poll.js").Polled<Schema>} */ (usePoll(path("sources", slug, "schema"), { everyMs: EVERY_MS }));
  /** @param {{events?: Record<string, object>, traits?: Record<string, boolean>}} order @param {string} done */
  const change = (order, done) => attempt(async () => poll.set(await put(path("sources", slug, "schema"), order)), done);
  return html`<${View} poll=${poll} rows=${10}>${(/** @type {Schema} */ told) => html`<${Events} told=${told} query=${query} change=${change} /><${Traits} told=${told} change=${change} />`}</${View}>`;
}

/** @typedef {(order: {events?: Record<string, object>, traits?: Record<string, boolean>}, done: string) => Promise<boolean>} Change */

/** @param {{told: Schema, query: Record<string, string>, change: Change}} props */
function Events({ told, query, change }) {
  const { q = "", sort = "count", open = "" } = query;
  const [shown, setShown] = useState(SHOWN);
  const hasPlan = told.events.some((one) => one.planned !== null);
  const order = ORDERS[sort] ?? ORDERS.count;
  const found = told.events.filter((one) => `${one.name} ${one.type}`.toLowerCase().includes(q.toLowerCase())).map((one) => ({ one, by: order(one) })).sort((a, b) => (a.by < b.by ? -1 : a.by > b.by ? 1 : 0)).map(({ one }) => one);
  if (!told.events.length) return html`<section class="card"><${Empty} icon="live" title="Nothing was seen yet"><p>As soon as events come, their names and fields are listed here.</p><button type="button" class="btn" onClick=${() => setQuery({ tab: "setup" })}>How to send one</button></${Empty}></section>`;
  /** @param {string} id @param {string} label */
  const head = (id, label) => html`<button type="button" class="sort" aria-pressed=${sort === id} onClick=${() => setQuery({ sort: id === "count" ? null : id })}>${label}${sort === id && html`<${Icon} name="down" size=${12} />`}</button>`;
  return html`<section class="card"><div class="card-head wrap-head"><h2>Events</h2><span class="count">${told.events.length}</span><input class="input small list-filter" type="search" aria-label="Filter events" placeholder="Filter by name" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} /></div>
    ${!found.length
      ? html`<${Empty} icon="search" title="No event matches"><button type="button" class="btn" onClick=${() => setQuery({ q: null })}>Show all ${told.events.length}</button></${Empty}>`
      : html`<div class="table-wrap"><table class="table"><thead><tr><th class="tight"><span class="sr-only">Fields</span></th><th>${head("name", "Event")}</th>${hasPlan && html`<th>Plan</th>`}<th class="num">${head("count", "Came")}</th><th class="num">${head("blocked", "Blocked")}</th><th class="num wide-only">${head("first", "First seen")}</th><th class="num">${head("last", "Last seen")}</th><th>State</th></tr></thead>
        <tbody>${found.slice(0, shown).map((one) => html`<${Row} key=${`${one.type} ${one.name}`} one=${one} hasPlan=${hasPlan} isOpen=${open === `${one.type} ${one.name}`} change=${change} />`)}</tbody></table></div>`}
    ${found.length > shown && html`<p class="card-foot"><button type="button" class="link" onClick=${() => setShown(shown + SHOWN)}>${found.length - shown} more</button></p>`}
    ${told.truncated > 0 && html`<p class="card-foot muted small">There are more names than relay lists: ${count(told.truncated)} events of others came and are counted together. Names that hold an id or a date are the usual reason.</p>`}
  </section>`;
}

/** @param {{one: Seen, hasPlan: boolean, isOpen: boolean, change: Change}} props */
function Row({ one, hasPlan, isOpen, change }) {
  const name = cut(visible(nameOf(one)), 160);
  const toggle = () => setQuery({ open: isOpen ? null : `${one.type} ${one.name}` });
  const columns = hasPlan ? 7 : 6;
  return [
    html`<tr class="click ${isOpen ? "is-open" : ""} ${one.state === "blocked" ? "is-blocked" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("a, button") && toggle()}>
      <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Fields of ${name}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
      <td class="wrap event-name"><strong class="name">${name}</strong> <span class="muted small">${one.name ? one.type : ""}</span></td>
      ${hasPlan && html`<td>${one.planned ? html`<span class="small muted">planned</span>` : one.planned === false && one.type === "track" ? html`<${Pill} tone="warn">not planned</${Pill}>` : html`<span class="muted">–</span>`}</td>`}
      <td class="num strong" title=${count(one.count)}>${compact(one.count)}</td><td class="num">${one.blocked ? html`<span class="strong tone-warn" title=${count(one.blocked)}>${compact(one.blocked)}</span>` : html`<span class="muted">0</span>`}</td>
      <td class="num muted wide-only"><${Time} at_s=${one.first_s} isAgo=${true} /></td><td class="num"><${Time} at_s=${one.last_s} isAgo=${true} /></td>
      <td><${EventState} one=${one} name=${name} change=${change} /></td></tr>`,
    isOpen && html`<tr class="errors-open"><td></td><td colspan=${columns}><${Opened} one=${one} change=${change} /></td></tr>`,
  ];
}

/** @param {{one: Seen, name: string, change: Change}} props */
function EventState({ one, name, change }) {
  if (one.type !== "track") return html`<span class="muted small" title="Only track calls are blocked by their name; use a destination filter">allowed</span>`;
  const isOn = one.state === "allowed";
  return html`<${State} isOn=${isOn} place=${one.place} label="Let ${name} through" act=${() => change({ events: { [one.name]: { enabled: !isOn } } }, isOn ? `${name} is blocked from now on` : `${name} is let through again`)} />`;
}

/** A switch; where a file decides, its place. @param {{isOn: boolean, place: Place, label: string, act: () => void}} props */
function State({ isOn, place, label, act }) {
  const word = isOn ? html`<span class="small">allowed</span>` : html`<span class="small tone-warn">blocked</span>`;
  if (place) return html`<span class="stack near">${word}<span class="small muted" title="Change it there: ${place.file}:${place.line}">set in <code>${visible(place.file.split("/").at(-1) ?? "")}:${place.line}</code></span></span>`;
  if (!may("operator")) return word;
  return html`<span class="switch-cell"><${Switch} isOn=${isOn} label=${label} act=${act} />${word}</span>`;
}

/** @param {{isOn: boolean, label: string, act: () => void}} props */
function Switch({ isOn, label, act }) {
  return html`<button type="button" class="switch" role="switch" aria-checked=${isOn} aria-label=${label} onClick=${act}></button>`;
}

/** @param {{one: Seen, change: Change}} props */
function Opened({ one, change }) {
  const targets = Object.entries(one.destinations);
  const isTrack = one.type === "track";
  return html`<div class="stack gap-4 rule-open">
    ${targets.length > 0 && isTrack && one.state === "allowed" && html`<div class="stack near"><h3>Goes to</h3><div class="targets">${targets.map(([slug, isOn]) => {
      const link = html`<a href=${hrefs.destination(slug)}>${visible(slug)}</a>`;
      if (one.place || !may("operator")) return html`<span key=${slug} class="switch-cell">${link}<span class="small ${isOn ? "muted" : "tone-warn"}">${isOn ? "gets it" : "does not get it"}</span></span>`;
      return html`<span key=${slug} class="switch-cell"><${Switch} isOn=${isOn} label="${nameOf(one)} goes to ${slug}" act=${() => change({ events: { [one.name]: { integrations: { [slug]: !isOn } } } }, isOn ? `${slug} gets ${nameOf(one)} no longer` : `${slug} gets ${nameOf(one)} again`)} />${link}</span>`;
    })}</div></div>`}
    <${Fields} one=${one} /></div>`;
}

/** @param {{one: Seen}} props */
function Fields({ one }) {
  const [shown, setShown] = useState(FIELDS_SHOWN);
  if (!one.properties.length) return html`<p class="muted">${one.count ? "No field was seen in its properties or traits." : "It was not seen yet."}</p>`;
  return html`<div class="table-wrap inset"><table class="table fields"><thead><tr><th>Field</th><th>Type</th><th class="num">Share</th><th>Sensitive</th><th>Sample</th><th class="num">Last seen</th></tr></thead>
    <tbody>${one.properties.slice(0, shown).map((field) => html`<tr key=${field.path}><td class="wrap"><code class="name">${cut(visible(field.path), 160)}</code></td><td class="small"><${Types} field=${field} /></td>
      <td class="num" title="${count(field.count)} of ${count(one.sampled)} that were looked at">${percent(shareOf(field, one))}</td><td><${Hue} color=${field.color} /></td><td class="sample"><${Sample} field=${field} /></td><td class="num muted"><${Time} at_s=${field.last_s} isAgo=${true} /></td></tr>`)}</tbody></table></div>
    ${one.properties.length > shown && html`<p><button type="button" class="link" onClick=${() => setShown(shown + 2 * FIELDS_SHOWN)}>${one.properties.length - shown} more</button></p>`}
    ${one.truncated > 0 && html`<p class="muted small">It has more fields than relay lists; ${count(one.truncated)} sightings of others were left out.</p>`}`;
}

/** @param {Property} field @param {Seen} one */
function shareOf(field, one) {
  return one.sampled ? Math.min(1, field.count / one.sampled) : null;
}

/** @param {{field: Property}} props */
function Types({ field }) {
  return Object.entries(field.types).sort((a, b) => b[1] - a[1]).map(([type, number], index) => html`${index > 0 && ", "}<span key=${type} class=${index ? "tone-warn" : ""} title="${count(number)} of ${count(field.count)}">${type}</span>`);
}

/** @type {Record<string, {tone: string, title: string}>} */
const HUES = { red: { tone: "bad", title: "Names a person or a secret" }, yellow: { tone: "warn", title: "May name a person" }, green: { tone: "ok", title: "A person decided that it is harmless" } };

/** @param {{color: string}} props */
function Hue({ color }) {
  const hue = HUES[color];
  return hue ? html`<span class="hue small" title=${hue.title}><span class="dot ${hue.tone}"></span>${color}</span>` : html`<span class="muted small">–</span>`;
}

/** @param {{field: Property}} props */
function Sample({ field }) {
  if (field.sample !== null && field.sample !== undefined) return html`<code class="ellipsis" title=${cut(visible(JSON.stringify(field.sample)), 400)}>${cut(visible(JSON.stringify(field.sample)), 80)}</code>`;
  return field.color === "red" || field.color === "yellow" ? html`<span class="muted small" title="Sensitive values are not kept as samples">hidden</span>` : html`<span class="muted small">–</span>`;
}

/** What identify calls say of people. @param {{told: Schema, change: Change}} props */
function Traits({ told, change }) {
  const calls = told.events.find((one) => one.type === "identify");
  const fields = (calls?.properties ?? []).filter((field) => /^traits\.[^.]+$/.test(field.path));
  const known = new Map(told.traits.map((one) => [one.name, one]));
  const names = [...new Set([...fields.map((field) => field.path.slice("traits.".length)), ...known.keys()])];
  if (!names.length) return null;
  return html`<section class="card"><div class="card-head"><h2>Traits</h2><span class="count">${names.length}</span><span class="muted small ellipsis">What identify calls say of people; a blocked trait is left out of the call.</span></div>
    <div class="table-wrap"><table class="table fields"><thead><tr><th>Trait</th><th>Type</th><th class="num">Share</th><th>Sensitive</th><th>Sample</th><th class="num">Last seen</th><th>State</th></tr></thead>
    <tbody>${names.slice(0, 2 * SHOWN).map((name) => {
      const field = fields.find((one) => one.path === `traits.${name}`);
      const setting = known.get(name);
      const isOn = setting?.state !== "blocked";
      const said = cut(visible(name), 100);
      return html`<tr key=${name} class=${isOn ? "" : "is-blocked"}><td class="wrap"><code class="name">${said}</code></td><td class="small">${field ? html`<${Types} field=${field} />` : html`<span class="muted">not seen</span>`}</td>
        <td class="num">${field && calls ? percent(shareOf(field, calls)) : "–"}</td><td><${Hue} color=${field?.color ?? ""} /></td><td class="sample">${field ? html`<${Sample} field=${field} />` : html`<span class="muted">–</span>`}</td><td class="num muted"><${Time} at_s=${field?.last_s ?? null} isAgo=${true} /></td>
        <td><${State} isOn=${isOn} place=${setting?.place} label="Let the trait ${said} through" act=${() => change({ traits: { [name]: !isOn } }, isOn ? `The trait ${said} is left out from now on` : `The trait ${said} is let through again`)} /></td></tr>`;
    })}</tbody></table></div></section>`;
}
