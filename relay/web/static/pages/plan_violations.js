// What breaks a plan, grouped by event and rule; and the events that it has no rule for. From each group one gets to its events and to what to do.
import { compact, count, cut, plural, visible } from "../lib/format.js";
import { Spark } from "../lib/figures.js";
import { Empty, Menu, Periods, Pill, Time } from "../lib/kit.js";
import { ruleId, ruleName, ruleOf } from "../lib/plan.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";
import { ResolveDialog } from "./plan_resolve.js";

/** @typedef {import("../lib/plan.js").Plan} Plan */
/** @typedef {import("./plan_resolve.js").Order} Order */
/** @typedef {{event_id: string, received_ms: number, value?: unknown}} Sample */
/** @typedef {{event: string, type: string, count: number, first_s: number, last_s: number, sources: string[], series: number[], samples: Sample[]}} Strange */
/** @typedef {Strange & {field: string, kind: string, description: string}} Group */
/** @typedef {{groups: Group[], unplanned: Strange[], ignored: number}} Broken */
/** @typedef {{plan: Plan, told: Broken, period: string, query: Record<string, string>, onChange: () => void}} Props */

const SHOWN = 60;

/** @param {{told: Broken, period: string, what: string}} props */
function Head({ told, period, what }) {
  return html`<div class="card-head wrap-head"><h2>${what}</h2>${told.ignored > 0 && html`<span class="muted small" title="x-ignore in the plan; take the entry out in the editor to see them again">${plural(told.ignored, "group")} ignored</span>`}
    <${Periods} options=${["24h", "7d", "30d"]} value=${period} onChange=${(/** @type {string} */ to) => setQuery({ period: to === "24h" ? null : to })} /></div>`;
}

/** @param {Props} props */
export function Violations({ plan, told, period, query, onChange }) {
  const [order, setOrder] = useState(/** @type {Order | null} */ (null));
  const [shown, setShown] = useState(SHOWN);
  const events = byEvent(told.groups.slice(0, shown));
  if (!told.groups.length) {
    return html`<section class="card"><${Head} told=${told} period=${period} what="Violations" /><${Empty} icon="check" title="Every event keeps to the plan"><p>${plan.sources.length ? "What breaks a rule is counted here, with its events, within seconds." : "As soon as a source keeps to this plan, what breaks it is counted here."}</p></${Empty}></section>`;
  }
  return html`<section class="card"><${Head} told=${told} period=${period} what="Violations" />
    <div class="table-wrap list-wrap"><table class="table broken"><thead><tr><th class="tight"><span class="sr-only">Samples</span></th><th>What is wrong</th><th class="wide-only">Sources</th><th class="tight shape">Shape</th><th class="num">Count</th><th class="num">Last seen</th><th class="tight"><span class="sr-only">What to do</span></th></tr></thead>
      ${events.map((one) => html`<tbody key=${`${one.type} ${one.event}`}>
        <${EventHead} plan=${plan} one=${one} />
        ${one.groups.map((group) => html`<${Row} key=${`${group.kind} ${group.field}`} group=${group} isOpen=${query.group === idOf(group)} onOrder=${setOrder} />`)}</tbody>`)}
    </table></div>
    ${told.groups.length > shown && html`<p class="card-foot"><button type="button" class="link" onClick=${() => setShown(shown + SHOWN)}>${plural(told.groups.length - shown, "more group")}</button></p>`}
    ${order && html`<${ResolveDialog} plan=${plan} order=${order} onClose=${() => setOrder(null)} onDone=${onChange} />`}
  </section>`;
}

/** The groups of each event together; the event that is broken most comes first. @param {Group[]} groups */
function byEvent(groups) {
  /** @type {Map<string, {type: string, event: string, count: number, groups: Group[]}>} */
  const events = new Map();
  for (const group of groups) {
    const key = `${group.type} ${group.type === "track" ? group.event : ""}`;
    const one = events.get(key) ?? { type: group.type, event: group.event, count: 0, groups: [] };
    one.count += group.count;
    one.groups.push(group);
    events.set(key, one);
  }
  return [...events.values()].sort((one, other) => other.count - one.count);
}

/** @param {Strange & {field?: string, kind?: string}} group */
function idOf(group) {
  return [group.type, group.event, group.kind, group.field].filter(Boolean).join(" ");
}

/** @param {{plan: Plan, one: {type: string, event: string, count: number}}} props */
function EventHead({ plan, one }) {
  const rule = ruleOf(plan.rules, one);
  return html`<tr class="broken-event"><th colspan="7" scope="rowgroup"><span class="row flow"><strong class="name">${cut(visible(one.type === "track" ? one.event : `${one.type} calls`), 120)}</strong><span class="muted small">${one.type}</span>
    ${rule && html`<a class="small rule-link" href=${hrefs.plan(plan.slug, { tab: "rules", rule: ruleId(rule) })}>${rule.key ? "Open the rule" : visible(ruleName(rule))}${rule.owner && html`<span class="muted"> · ${visible(rule.owner)}</span>`}</a>`}</span></th></tr>`;
}

/** @param {{group: Group, isOpen: boolean, onOrder: (order: Order) => void}} props */
function Row({ group, isOpen, onOrder }) {
  const toggle = () => setQuery({ group: isOpen ? null : idOf(group) });
  const about = { event: group.event, type: group.type, field: group.field };
  return [
    html`<tr class="click ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("a, button") && toggle()}>
      <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Events that show ${visible(group.field)}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
      <td class="wrap"><span class="row flow"><code class="name">${visible(group.field) || "the event"}</code><${Pill} tone="warn">${group.kind.toLowerCase()}</${Pill}></span><div class="small muted">${cut(visible(group.description), 240)}</div></td>
      <td class="wide-only"><${Sources} slugs=${group.sources} /></td>
      <td class="tight shape"><${Spark} values=${group.series} width=${84} tone="warn" /></td>
      <td class="num strong" title=${count(group.count)}>${compact(group.count)}</td><td class="num"><${Time} at_s=${group.last_s} isAgo=${true} /></td>
      <td class="tight"><${Actions} about=${about} what="field" onOrder=${onOrder} /></td></tr>`,
    isOpen && html`<tr class="errors-open"><td></td><td colspan="6"><${Samples} group=${group} /></td></tr>`,
  ];
}

