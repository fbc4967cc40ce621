// Settings: what is in force and where it comes from, who may come in, who did what, and how the machine under it is doing.
import { post } from "../lib/api.js";
import { bytes, compact, count, fullTime, lines, seconds, visible } from "../lib/format.js";
import { attempt, Dialog, Empty, Kv, Pill, Segmented, Tabs, Time, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { setQuery } from "../lib/router.js";
import { may, session } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";
import { Audit } from "./audit.js";
import { Tokens } from "./tokens.js";

/** @typedef {{table: string, name: string, value: unknown, default: unknown, origin: string, unit: string, help: string, secret: boolean}} Setting */
/**
 * @typedef {{version: string, python: string, sqlite: string, platform: string, started_s: number, data_dir: string, settings: Setting[], files: string[],
 *   workspace: {version: number, created_s: number, created_by: string}, versions: {version: number, created_s: number, created_by: string}[],
 *   database: {bytes: number, free_bytes: number, wal_bytes: number, events: number, oldest_s: number | null, keep_h: number},
 *   warnings: {message: string, file: string, line: number, remedy: string}[]}} Told
 */

export const title = "Settings";

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const tabs = [
    ...(may("admin") ? [{ id: "settings", label: "Configuration" }, { id: "tokens", label: "Tokens" }] : []),
    ...(may("operator") ? [{ id: "audit", label: "Audit log" }] : []),
    ...(may("admin") ? [{ id: "system", label: "System" }] : []),
    { id: "account", label: "Your session" },
  ];
  const tab = tabs.find((each) => each.id === query.tab)?.id ?? tabs[0].id;
  return html`<div class="page"><div class="page-head"><div class="page-title"><h1>Settings</h1></div></div>
    <${Tabs} label="Parts of the settings" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ id) => setQuery({ tab: id === tabs[0].id ? null : id })}>
      ${tab === "tokens" ? html`<${Tokens} />` : tab === "audit" ? html`<${Audit} />` : tab === "account" ? html`<${Account} />` : html`<${Inventory} tab=${tab} query=${query} />`}
    </${Tabs}></div>`;
}

/** @param {{tab: string, query: Record<string, string>}} props */
function Inventory({ tab, query }) {
  const poll = usePoll("settings", { everyMs: tab === "system" ? 10_000 : 0 });
  return html`<${View} poll=${poll} rows=${12}>${(/** @type {Told} */ told) => (tab === "system" ? html`<${System} told=${told} />` : html`<${Configuration} told=${told} query=${query} />`)}</${View}>`;
}

