// Where plan and traffic drift apart: once a day, over the last days.
import { path } from "../lib/api.js";
import { compact, count, cut, percent, plural, visible } from "../lib/format.js";
import { Empty, Time, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { ruleName } from "../lib/plan.js";
import { html, useState } from "../lib/ui.js";
import { ResolveDialog } from "./plan_resolve.js";
import { Actions } from "./plan_violations.js";

/** @typedef {import("./plan_resolve.js").Order} Order */
/** @typedef {{type: string, event: string, property: string}} At */
/**
 * @typedef {{at_s: number, events_read: number, sampled: boolean, new_events: {type: string, event: string, count: number, first_s: number, last_s: number}[],
 *   missing_events: {type: string, key: string}[], new_properties: (At & {share: number, types: Record<string, number>})[], unused_properties: At[],
 *   type_changes: (At & {planned: string[], types: Record<string, number>, share: number})[]}} Report
 */

/** @param {{plan: import("../lib/plan.js").Plan, onChange: () => void}} props */
export function Drift({ plan, onChange }) {
  const poll = /** @type {import("../lib/poll.js").Polled<Report>} */ (usePoll(path("plans", plan.slug, "drift"), { everyMs: 60_000 }));
  const [order, setOrder] = useState(/** @type {Order | null} */ (null));
  const done = () => {
    poll.reload();
    onChange();
  };
  return html`<${View} poll=${poll} rows=${10}>${(/** @type {Report} */ told) => html`<${Body} told=${told} onOrder=${setOrder} />`}</${View}>
    ${order && html`<${ResolveDialog} plan=${plan} order=${order} onClose=${() => setOrder(null)} onDone=${done} />`}`;
}

/** @param {{told: Report, onOrder: (order: Order) => void}} props */
function Body({ told, onOrder }) {
  const parts = [told.new_events, told.missing_events, told.new_properties, told.unused_properties, told.type_changes];
  const head = html`<p class="muted small">From ${plural(told.events_read, "stored event")}${told.sampled ? ", a sample spread over the time" : ""}; made <${Time} at_s=${told.at_s} isAgo=${true} />, anew each day and whenever the plan changes.</p>`;
  if (parts.every((part) => !part.length)) {
    return html`${head}<section class="card"><${Empty} icon="check" title=${told.events_read ? "Plan and traffic agree" : "Nothing to compare yet"}><p>${told.events_read ? "Every event has its rule, every rule its events, and the fields are those that are planned." : "As soon as sources of this plan have sent events, relay compares them with it."}</p></${Empty}></section>`;
  }
  return html`${head}
    <${Part} title="Types that are not planned" text="Fields that come with another type than the plan says." rows=${told.type_changes} head=${["Field", "Planned", "Comes as", "Share"]}
      row=${(/** @type {Report["type_changes"][0]} */ one) => html`<td class="small">${one.planned.join(" or ")}</td><td class="small">${typesOf(one.types, one.planned)}</td><td class="num strong tone-warn">${percent(one.share)}</td>`} onOrder=${onOrder} />
    <${Part} title="New fields" text="Fields that come, and that no rule names." rows=${told.new_properties} head=${["Field", "Type", "Share"]}
      row=${(/** @type {Report["new_properties"][0]} */ one) => html`<td class="small">${typesOf(one.types)}</td><td class="num">${percent(one.share)}</td>`} onOrder=${onOrder} />
    <${Part} title="New events" text="Track calls without a rule." rows=${told.new_events} head=${["Event", "Count", "Last seen"]}
      row=${(/** @type {Report["new_events"][0]} */ one) => html`<td class="num strong" title=${count(one.count)}>${compact(one.count)}</td><td class="num"><${Time} at_s=${one.last_s} isAgo=${true} /></td>`} onOrder=${onOrder} />
    <div class="cols-2">
      <${Part} title="Rules without events" text="Planned, and never sent in this time." rows=${told.missing_events} head=${["Rule"]} row=${() => null} />
      <${Part} title="Fields that never come" text="Planned, and in none of many events." rows=${told.unused_properties} head=${["Field"]} row=${() => null} />
    </div>`;
}

/** @param {{title: string, text: string, rows: any[], head: string[], row: (one: any) => any, onOrder?: (order: Order) => void}} props */
function Part({ title, text, rows, head, row, onOrder }) {
  if (!rows.length) return null;
  return html`<section class="card"><div class="card-head"><h2>${title}</h2><span class="count">${rows.length}</span><span class="muted small ellipsis">${text}</span></div>
    <div class="table-wrap list-wrap"><table class="table"><thead><tr>${head.map((name, index) => html`<th key=${name} class=${["Share", "Count", "Last seen"].includes(name) ? "num" : index === 0 ? "drift-name" : ""}>${name}</th>`)}${onOrder && html`<th class="tight"><span class="sr-only">What to do</span></th>`}</tr></thead>
    <tbody>${rows.map((one) => {
      const type = one.type.toLowerCase();
      const name = one.property ? html`<code class="name">${cut(visible(one.property), 160)}</code><div class="small muted">${cut(visible(one.event || ruleName(one)), 120)}</div>` : html`<strong class="name">${cut(visible(one.event || ruleName(one)), 160)}</strong><div class="small muted">${type}</div>`;
      return html`<tr key=${`${one.type} ${one.event ?? one.key} ${one.property}`}><td class="wrap drift-name">${name}</td>${row(one)}
        ${onOrder && html`<td class="tight"><${Actions} about=${{ event: one.event, type, field: one.property ?? "" }} what=${one.property ? "field" : "event"} onOrder=${onOrder} /></td>`}</tr>`;
    })}</tbody></table></div></section>`;
}

/** "string 12, integer 1": the most frequent first; what is not planned is loud. @param {Record<string, number>} types @param {string[]} [planned] */
function typesOf(types, planned) {
  return Object.entries(types).sort((one, other) => other[1] - one[1]).map(([name, number], index) => {
    const isStrange = planned && !planned.includes(name) && !(name === "integer" && planned.includes("number"));
    return html`${index > 0 && ", "}<span class=${isStrange ? "tone-warn strong" : ""} key=${name}>${name}</span> <span class="muted num">${compact(number)}</span>`;
  });
}
