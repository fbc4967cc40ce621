// One tracking plan: what breaks it, what it does not know, what it says, how it drifts from traffic, and every change of it.
import { path } from "../lib/api.js";
import { compact, count, plural, visible } from "../lib/format.js";
import { Stats } from "../lib/figures.js";
import { Empty, Pill, Tabs, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";
import { Drift } from "./plan_drift.js";
import { draftOf, Editor } from "./plan_editor.js";
import { History } from "./plan_history.js";
import { InferDialog } from "./plan_infer.js";
import { Rules } from "./plan_rules.js";
import { Unplanned, Violations } from "./plan_violations.js";

/** @typedef {import("../lib/plan.js").Plan} Plan */
/** @typedef {import("./plan_violations.js").Broken} Broken */

/** @param {Record<string, string>} params */
export const title = (params) => `${params.slug} · Plans`;
const EVERY_MS = 10_000;
/** @type {Record<string, {hours: number, label: string}>} */
export const SPANS = { "24h": { hours: 24, label: "last 24 hours" }, "7d": { hours: 168, label: "last 7 days" }, "30d": { hours: 720, label: "last 30 days" } };
/** Names in the query that belong to a tab. */
const OF_TABS = { rule: null, group: null, at: null, since: null, until: null, q: null, type: null, event: null, field: null };

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function Page({ params, query }) {
  const poll = usePoll(path("plans", params.slug), { everyMs: EVERY_MS });
  return html`<div class="page">
    <nav class="trail" aria-label="Where this is"><a href="/ui/plans">Plans</a><${Icon} name="right" size=${12} /><span class="muted">${visible(params.slug)}</span></nav>
    ${poll.error?.status === 404
      ? html`<section class="card"><${Empty} icon="plans" title="There is no plan of this name"><a class="btn" href="/ui/plans">All plans</a></${Empty}></section>`
      : html`<${View} poll=${poll} rows=${12}>${(/** @type {Plan} */ plan) => html`<${Body} plan=${plan} query=${query} onChange=${poll.reload} />`}</${View}>`}
  </div>`;
}

/** @param {{plan: Plan, query: Record<string, string>, onChange: () => void}} props */
function Body({ plan, query, onChange }) {
  const [isInferring, setInferring] = useState(false);
  const period = query.period && query.period in SPANS ? query.period : "24h";
  const broken = /** @type {import("../lib/poll.js").Polled<Broken>} */ (usePoll(path("plans", plan.slug, "violations"), { everyMs: EVERY_MS, query: { hours: SPANS[period].hours } }));
  const tab = query.tab ?? "violations";
  const tabs = [
    { id: "violations", label: "Violations", count: broken.data?.groups.length || null },
    { id: "unplanned", label: "Unplanned events", count: broken.data?.unplanned.length || null },
    { id: "rules", label: "Rules", count: plan.rules.length || null },
    { id: "drift", label: "Drift" },
    { id: "editor", label: draftOf(plan.slug) === null ? "Editor" : html`Editor <span class="dot accent" title="Not saved yet"></span><span class="sr-only">, not saved yet</span>` },
    { id: "history", label: "History" },
  ];
  const changed = () => {
    onChange();
    broken.reload();
  };
  const choose = (/** @type {string} */ id) => setQuery({ ...OF_TABS, tab: id === "violations" ? null : id });
  return html`<div class="page-head">
      <div class="page-title"><h1 class="name ellipsis">${visible(plan.name || plan.slug)}</h1>${plan.editable ? null : html`<${Pill} title="relay may not write ${plan.file}">read-only here</${Pill}>`}</div><span class="grow"></span>
      ${may("operator") && html`<button type="button" class="btn" onClick=${() => setInferring(true)}><${Icon} name="search" size=${14} />Infer from traffic…</button>`}
      ${plan.sources.length > 0 && html`<a class="btn" href=${hrefs.live(`source:${plan.sources.join(",")} plan:violated`)} title="Events that break the plan, as they come"><${Icon} name="live" size=${14} />Live</a>`}</div>
    ${!plan.sources.length && html`<div class="notice info"><${Icon} name="info" /><span class="grow">No source keeps to this plan yet. Write <code>plan = "${plan.slug}"</code> into one, then reload.</span></div>`}
    <${Figures} plan=${plan} />
    <${Tabs} label="Parts of this plan" tabs=${tabs} value=${tab} onChange=${choose}>
      ${tab === "rules"
        ? html`<${Rules} plan=${plan} query=${query} />`
        : tab === "drift"
          ? html`<${Drift} plan=${plan} onChange=${changed} />`
          : tab === "editor"
            ? html`<${Editor} plan=${plan} at=${query.at} onChange=${changed} />`
            : tab === "history"
              ? html`<${History} plan=${plan} query=${query} />`
              : html`<${View} poll=${broken}>${(/** @type {Broken} */ told) =>
                  tab === "unplanned" ? html`<${Unplanned} plan=${plan} told=${told} period=${period} query=${query} onChange=${changed} />` : html`<${Violations} plan=${plan} told=${told} period=${period} query=${query} onChange=${changed} />`}</${View}>`}
    </${Tabs}>
    ${isInferring && html`<${InferDialog} plan=${plan} onClose=${() => setInferring(false)} onDone=${changed} />`}`;
}

/** @param {{plan: Plan}} props */
function Figures({ plan }) {
  const broken = plan.rules.filter((rule) => rule.violations_24h > 0).length;
  const met = plan.rules.filter((rule) => rule.type !== "COMMON" && rule.seen_24h > 0).length;
  const own = plan.rules.filter((rule) => rule.type !== "COMMON").length;
  return html`<${Stats} items=${[
    { label: "Rules", value: count(plan.rules.length), sub: plan.rules.some((rule) => rule.type === "COMMON") ? "one of them for every event" : "each for its event" },
    { label: "Met, 24 h", value: count(met), sub: own > met ? `${plural(own - met, "rule")} without an event` : "every rule has events" },
    { label: "Violations, 24 h", value: compact(plan.violations_24h), title: count(plan.violations_24h), tone: plan.violations_24h ? "warn" : undefined, sub: broken ? `of ${plural(broken, "rule")}` : "every event keeps to it" },
    { label: "Sources", value: count(plan.sources.length), sub: plan.sources.length ? html`${plan.sources.map((slug, index) => html`${index > 0 && ", "}<a key=${slug} href="${hrefs.source(slug)}?tab=schema">${visible(slug)}</a>`)}` : "none keeps to it" },
    { label: "Kept in", value: html`<span class="file ellipsis" title=${plan.file}>${visible(plan.file.split("/").at(-1) ?? "")}</span>`, isQuiet: true, sub: plan.editable ? "editable here" : "relay may not write it" },
  ]} />`;
}
