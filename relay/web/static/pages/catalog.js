// The catalog: the destinations that relay can deliver to; of one: what it takes, asks for and can do, and its README as plain text.
import { path } from "../lib/api.js";
import { count, plural, visible } from "../lib/format.js";
import { CopyButton, Empty, Kv, Pill, Segmented, Tabs, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { setQuery } from "../lib/router.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {{name: string, key: string, label: string, type: string, required: boolean, secret: boolean, default: unknown, choices: string[], help: string}} Setting */
/** @typedef {{name: string, label: string, type: string, required: boolean, required_when: string, multiple: boolean, format: string, choices: string[], default: unknown, help: string, properties?: Field[]}} Field */
/** @typedef {{events: number, bytes: number, keys: string[], always: boolean}} Batch */
/** @typedef {{slug: string, title: string, description: string, trigger: string, batch: Batch | null, is_repeatable: boolean, fields: Field[]}} Action */
/** @typedef {{name: string, action: string, trigger: string, mapping: Record<string, unknown>, automatic: boolean}} Preset */
/**
 * @typedef {{slug: string, name: string, description: string, mode: string, methods: string[], has_test: boolean, settings: Setting[], actions: Action[],
 *   presets: Preset[], readme?: string}} Definition
 */

/** @param {Record<string, string>} params */
export const title = (params) => (params.slug ? `${params.slug} · Catalog` : "Catalog");
const CALLS = 6;
/** With more actions than this, their fields are shown when somebody asks for them. */
const OPEN_ACTIONS = 4;
const SHOW = [
  { value: "", label: "All" },
  { value: "cloud", label: "Services" },
  { value: "storage", label: "Sinks" },
];

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function Page({ params, query }) {
  return params.slug ? html`<${One} key=${params.slug} slug=${params.slug} query=${query} />` : html`<${All} query=${query} />`;
}

/** @param {string} slug */
function hrefOf(slug) {
  return `/ui/catalog/${encodeURIComponent(slug)}`;
}

/** @param {Definition} one @param {string} mode @param {string} text */
function isMeant(one, mode, text) {
  const words = `${one.slug} ${one.name} ${one.description} ${one.actions.map((action) => action.slug).join(" ")}`.toLowerCase();
  return (!mode || one.mode === mode) && text.toLowerCase().split(/\s+/).every((word) => words.includes(word));
}

/** @param {{query: Record<string, string>}} props */
function All({ query }) {
  const poll = usePoll("catalog", { everyMs: 0 });
  const { q = "", mode = "" } = query;
  return html`<div class="page">
    <div class="page-head"><div class="page-title"><h1>Catalog</h1>${poll.data && html`<span class="count">${poll.data.definitions.length}</span>`}</div><span class="grow"></span>
      <input class="input list-filter" type="search" aria-label="Filter the catalog" placeholder="Filter by name or action" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      <${Segmented} label="Show" options=${SHOW} value=${mode} onChange=${(/** @type {string} */ value) => setQuery({ mode: value })} /></div>
    <${View} poll=${poll} rows=${12}>${(/** @type {{definitions: Definition[]}} */ told) => html`<${List} all=${told.definitions} found=${told.definitions.filter((one) => isMeant(one, mode, q))} />`}</${View}>
  </div>`;
}

/** @param {{all: Definition[], found: Definition[]}} props */
function List({ all, found }) {
  if (!found.length) {
    return html`<section class="card"><${Empty} icon="search" title="No definition matches"><button type="button" class="btn" onClick=${() => setQuery({ q: null, mode: null })}>Show all ${all.length}</button></${Empty}></section>`;
  }
  return html`<section class="card"><div class="table-wrap list-wrap"><table class="table">
    <thead><tr><th>Definition</th><th>Kind</th><th>Calls</th><th class="wide-only">Actions</th><th class="num">Settings</th></tr></thead>
    <tbody>${found.map((one) => html`<tr key=${one.slug}>
      <td class="lead"><a class="strong name" href=${hrefOf(one.slug)}>${visible(one.name)}</a><div class="small muted">${visible(one.description)}</div></td>
      <td><${Pill}>${one.mode === "storage" ? "sink" : "service"}</${Pill}><div class="small muted mono">${one.slug}</div></td>
      <td class="small">${calls(one)}</td>
      <td class="small wide-only wrap">${one.actions.map((action) => action.slug).join(", ")}</td>
      <td class="num">${count(one.settings.length)}</td></tr>`)}</tbody></table></div></section>`;
}

/** @param {Definition} one */
function calls(one) {
  return one.methods.length === CALLS ? "all" : one.methods.join(", ");
}

/** @param {{slug: string, query: Record<string, string>}} props */
function One({ slug, query }) {
  const poll = usePoll(path("catalog", slug), { everyMs: 0 });
  return html`<div class="page"><div class="trail small muted"><a href="/ui/catalog">Catalog</a><${Icon} name="right" size=${12} /></div>
    <${View} poll=${poll} rows=${12}>${(/** @type {Definition} */ one) => html`<${Definition} one=${one} tab=${query.tab} />`}</${View}></div>`;
}

/** @param {{one: Definition, tab?: string}} props */
function Definition({ one, tab }) {
  const tabs = [
    { id: "actions", label: "Actions", count: one.actions.length },
    { id: "settings", label: "Settings", count: one.settings.length },
    { id: "presets", label: "Presets", count: one.presets.length },
    { id: "readme", label: "README" },
  ];
  const chosen = tabs.find((each) => each.id === tab)?.id ?? "actions";
  const sample = sampleOf(one);
  return html`<div class="stack gap-4"><div class="page-head"><div class="page-title"><h1>${visible(one.name)}</h1><${Pill}>${one.mode === "storage" ? "sink" : "service"}</${Pill}></div></div>
    <section class="card"><div class="card-body stack"><p>${visible(one.description)}</p>
      <${Kv} items=${[["Type in a file", html`<code>${one.slug}</code>`], ["Calls", calls(one)], ["Checked by relay check", one.has_test ? "yes, with a harmless call" : "no"]]} />
      <div class="code-box"><pre class="code">${sample}</pre><${CopyButton} text=${sample} label="Copy the example" /></div></div></section>
    <${Tabs} label="Parts of the definition" tabs=${tabs} value=${chosen} onChange=${(/** @type {string} */ id) => setQuery({ tab: id === "actions" ? null : id })}>
      ${chosen === "settings" ? html`<${Settings} settings=${one.settings} />` : chosen === "presets" ? html`<${Presets} presets=${one.presets} />` : chosen === "readme" ? html`<${Readme} text=${one.readme ?? ""} />` : html`<div class="stack gap-4">${one.actions.map((action) => html`<${Action} key=${action.slug} action=${action} isOpen=${one.actions.length <= OPEN_ACTIONS} />`)}</div>`}
    </${Tabs}></div>`;
}

/** A destination with the settings that it cannot do without. @param {Definition} one */
function sampleOf(one) {
  const needed = one.settings.filter((setting) => setting.required && (setting.default === null || setting.default === undefined));
  const settings = needed.map((setting) => `${setting.key} = "${setting.secret ? `\${${setting.key.toUpperCase()}}` : "..."}"`);
  const mapping = one.presets.some((preset) => preset.automatic) || !one.actions.length ? [] : ["", "[[destination.mapping]]", `action = "${one.actions[0].slug}"`, `trigger = '${one.actions[0].trigger || 'type = "track"'}'`];
  return ["[[destination]]", `slug = "${one.slug}"`, `type = "${one.slug}"`, 'sources = ["web"]', ...(settings.length ? ["", "[destination.settings]", ...settings] : []), ...mapping].join("\n");
}

/** @param {{action: Action, isOpen: boolean}} props */
function Action({ action, isOpen }) {
  const [isShown, setShown] = useState(isOpen);
  const { batch, fields } = action;
  const facts = [
    ["Default trigger", action.trigger ? html`<code class="trigger">${visible(action.trigger)}</code>` : "none: the mapping gives one"],
    ...(batch ? [["Batches", `up to ${plural(batch.events, "event")}${batch.always ? "" : ", when enable_batching is true"}`]] : []),
    ...(action.is_repeatable ? [] : [["Repeated", "never: what may have been sent ends as a dead letter"]]),
  ];
  return html`<section class="card"><div class="card-head"><h2 class="name">${visible(action.title)}</h2><span class="muted small mono">${action.slug}</span></div>
    <div class="card-body stack"><p>${visible(action.description)}</p><${Kv} items=${facts} />
      ${fields.length > 0 && html`<div><button type="button" class="btn small" aria-expanded=${isShown} onClick=${() => setShown(!isShown)}><${Icon} name=${isShown ? "down" : "right"} size=${12} />${plural(fields.length, "field")}</button></div>`}
      ${isShown && fields.length > 0 && html`<div class="table-wrap inset"><table class="table"><thead><tr><th>Field</th><th>Type</th><th>Default</th><th>Meaning</th></tr></thead><tbody>${fields.map((field) => html`<${FieldRow} key=${field.name} field=${field} />`)}</tbody></table></div>`}</div></section>`;
}

/** @param {{field: Field, inside?: string}} props */
function FieldRow({ field, inside = "" }) {
  const type = `${field.type}${field.multiple ? "[]" : ""}${field.format ? `, ${field.format}` : ""}`;
  return html`<tr><td class="mono tight">${inside}${field.name}</td><td class="small">${type}${field.required && html` <${Pill} tone="warn">required</${Pill}>`}</td>
      <td class="mono small wrap">${valueOf(field.default)}</td><td class="small wrap">${meaningOf(field)}</td></tr>
    ${(field.properties ?? []).map((each) => html`<${FieldRow} key=${each.name} field=${each} inside=${`${inside}${field.name}.`} />`)}`;
}

/** @param {{label: string, help: string, choices: string[], required_when?: string}} one */
function meaningOf(one) {
  return `${one.help || one.label}${one.choices.length ? ` One of ${one.choices.join(", ")}.` : ""}${one.required_when ? ` Required when ${one.required_when}.` : ""}`;
}

/** A path as a path, one of two as `a or b`, anything else as JSON. @param {unknown} value @returns {string} */
function valueOf(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "object" && Object.keys(value).length === 1) {
    const { "@path": at, "@if": either } = /** @type {any} */ (value);
    if (typeof at === "string") return at;
    if (either?.exists && JSON.stringify(either.exists) === JSON.stringify(either.then)) return [either.then, either.else].filter(Boolean).map(valueOf).join(" or ");
  }
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** @param {{settings: Setting[]}} props */
function Settings({ settings }) {
  if (!settings.length) return html`<section class="card"><${Empty} icon="settings" title="It has no settings" /></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Setting</th><th>Type</th><th>Default</th><th>Meaning</th></tr></thead>
    <tbody>${settings.map((setting) => html`<tr key=${setting.name}><td class="lead"><span class="mono strong">${setting.key}</span>${setting.key !== setting.name && html`<div class="small muted mono">${setting.name}</div>`}</td>
      <td class="small">${setting.type}${setting.required && html` <${Pill} tone="warn">required</${Pill}>`}${setting.secret && html` <${Pill}>secret</${Pill}>`}</td>
      <td class="mono small wrap">${valueOf(setting.default)}</td><td class="small wrap">${meaningOf(setting)}</td></tr>`)}</tbody></table></div></section>`;
}

/** @param {{presets: Preset[]}} props */
function Presets({ presets }) {
  if (!presets.length) return html`<section class="card"><${Empty} icon="columns" title="It has no presets"><p>Without a mapping nothing is sent.</p></${Empty}></section>`;
  return html`<section class="card"><div class="card-head"><span class="muted small">In force when a destination has no mapping of its own.</span></div><div class="table-wrap"><table class="table"><thead><tr><th>Preset</th><th>Action</th><th>Trigger</th><th>Fields that it changes</th></tr></thead>
    <tbody>${presets.map((preset) => html`<tr key=${preset.name}><td class="strong">${visible(preset.name)}</td><td class="mono small">${preset.action}</td><td class="mono small wrap">${visible(preset.trigger)}</td><td class="mono small wrap">${Object.keys(preset.mapping).join(", ")}</td></tr>`)}</tbody></table></div></section>`;
}

/** @param {{text: string}} props */
function Readme({ text }) {
  if (!text) return html`<section class="card"><${Empty} icon="info" title="It has no README" /></section>`;
  return html`<section class="card"><div class="card-body"><pre class="code readme" tabindex="0">${text}</pre></div></section>`;
}
