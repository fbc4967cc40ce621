// The rules, with what they would have done, and who is told.
import { post } from "../lib/api.js";
import { amount, backtest, isMuted } from "../lib/alerting.js";
import { count, plural, seconds, visible } from "../lib/format.js";
import { attempt, Pill } from "../lib/kit.js";
import { hrefs, navigate } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";

const EXAMPLE = `[[destination]]
slug = "on-call"
type = "webhook"
sources = ["relay"]

[destination.settings]
url = "\${ALERTS_URL}"`;

/** @param {{rules: import("../lib/alerting.js").Rule[]}} props */
export function Rules({ rules }) {
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Rule</th><th>About</th><th class="num">Threshold</th><th class="num">Window</th><th>Back-test</th><th>State</th></tr></thead>
    <tbody>${rules.map(
      (rule) => html`<tr key=${rule.name} class=${rule.enabled ? "" : "is-off"}><td class="lead"><span class="strong">${visible(rule.name)}</span><div class="muted small rule-help">${visible(rule.help)}</div></td>
        <td class="nowrap">${rule.subject ? visible(rule.subject) : html`<span class="muted">${rule.subject_kind === "relay" ? "relay itself" : `every ${rule.subject_kind}`}</span>`}</td>
        <td class="num">${amount(rule.threshold, rule.unit) || html`<span class="muted">–</span>`}</td>
        <td class="num" title=${rule.min_events > 1 ? `with at least ${plural(rule.min_events, "event")}` : undefined}>${seconds(rule.window_m * 60)}${rule.min_events > 1 && html`<div class="muted small">from ${count(rule.min_events)} events</div>`}</td>
        <td class=${rule.backtest.count ? "" : "muted"}>${backtest(rule)}</td>
        <td>${!rule.enabled ? html`<${Pill}>off</${Pill}>` : rule.firing ? html`<${Pill} tone=${isMuted(rule) ? "off" : "bad"}>${isMuted(rule) ? "muted" : "firing"}</${Pill}>` : html`<span class="muted">quiet</span>`}</td></tr>`,
    )}</tbody></table></div><p class="card-foot muted small">Change a rule, or add one, with <code>[[alerts.rule]]</code> in the configuration.</p></section>`;
}

/** @type {Record<string, {tone: "ok" | "warn" | "bad", word: string}>} */
const STATES = { running: { tone: "ok", word: "running" }, held: { tone: "bad", word: "held" }, breaker_open: { tone: "bad", word: "not answering" } };

/** @param {{carriers: {slug: string, type: string, state: string}[], onChange: () => void}} props */
export function Carriers({ carriers, onChange }) {
  const [sent, setSent] = useState("");
  /** @param {string} slug */
  const test = async (slug) => {
    let id = "";
    await attempt(async () => (id = (await post("alerts/test", slug ? { destination: slug } : {})).event_id), slug ? `A test alert is on its way to ${slug}` : "Test alerts are on their way");
    setSent(id);
    onChange();
  };
  if (!carriers.length) {
    return html`<section class="card"><div class="card-head"><h2>Be told about alerts</h2></div><div class="card-body stack"><p>Alerts are events of the built-in source <code>relay</code>. Any destination that names it in its sources carries them, with retries and dead letters like every other event:</p><pre class="code">${EXAMPLE}</pre></div></section>`;
  }
  return html`<section class="card"><div class="card-head"><h2>Who is told</h2>${may("operator") && html`<button type="button" class="btn small" onClick=${() => test("")}><${Icon} name="send" size=${14} />Test all</button>`}</div>
    <div class="table-wrap"><table class="table"><thead><tr><th>Destination</th><th>Type</th><th>State</th>${may("operator") && html`<th class="tight"><span class="sr-only">Actions</span></th>`}</tr></thead>
      <tbody>${carriers.map((each) => html`<tr key=${each.slug}><td class="lead"><a class="strong name" href=${hrefs.destination(each.slug)}>${visible(each.slug)}</a></td><td class="muted">${each.type}</td><td><${Pill} tone=${STATES[each.state]?.tone ?? "off"}>${STATES[each.state]?.word ?? each.state}</${Pill}></td>
        ${may("operator") && html`<td class="tight"><button type="button" class="btn small" onClick=${() => test(each.slug)}>Send a test</button></td>`}</tr>`)}</tbody></table></div>
    ${sent && html`<p class="card-foot small" role="status">The test is on its way: <button type="button" class="link" onClick=${() => navigate(hrefs.event(sent))}>see how it arrives</button></p>`}</section>`;
}