/** @param {unknown} value */
function text(value) {
  if (value === null || value === undefined || value === "") return "";
  if (Array.isArray(value)) return value.map(String).join(", ");
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

const SHOW = [
  { value: "", label: "All" },
  { value: "changed", label: "Changed" },
];

/** @param {{told: Told, query: Record<string, string>}} props */
function Configuration({ told, query }) {
  const { q = "", show = "" } = query;
  const words = q.toLowerCase().split(/\s+/).filter(Boolean);
  const found = told.settings.filter((one) => (show !== "changed" || one.origin !== "default") && words.every((word) => `${one.table}.${one.name} ${one.help} ${one.secret ? "" : text(one.value)} ${one.origin}`.toLowerCase().includes(word)));
  const tables = [...new Set(found.map((one) => one.table))];
  return html`<div class="stack gap-4">
    ${told.warnings.length > 0 && html`<${Warnings} warnings=${told.warnings} />`}
    <div class="row flow"><input class="input grow" type="search" aria-label="Search the settings" placeholder="Search ${told.settings.length} settings by name, value, meaning or origin" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      <${Segmented} label="Show" options=${SHOW} value=${show} onChange=${(/** @type {string} */ value) => setQuery({ show: value })} /></div>
    <p class="muted small">Read only: change them in ${told.files.length ? told.files.map((file) => html`<code key=${file}>${visible(file)}</code> `) : "a configuration file"}, the environment or on the command line, then start relay again.</p>
    ${found.length
      ? html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Setting</th><th>Value</th><th>Origin</th></tr></thead>
          ${tables.map((table) => html`<tbody key=${table}><tr><th class="table-name" colspan="3" scope="rowgroup">[${table}]</th></tr>${found.filter((one) => one.table === table).map((one) => html`<${Row} key=${one.name} one=${one} />`)}</tbody>`)}</table></div></section>`
      : html`<section class="card"><${Empty} icon="search" title="No setting matches"><button type="button" class="btn" onClick=${() => setQuery({ q: null, show: null })}>Show all ${told.settings.length}</button></${Empty}></section>`}
  </div>`;
}

/** @param {{one: Setting}} props */
function Row({ one }) {
  const value = text(one.value);
  const isSet = one.origin !== "default";
  return html`<tr><td class="lead"><span class="mono strong">${one.name}</span><div class="muted small setting-help">${visible(one.help)}</div></td>
    <td class="setting-value wrap">${value === "" ? html`<span class="muted">not set</span>` : html`<span class="mono" title=${one.secret ? "Secret: relay never shows it" : undefined}>${lines(value)}</span>${one.unit && html` <span class="muted small">${one.unit}${one.unit === "bytes" && Number(one.value) >= 1024 ? `, ${bytes(Number(one.value))}` : ""}</span>`}`}${isSet && !one.secret && text(one.default) !== value && html`<div class="muted small">default ${text(one.default) || "not set"}</div>`}</td>
    <td class="origin wrap">${isSet ? html`<${Pill} tone="accent">${visible(one.origin)}</${Pill}>` : html`<span class="muted">default</span>`}</td></tr>`;
}

/** @param {{warnings: Told["warnings"]}} props */
function Warnings({ warnings }) {
  return html`<section class="card" aria-label="Warnings"><div class="card-head"><h2>Warnings of the configuration</h2><span class="count">${warnings.length}</span></div><ul class="attention">${warnings.map(
    (each, index) => html`<li key=${index} class="warning warn"><${Icon} name="warn" /><div class="grow"><span class="wrap">${visible(each.message)}</span><p class="muted small wrap">${each.file && html`<code>${visible(each.file)}:${each.line}</code> `}${visible(each.remedy)}</p></div></li>`,
  )}</ul></section>`;
}

/** @param {{told: Told}} props */
function System({ told }) {
  const { database } = told;
  const now_s = Date.now() / 1000;
  return html`<div class="cols-2">
    <section class="card"><div class="card-head"><h2>Database</h2></div><div class="card-body"><${Kv} items=${[
      ["Events kept", `${count(database.events)}${database.oldest_s ? `, the oldest from ${seconds(Math.round(now_s - database.oldest_s))} ago` : ""}`],
      ["Kept for", seconds(database.keep_h * 3600)],
      ["Size", html`<span class="num">${bytes(database.bytes)}</span>`],
      ["Write-ahead log", bytes(database.wal_bytes)],
      ["Free on the disk", bytes(database.free_bytes)],
      ["Folder", html`<code>${visible(told.data_dir)}</code>`],
    ]} /></div></section>
    <section class="card"><div class="card-head"><h2>Version</h2></div><div class="card-body"><${Kv} items=${[
      ["relay", html`<span class="strong">${told.version}</span>`],
      ["Runs since", html`<${Time} at_s=${told.started_s} text=${`${seconds(Math.round(now_s - told.started_s))}, ${fullTime(told.started_s).slice(0, 16)}`} />`],
      ["Python", told.python],
      ["SQLite", told.sqlite],
      ["Platform", told.platform],
      ["Check it all", html`<code>relay doctor</code>`],
    ]} /></div></section>
    <section class="card"><div class="card-head"><h2>Workspace versions</h2><span class="muted small">version ${told.workspace.version} is in force</span></div><div class="table-wrap"><table class="table"><thead><tr><th class="num tight">Version</th><th>Saved</th><th>By</th></tr></thead><tbody>${told.versions.map(
      (each) => html`<tr key=${each.version}><td class="num strong">${compact(each.version)}</td><td><${Time} at_s=${each.created_s} /></td><td class="wrap">${visible(each.created_by)}${each.version === told.workspace.version && html` <${Pill} tone="ok">in force</${Pill}>`}</td></tr>`,
    )}</tbody></table></div></section></div>`;
}

/** Who is signed in here, and the way out of every browser. */
function Account() {
  const [isAsking, setAsking] = useState(false);
  const who = session.value;
  if (!who) return null;
  const leave = async () => {
    if (await attempt(() => post("logout", { everywhere: true }), "Signed out everywhere")) session.value = null;
  };
  return html`<section class="card narrow"><div class="card-head"><h2>Your session</h2></div><div class="card-body stack">
      <${Kv} items=${[["Signed in as", html`<strong>${visible(who.name)}</strong>`], ["Role", who.role], ["Ends", who.expires_s ? html`after ${seconds(Math.round(who.expires_s - who.now_s))} without use` : "–"]]} />
      <p class="muted">${{ viewer: "You see how everything is doing, and change nothing. The configuration, tokens and the audit log are for operators and admins.", operator: "You can hold, resume, replay and send again. The configuration and tokens are for admins.", admin: "You can do everything." }[who.role]}</p>
      <div class="row"><button type="button" class="btn danger" onClick=${() => setAsking(true)}><${Icon} name="leave" size=${14} />Sign out everywhere…</button></div></div>
    ${isAsking && html`<${Dialog} title="Sign out everywhere" onClose=${() => setAsking(false)} foot=${html`<button type="button" class="btn" onClick=${() => setAsking(false)}>Cancel</button><button type="button" class="btn danger" onClick=${leave}>Sign out everywhere</button>`}>
      <p>Every browser that is signed in as <strong>${visible(who.name)}</strong> is signed out, this one too. Tokens stay valid.</p></${Dialog}>`}</section>`;
}
