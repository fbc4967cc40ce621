// Alerts: what fires now and what to do about it, what was, and the rules.
import { path, post } from "../lib/api.js";
import { amount, isMuted } from "../lib/alerting.js";
import { ago, cut, fullTime, seconds, time, visible } from "../lib/format.js";
import { attempt, Empty, Menu, Pill, Tabs, Time, View } from "../lib/kit.js";
import { alertNews } from "../lib/live.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, State, useEffect, useState } from "../lib/ui.js";
import { Carriers, Rules } from "./alert_rules.js";

/** @typedef {import("../lib/alerting.js").Alert} Alert */
/** @typedef {{firing: Alert[], history: Alert[], rules: import("../lib/alerting.js").Rule[], carriers: {slug: string, type: string, state: string}[]}} Alerts */

export const title = "Alerts";

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const poll = usePoll("alerts", { everyMs: 5000 });
  const news = alertNews.value;
  useEffect(() => poll.reload(), [news]);
  return html`<div class="page"><div class="page-head"><div class="page-title"><h1>Alerts</h1></div></div>
    <${View} poll=${poll} rows=${8}>${(/** @type {Alerts} */ told) => html`<${Body} told=${told} query=${query} onChange=${poll.reload} />`}</${View}></div>`;
}

/** @param {{told: Alerts, query: Record<string, string>, onChange: () => void}} props */
function Body({ told, query, onChange }) {
  const tab = query.tab ?? "firing";
  const tabs = [
    { id: "firing", label: "Firing", count: told.firing.length || null },
    { id: "history", label: "History", count: told.history.length || null },
    { id: "rules", label: "Rules", count: told.rules.length || null },
    { id: "carriers", label: "Carriers", count: told.carriers.length || null },
  ];
  return html`${!told.carriers.length &&
    html`<div class="notice warn"><${Icon} name="warn" /><span class="grow"><strong>Nobody is told.</strong> Alerts are shown here only, until a destination takes them: name <code>relay</code> in the sources of a webhook, Slack or email destination.</span>${tab !== "carriers" && html`<button type="button" class="btn small" onClick=${() => setQuery({ tab: "carriers" })}>How to</button>`}</div>`}
    <${Tabs} label="Alerts" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ id) => setQuery({ tab: id === "firing" ? null : id, alert: null })}>
      ${tab === "history" ? html`<${History} alerts=${told.history} open=${query.alert ?? ""} />` : tab === "rules" ? html`<${Rules} rules=${told.rules} />` : tab === "carriers" ? html`<${Carriers} carriers=${told.carriers} onChange=${onChange} />` : html`<${Firing} told=${told} onChange=${onChange} />`}
    </${Tabs}>`;
}

/** @param {{told: Alerts, onChange: () => void}} props */
function Firing({ told, onChange }) {
  if (!told.firing.length) {
    const last = told.history[0];
    return html`<section class="card"><${Empty} icon="check" title="Nothing fires"><p>${told.rules.filter((rule) => rule.enabled).length} rules are watched. ${last ? `The last alert was resolved ${ago(last.resolved_s)}.` : "None has fired yet."}</p></${Empty}></section>`;
  }
  return html`<div class="stack">${told.firing.map((alert) => html`<${Card} key=${alert.id} alert=${alert} onChange=${onChange} />`)}</div>`;
}

/** @param {{alert: Alert, onChange: () => void}} props */
function Card({ alert, onChange }) {
  const muted = isMuted(alert);
  return html`<article class="card alert ${muted ? "off" : "bad"}" aria-label=${visible(alert.text)}>
    <div class="alert-head"><span class="alert-icon"><${Icon} name=${muted ? "pause" : "alerts"} /></span>
      <div class="grow"><h2 class="wrap">${visible(alert.text)}</h2>
        <p class="muted small"><a href=${subjectHref(alert.subject)}>${visible(alert.subject.slug)}</a> · rule ${visible(alert.rule)} · since <${Time} at_s=${alert.opened_s} text=${time(alert.opened_s)} /> (${ago(alert.opened_s)})${alert.also.length > 0 && ` · also ${alert.also.map((kind) => kind.replaceAll("_", " ")).join(", ")}`}</p></div>
      ${muted ? html`<${Pill} tone="off" title="by ${alert.muted_by ?? ""}">muted for ${seconds(Math.round((alert.muted_until_s ?? 0) - Date.now() / 1000))}</${Pill}>` : html`<${Value} alert=${alert} />`}
      ${may("operator") && html`<${MuteMenu} alert=${alert} muted=${muted} onChange=${onChange} />`}</div>
    <${Facts} alert=${alert} /></article>`;
}

/** @param {import("../lib/alerting.js").Subject} subject */
function subjectHref(subject) {
  if (subject.kind === "destination") return hrefs.destination(subject.slug);
  return subject.kind === "source" ? hrefs.source(subject.slug) : "/ui/settings?tab=system";
}

