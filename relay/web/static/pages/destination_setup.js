// How a destination is set up: its mappings, settings and way of delivering, all from the configuration; and what people did to it.
import { get, path } from "../lib/api.js";
import { count, lines, seconds, visible } from "../lib/format.js";
import { CopyButton, Empty, Kv, Pill, Time, toast } from "../lib/kit.js";
import { recentEvent } from "../lib/recent.js";
import { hrefs } from "../lib/router.js";
import { SendDialog } from "../lib/senddialog.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {import("./destination.js").Detail} Detail */

/** Shows what the newest event would become; nothing is sent before a person says so. @param {{to: Detail}} props */
function TryMapping({ to }) {
  const [story, setStory] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);
  const look = async () => {
    setBusy(true);
    try {
      const id = await recentEvent(to.slug);
      if (id) setStory(await get(path("events", id)));
      else toast("No event has come here yet that could be tried", "info");
    } catch (error) {
      toast(/** @type {Error} */ (error).message, "bad");
    }
    setBusy(false);
  };
  return html`<div class="row between flow"><p class="muted">What a mapping makes of an event is shown without sending it.</p><button type="button" class="btn" disabled=${isBusy} onClick=${look}><${Icon} name="play" size=${14} />Try on the newest event</button></div>
    ${story && html`<${SendDialog} story=${story} destination=${to.slug} onClose=${() => setStory(null)} />`}`;
}

/** @param {{to: Detail}} props */
export function Mappings({ to }) {
  if (!to.mappings.length) {
    return html`<section class="card"><${Empty} icon="columns" title="No mapping of its own"><p>This destination takes its presets: what its definition maps by itself.</p></${Empty}></section>`;
  }
  return html`<div class="stack gap-4">${may("operator") && html`<${TryMapping} to=${to} />`}${to.mappings.map((each) => {
    const rules = Object.entries(each.mapping);
    return html`<section key=${each.id} class="card"><div class="card-head"><h2 class="name">${visible(each.name || each.id)}</h2><span class="muted small">${each.action}</span>
        <span class="row">${each.enabled ? html`<${Pill} tone="ok">on</${Pill}>` : html`<${Pill}>off</${Pill}>`}</span></div>
      <div class="card-body stack"><${Kv} items=${[["Takes events where", html`<code class="trigger">${visible(each.trigger || "always")}</code>`]]} />
        ${rules.length
          ? html`<div class="table-wrap inset"><table class="table"><thead><tr><th>Field</th><th>Value</th></tr></thead><tbody>${rules.map(([field, value]) => html`<tr key=${field}><td class="mono tight">${visible(field)}</td><td class="mono wrap">${Value(value)}</td></tr>`)}</tbody></table></div>`
          : html`<p class="muted">Every field has the default of its action.</p>`}</div></section>`;
  })}</div>`;
}

/** A directive or a value, as JSON. @param {unknown} value */
function Value(value) {
  if (value && typeof value === "object" && "@path" in value && Object.keys(value).length === 1) return html`<span class="tone-accent">${visible(String(value["@path"]))}</span>`;
  return lines(typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value, null, 1) ?? "").replace(/\n\s*/g, " "));
}

/** @param {{to: Detail}} props */
export function Setup({ to }) {
  const { delivery } = to;
  const { retry } = delivery;
  const place = to.origin ? `${to.origin.file}:${to.origin.line}` : "";
  return html`<div class="stack gap-4"><div class="notice info"><${Icon} name="info" /><span class="grow">Set in ${place ? html`<code>${visible(place)}</code>` : "the configuration"}; change it there, then <code>relay reload</code>.</span>${place && html`<${CopyButton} text=${place} label="Copy the place" />`}</div>
    <div class="cols-2">
      <section class="card"><div class="card-head"><h2>Settings</h2></div><div class="card-body"><${Kv} items=${to.settings.map((each) => [each.label || each.name, Shown(each)])} /></div></section>
      <section class="card"><div class="card-head"><h2>Delivery</h2></div><div class="card-body"><${Kv} items=${[
        ["Order", { user: "per user", strict: "strict, one at a time", none: "none" }[delivery.order] ?? delivery.order],
        ["At once", `${count(delivery.concurrency)} requests`],
        ["Rate limit", delivery.rate_per_s ? `${count(delivery.rate_per_s)} per second` : "none"],
        ["Time limit", seconds(delivery.timeout_s)],
        delivery.max_waiting ? ["Waits at most", `${count(delivery.max_waiting)} entries between attempts`] : null,
        ["Retries", retry.schedule_s?.length ? `after ${retry.schedule_s.map(seconds).join(", ")}` : `after ${seconds(retry.first_delay_s)}, then longer, at most ${seconds(retry.max_delay_s)} apart`],
        ["Gives up after", retry.give_up_after_s ? `${seconds(retry.give_up_after_s)}, and at least ${count(retry.min_attempts)} attempts` : "never"],
        retry.all ? ["Retries all", "also what the receiver refuses"] : null,
        ["Sources", html`<span class="row flow">${to.sources.map((each) => html`<a key=${each} href=${hrefs.source(each)}>${visible(each)}</a>`)}</span>`],
      ]} /></div></section>
    </div></div>`;
}

/** @param {{value: unknown, secret: boolean}} setting */
function Shown({ value, secret }) {
  if (value === "" || value === null || value === undefined) return html`<span class="muted">not set</span>`;
  if (secret) return html`<span class="mono" title="Secret: relay never shows it">•••</span>`;
  if (typeof value === "boolean") return value ? "yes" : "no";
  return html`<span class="mono wrap">${lines(typeof value === "string" ? value : JSON.stringify(value))}</span>`;
}

/** @param {{to: Detail}} props */
export function History({ to }) {
  if (!to.audit.length) return html`<section class="card"><${Empty} icon="info" title="Nobody has done anything to this destination yet"><p>Holds, resumes, replays and re-sends will be listed here, with who and when.</p></${Empty}></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>When</th><th>Who</th><th>What</th><th>Detail</th></tr></thead>
    <tbody>${to.audit.map((each) => html`<tr key=${each.id}><td class="tight"><${Time} at_s=${each.at_s} /></td><td class="tight">${visible(each.operator)}</td><td class="tight"><code>${visible(each.action)}</code></td><td class="wrap muted">${visible(each.detail)}</td></tr>`)}</tbody></table></div></section>`;
}
