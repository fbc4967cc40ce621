// Every change of a plan: when, by whom, what; and any two versions beside each other.
import { path } from "../lib/api.js";
import { count, fullTime, time, visible } from "../lib/format.js";
import { Empty, ErrorBox, Skeleton, Time, View } from "../lib/kit.js";
import { PlanDiff, saidOf } from "../lib/plandiff.js";
import { usePoll } from "../lib/poll.js";
import { setQuery } from "../lib/router.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {{version: number, at_s: number, by: string, rules: number, diff: import("../lib/plan.js").Diff}} Version */

const SHOWN = 40;
/** Who changed it, where no person did. @type {Record<string, string>} */
const HANDS = { start: "at the start", SIGHUP: "a reload" };

/** @param {{plan: import("../lib/plan.js").Plan, query: Record<string, string>}} props */
export function History({ plan, query }) {
  const poll = usePoll(path("plans", plan.slug, "history"), { everyMs: 30_000 });
  return html`<${View} poll=${poll}>${(/** @type {{versions: Version[]}} */ told) => html`
    ${told.versions.length > 1 && html`<${Compare} plan=${plan} versions=${told.versions} query=${query} />`}
    <${List} versions=${told.versions} />`}</${View}>`;
}

/** @param {{plan: import("../lib/plan.js").Plan, versions: Version[], query: Record<string, string>}} props */
function Compare({ plan, versions, query }) {
  const since = Number(query.since) || 0;
  const until = Number(query.until) || versions[0].version;
  const poll = usePoll(since ? path("plans", plan.slug, "history") : null, { everyMs: 0, query: { since, until } });
  const options = versions.map((one) => html`<option key=${one.version} value=${one.version}>Version ${one.version} · ${time(one.at_s)}</option>`);
  const choose = (/** @type {string} */ name) => (/** @type {any} */ event) => setQuery({ [name]: event.target.value });
  return html`<section class="card"><div class="card-head wrap-head"><h2>Compare</h2><span class="row flow">
      <select class="select small" aria-label="The earlier version" value=${since || ""} onChange=${choose("since")}><option value="">Choose a version</option>${options}</select><${Icon} name="right" size=${14} />
      <select class="select small" aria-label="The later version" value=${until} onChange=${choose("until")}>${options}</select></span></div>
    ${since > 0 && html`<div class="card-body">${poll.data ? html`<${PlanDiff} diff=${poll.data.diff} none="Both versions say the same." />` : poll.error ? html`<${ErrorBox} error=${poll.error} onRetry=${poll.reload} />` : html`<${Skeleton} rows=${3} />`}</div>`}
  </section>`;
}

/** @param {{versions: Version[]}} props */
function List({ versions }) {
  const [open, setOpen] = useState(0);
  if (!versions.length) return html`<section class="card"><${Empty} icon="plans" title="No change is remembered" /></section>`;
  return html`<section class="card"><div class="card-head"><h2>Changes</h2><span class="count">${versions.length}</span></div>
    <div class="table-wrap"><table class="table"><thead><tr><th class="tight"><span class="sr-only">Open</span></th><th>Version</th><th>What changed</th><th class="num">Rules</th><th>By</th><th class="num">When</th></tr></thead>
    <tbody>${versions.slice(0, SHOWN).map((one, index) => {
      const isFirst = index === versions.length - 1;
      const isOpen = open === one.version;
      const toggle = () => setOpen(isOpen ? 0 : one.version);
      return [
        html`<tr key=${one.version} class="click ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("button") && toggle()}>
          <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="What version ${one.version} changed" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
          <td class="tight strong num-left">${one.version}</td><td>${isFirst ? "The first that is remembered" : saidOf(one.diff)}</td><td class="num">${count(one.rules)}</td>
          <td>${HANDS[one.by] ? html`<span class="muted">${HANDS[one.by]}</span>` : visible(one.by)}</td><td class="num" title=${fullTime(one.at_s)}><${Time} at_s=${one.at_s} isAgo=${true} /></td></tr>`,
        isOpen && html`<tr key="${one.version} open" class="errors-open"><td></td><td colspan="5"><${PlanDiff} diff=${one.diff} /></td></tr>`,
      ];
    })}</tbody></table></div></section>`;
}