/** @param {{alert: Alert}} props */
function Value({ alert }) {
  const value = amount(alert.value, alert.unit);
  if (!value) return null;
  return html`<div class="alert-value"><span class="num strong tone-bad">${value}</span><span class="muted small">limit ${amount(alert.threshold, alert.unit)}</span></div>`;
}

/** @param {{alert: Alert, muted: boolean, onChange: () => void}} props */
function MuteMenu({ alert, muted, onChange }) {
  /** @param {number} hours */
  const mute = async (hours) => {
    await attempt(() => post(`${path("alerts", String(alert.id))}/mute`, { hours }), hours ? `Muted for ${hours === 1 ? "an hour" : `${hours} hours`}` : "No longer muted");
    onChange();
  };
  const items = [...[1, 8, 24].map((hours) => ({ label: `Mute for ${hours} h`, icon: "pause", act: () => mute(hours) })), ...(muted ? [null, { label: "End the mute", icon: "play", act: () => mute(0) }] : [])];
  return html`<${Menu} class="btn small" label=${html`Mute<${Icon} name="down" size=${12} />`} items=${items} />`;
}

/** Cause, cure, sample, and the change that came just before. @param {{alert: Alert}} props */
function Facts({ alert }) {
  const changed = alert.change ? cut(visible(typeof alert.change.changed === "string" ? alert.change.changed : JSON.stringify(alert.change.changed)), 400) : "";
  return html`<div class="alert-facts">
    ${alert.cause && html`<div><h3>Cause</h3><p class="wrap">${visible(alert.cause)}</p></div>`}
    ${alert.cure && html`<div><h3>What to do</h3><p class="wrap">${Cure(alert.cure)}</p></div>`}
    ${alert.sample && html`<div><h3>Sample${alert.sample.status ? html` <span class="muted small">HTTP ${alert.sample.status}</span>` : ""}</h3><pre class="code" tabindex="0">${visible(alert.sample.answer) || "(no answer)"}</pre></div>`}
    ${alert.change && html`<div><h3>Changed just before</h3><p class="wrap">Workspace version ${alert.change.version}, ${ago(alert.change.at_s)}, by ${visible(alert.change.by)} <span class="muted mono small">${changed}</span></p></div>`}
    ${alert.deliveries.length > 0 && html`<div><h3>Told</h3><p class="row flow-wrap">${alert.deliveries.map((each) => html`<span key=${each.destination} class="row"><a href=${hrefs.destination(each.destination)}>${visible(each.destination)}</a><${State} state=${each.state} /></span>`)}</p></div>`}
  </div>`;
}

/** Commands in backticks as code. @param {string} text */
function Cure(text) {
  return visible(text).split("`").map((part, index) => (index % 2 ? html`<code>${part}</code>` : part));
}

/** @param {{alerts: Alert[], open: string}} props */
function History({ alerts, open }) {
  const [limit, setLimit] = useState(50);
  if (!alerts.length) return html`<section class="card"><${Empty} icon="alerts" title="No alert has been resolved yet"><p>Alerts that are over are kept here: when they opened, how long they lasted, and who was told.</p></${Empty}></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th class="tight"><span class="sr-only">Open</span></th><th>Alert</th><th>About</th><th class="num">Opened</th><th class="num">Lasted</th><th>Told</th></tr></thead>
    <tbody>${alerts.slice(0, limit).map((alert) => html`<${Past} key=${alert.id} alert=${alert} isOpen=${String(alert.id) === open} />`)}</tbody></table></div>
    ${alerts.length > limit && html`<div class="card-foot"><button type="button" class="btn small" onClick=${() => setLimit(limit + 50)}>Show more</button></div>`}</section>`;
}

/** @param {{alert: Alert, isOpen: boolean}} props */
function Past({ alert, isOpen }) {
  const toggle = () => setQuery({ alert: isOpen ? null : String(alert.id) });
  const go = (/** @type {any} */ event) => !event.target.closest("a, button") && toggle();
  return [
    html`<tr key="row" class="click ${isOpen ? "is-open" : ""}" onClick=${go}><td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="More about this alert" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
      <td class="lead wrap"><span class="strong">${visible(alert.rule)}</span><div class="muted small wrap">${cut(visible(alert.text), 200)}</div></td><td><a href=${subjectHref(alert.subject)}>${visible(alert.subject.slug)}</a></td>
      <td class="num"><${Time} at_s=${alert.opened_s} text=${time(alert.opened_s)} /></td><td class="num" title="until ${fullTime(alert.resolved_s)}">${alert.resolved_s === null ? "–" : seconds(Math.round(alert.resolved_s - alert.opened_s))}${alert.muted_by && html`<div class="small muted">muted by ${visible(alert.muted_by)}</div>`}</td>
      <td>${alert.deliveries.length ? html`<span class="row flow-wrap">${alert.deliveries.map((each) => html`<span key=${each.destination} class="row small"><${State} state=${each.state} text=${visible(each.destination)} /></span>`)}</span>` : html`<span class="muted">–</span>`}</td></tr>`,
    isOpen && html`<tr key="open" class="errors-open"><td colspan="6"><${Facts} alert=${alert} /></td></tr>`,
  ];
}