/** @param {{slugs: string[]}} props */
function Sources({ slugs }) {
  return html`<span class="row flow-wrap small">${slugs.map((slug) => html`<a key=${slug} href=${hrefs.source(slug)}>${visible(slug)}</a>`)}</span>`;
}

/** What to do about it. @param {{about: {event: string, type: string, field: string}, what: "field" | "event", onOrder: (order: Order) => void}} props */
export function Actions({ about, what, onOrder }) {
  if (!may("operator")) return null;
  const named = visible(what === "field" ? about.field : about.event || `${about.type} calls`);
  const canBlock = what === "event" ? about.type === "track" : ["track", "identify", "group"].includes(about.type);
  return html`<${Menu} class="btn small" title="Resolve: ${cut(named, 60)}" label=${html`Resolve<${Icon} name="down" size=${12} />`} items=${[
    { label: what === "field" ? "Let the plan allow it…" : "Add it to the plan…", icon: "plus", act: () => onOrder({ action: "add", ...about }) },
    { label: "Ignore it here…", icon: "close", act: () => onOrder({ action: "ignore", ...about }) },
    ...(canBlock ? [null, { label: what === "field" ? "Block what breaks it…" : "Block the event…", icon: "warn", isBad: true, act: () => onOrder({ action: "block", ...about }) }] : []),
  ]} />`;
}

/** Events that show it. @param {{group: Strange & {field?: string}}} props */
function Samples({ group }) {
  if (!group.samples.length) return html`<p class="muted small">No event of it is kept any more.</p>`;
  const hasValues = group.samples.some((each) => each.value !== undefined);
  return html`<div class="stack near shown-events"><table class="table inset-table"><thead><tr><th>Event</th>${hasValues && html`<th>Value</th>`}<th class="num">Received</th></tr></thead>
      <tbody>${group.samples.map((each) => html`<tr key=${each.event_id}><td class="tight"><a class="mono" href=${hrefs.event(each.event_id)}>${each.event_id}</a></td>
        ${hasValues && html`<td class="mono wrap">${valueOf(each.value)}</td>`}<td class="num muted"><${Time} at_s=${each.received_ms / 1000} isAgo=${true} /></td></tr>`)}</tbody></table>
    <p class="small"><a href=${hrefs.live(`type:${group.type}${group.type === "track" ? ` event:${JSON.stringify(group.event)}` : ""}${group.field !== undefined ? " plan:violated" : ""}`)}>See them live</a></p></div>`;
}

/** @param {unknown} value */
function valueOf(value) {
  if (value === undefined || value === null) return html`<span class="muted">not there</span>`;
  return cut(visible(JSON.stringify(value)), 200);
}

/** @param {Props} props */
export function Unplanned({ plan, told, period, query, onChange }) {
  const [order, setOrder] = useState(/** @type {Order | null} */ (null));
  const [shown, setShown] = useState(SHOWN);
  if (!told.unplanned.length) {
    return html`<section class="card"><${Head} told=${told} period=${period} what="Unplanned events" /><${Empty} icon="check" title="Every track call has a rule"><p>Events that the plan does not know are listed here, to be added, ignored or blocked.</p></${Empty}></section>`;
  }
  return html`<section class="card"><${Head} told=${told} period=${period} what="Unplanned events" />
    <div class="table-wrap list-wrap"><table class="table"><thead><tr><th class="tight"><span class="sr-only">Samples</span></th><th>Event</th><th class="wide-only">Sources</th><th class="tight shape">Shape</th><th class="num">Count</th><th class="num">First seen</th><th class="num">Last seen</th><th class="tight"><span class="sr-only">What to do</span></th></tr></thead>
    <tbody>${told.unplanned.slice(0, shown).map((one) => {
      const isOpen = query.group === idOf(one);
      const toggle = () => setQuery({ group: isOpen ? null : idOf(one) });
      return [
        html`<tr key=${idOf(one)} class="click ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("a, button") && toggle()}>
          <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Events of ${visible(one.event)}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
          <td class="wrap"><strong class="name">${cut(visible(one.event), 160)}</strong></td><td class="wide-only"><${Sources} slugs=${one.sources} /></td>
          <td class="tight shape"><${Spark} values=${one.series} width=${84} /></td><td class="num strong" title=${count(one.count)}>${compact(one.count)}</td>
          <td class="num muted"><${Time} at_s=${one.first_s} isAgo=${true} /></td><td class="num"><${Time} at_s=${one.last_s} isAgo=${true} /></td>
          <td class="tight"><${Actions} about=${{ event: one.event, type: one.type, field: "" }} what="event" onOrder=${setOrder} /></td></tr>`,
        isOpen && html`<tr key="${idOf(one)} open" class="errors-open"><td></td><td colspan="7"><${Samples} group=${one} /></td></tr>`,
      ];
    })}</tbody></table></div>
    ${told.unplanned.length > shown && html`<p class="card-foot"><button type="button" class="link" onClick=${() => setShown(shown + SHOWN)}>${plural(told.unplanned.length - shown, "more event")}</button></p>`}
    ${order && html`<${ResolveDialog} plan=${plan} order=${order} onClose=${() => setOrder(null)} onDone=${onChange} />`}
  </section>`;
}
