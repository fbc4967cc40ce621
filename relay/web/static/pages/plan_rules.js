// What a plan says: each rule, whom it concerns, and the fields that it speaks of.
import { compact, count, cut, lines, visible } from "../lib/format.js";
import { CopyButton, Empty, Kv, Pill, Segmented, Time } from "../lib/kit.js";
import { fieldsOf, ruleId, ruleName, ruleOf } from "../lib/plan.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {import("../lib/plan.js").Plan} Plan */
/** @typedef {import("../lib/plan.js").Rule} Rule */

const SHOWN = 60;
const FIELDS_SHOWN = 80;

/** @param {{plan: Plan, query: Record<string, string>}} props */
export function Rules({ plan, query }) {
  const { q = "", type, event = "", field } = query;
  const about = type && ruleOf(plan.rules, { type, event, field });
  const opened = query.rule ?? (about ? ruleId(about) : undefined);
  const [shown, setShown] = useState(SHOWN);
  if (!plan.rules.length) {
    return html`<section class="card"><${Empty} icon="plans" title="This plan has no rule yet"><p>Let relay propose rules from what your sources send, or write the first one in the editor.</p><button type="button" class="btn" onClick=${() => setQuery({ tab: "editor" })}>Open the editor</button></${Empty}></section>`;
  }
  const found = plan.rules.filter((rule) => `${ruleName(rule)} ${rule.type} ${rule.owner} ${rule.why}`.toLowerCase().includes(q.toLowerCase()));
  const at = found.findIndex((rule) => ruleId(rule) === opened);
  const rows = found.slice(0, Math.max(shown, at + 1));
  return html`<section class="card"><div class="card-head wrap-head"><h2>Rules</h2><input class="input small list-filter" type="search" aria-label="Filter rules" placeholder="Event, owner or reason" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} /></div>
    ${!found.length
      ? html`<${Empty} icon="search" title="No rule matches"><button type="button" class="btn" onClick=${() => setQuery({ q: null })}>Show all ${plan.rules.length}</button></${Empty}>`
      : html`<div class="table-wrap"><table class="table rules"><thead><tr><th class="tight"><span class="sr-only">Open</span></th><th>Rule</th><th>Why</th><th>Owner</th><th class="wide-only">Destinations</th><th class="num">Seen, 24 h</th><th class="num">Violations</th><th class="num">Last seen</th></tr></thead>
        <tbody>${rows.map((rule) => html`<${Row} key=${ruleId(rule)} plan=${plan} rule=${rule} isOpen=${opened === ruleId(rule)} />`)}</tbody></table></div>`}
    ${found.length > rows.length && html`<p class="card-foot"><button type="button" class="link" onClick=${() => setShown(rows.length + SHOWN)}>${found.length - rows.length} more</button></p>`}
  </section>`;
}

/** @param {{plan: Plan, rule: Rule, isOpen: boolean}} props */
function Row({ plan, rule, isOpen }) {
  const toggle = () => setQuery({ rule: isOpen ? null : ruleId(rule), type: null, event: null, field: null });
  const isCommon = rule.type === "COMMON";
  return [
    html`<tr class="click ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("a, button") && toggle()}>
      <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Fields of ${visible(ruleName(rule))}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
      <td class="wrap"><strong class="name">${cut(visible(ruleName(rule)), 140)}</strong><div class="small muted">${rule.type.toLowerCase()}${rule.version !== 1 ? ` · version ${rule.version}` : ""}</div></td>
      <td class="wrap small why">${rule.why ? cut(visible(rule.why), 160) : html`<span class="muted">–</span>`}</td>
      <td class="small">${rule.owner ? visible(rule.owner) : html`<span class="muted">–</span>`}</td>
      <td class="wide-only small">${rule.destinations.length ? html`<span class="row flow-wrap">${rule.destinations.map((slug) => html`<a key=${slug} href=${hrefs.destination(slug)}>${visible(slug)}</a>`)}</span>` : html`<span class="muted">all</span>`}</td>
      <td class="num" title=${count(rule.seen_24h)}>${isCommon ? html`<span class="muted">–</span>` : rule.seen_24h ? compact(rule.seen_24h) : html`<span class="muted">0</span>`}</td>
      <td class="num">${rule.violations_24h ? html`<a class="strong tone-warn" href=${hrefs.plan(plan.slug)} title=${count(rule.violations_24h)}>${compact(rule.violations_24h)}</a>` : html`<span class="muted">${isCommon ? "–" : "0"}</span>`}</td>
      <td class="num">${isCommon ? html`<span class="muted">–</span>` : html`<${Time} at_s=${rule.last_seen_s} isAgo=${true} />`}</td></tr>`,
    isOpen && html`<tr class="errors-open"><td></td><td colspan="7"><${Opened} plan=${plan} rule=${rule} /></td></tr>`,
  ];
}

/** @param {{plan: Plan, rule: Rule}} props */
function Opened({ plan, rule }) {
  const [view, setView] = useState("fields");
  const text = JSON.stringify(rule.jsonSchema, null, 2);
  const index = plan.rules.indexOf(rule);
  const { description: what, "x-ignore": ignored } = rule.jsonSchema;
  const facts = [
    typeof what === "string" && ["What", visible(what)],
    Array.isArray(ignored) && ignored.length > 0 && ["Ignored", html`<span class="row flow-wrap">${ignored.map((field) => html`<code key=${field}>${visible(field)}</code>`)}</span>`],
  ];
  return html`<div class="stack gap-4 rule-open">
    <div class="row between flow"><${Segmented} label="View" options=${[{ value: "fields", label: "Fields" }, { value: "json", label: "JSON" }]} value=${view} onChange=${setView} />
      ${may("operator") && html`<a class="btn small" href=${hrefs.plan(plan.slug, { tab: "editor", at: `/rules/${index}` })}>Edit this rule</a>`}</div>
    ${facts.some(Boolean) && html`<${Kv} items=${facts} />`}
    ${view === "json" ? html`<div class="code-box"><pre class="code" tabindex="0">${lines(text)}</pre><${CopyButton} text=${text} label="Copy the schema" what="Schema copied" /></div>` : html`<${Fields} rule=${rule} />`}
  </div>`;
}

/** @param {{rule: Rule}} props */
function Fields({ rule }) {
  const fields = fieldsOf(rule.jsonSchema);
  if (!fields.length) return html`<p class="muted">The rule names no field: every ${rule.type === "COMMON" ? "event" : rule.type.toLowerCase() + " call"} meets it.</p>`;
  const shown = fields.slice(0, FIELDS_SHOWN);
  return html`<div class="table-wrap inset"><table class="table fields"><thead><tr><th>Field</th><th>Type</th><th>Required</th><th>Values</th><th>Description</th></tr></thead>
    <tbody>${shown.map((field) => html`<tr key=${field.path}><td class="wrap"><code class="name field-${Math.min(field.depth, 5)}" title=${field.path}>${visible(field.name)}</code></td>
      <td class="small">${field.type || html`<span class="muted">any</span>`}</td><td>${field.isRequired ? html`<${Pill} tone="accent">required</${Pill}>` : html`<span class="muted small">optional</span>`}</td>
      <td class="small wrap">${field.limits.length ? cut(visible(field.limits.join(", ")), 200) : html`<span class="muted">any</span>`}</td><td class="small wrap muted">${field.text ? cut(visible(field.text), 300) : "–"}</td></tr>`)}</tbody></table></div>
    ${fields.length > shown.length && html`<p class="muted small">and ${fields.length - shown.length} more; the JSON has them all</p>`}`;
}
