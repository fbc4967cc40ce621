// All tracking plans: what each holds, which sources keep to it, and how often it was broken.
import { compact, count, visible } from "../lib/format.js";
import { Spark } from "../lib/figures.js";
import { CopyButton, Empty, Pill, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, navigate } from "../lib/router.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";
import { InferDialog } from "./plan_infer.js";

/** @typedef {import("../lib/plan.js").Head & {rules: number}} Listed */

export const title = "Plans";
const EVERY_MS = 10_000;

export default function Page() {
  const poll = usePoll("plans", { everyMs: EVERY_MS });
  const [isInferring, setInferring] = useState(false);
  return html`<div class="page">
    <div class="page-head"><div class="page-title"><h1>Plans</h1>${poll.data && html`<span class="count">${poll.data.plans.length}</span>`}</div><span class="grow"></span>
      ${may("operator") && poll.data?.plans.length > 0 && html`<button type="button" class="btn" onClick=${() => setInferring(true)}><${Icon} name="search" size=${14} />Infer from traffic…</button>`}</div>
    <${View} poll=${poll}>${(/** @type {{plans: Listed[]}} */ told) => (told.plans.length ? html`<${List} plans=${told.plans} />` : html`<${None} onInfer=${() => setInferring(true)} />`)}</${View}>
    ${isInferring && html`<${InferDialog} onClose=${() => setInferring(false)} />`}
  </div>`;
}

/** @param {{plans: Listed[]}} props */
function List({ plans }) {
  return html`<section class="card"><div class="table-wrap"><table class="table">
    <thead><tr><th>Plan</th><th>Sources</th><th class="num">Rules</th><th class="tight shape">Last 24 h</th><th class="num">Violations</th><th class="wide-only">Kept in</th></tr></thead>
    <tbody>${plans.map((plan) => html`<${Row} key=${plan.slug} plan=${plan} />`)}</tbody></table></div></section>`;
}

/** @param {{plan: Listed}} props */
function Row({ plan }) {
  const href = hrefs.plan(plan.slug);
  const poll = usePoll(`plans/${encodeURIComponent(plan.slug)}/violations`, { everyMs: 30_000, query: { hours: 24 } });
  const series = (poll.data?.groups ?? []).reduce(added, /** @type {number[]} */ ([]));
  const go = (/** @type {any} */ event) => !event.target.closest("a, button") && navigate(href);
  return html`<tr class="click" onClick=${go}>
    <td class="lead"><a class="strong name" href=${href}>${visible(plan.name || plan.slug)}</a><div class="small muted">${plan.slug}</div></td>
    <td>${plan.sources.length ? html`<span class="row flow-wrap">${plan.sources.map((slug) => html`<a key=${slug} href=${hrefs.source(slug)}>${visible(slug)}</a>`)}</span>` : html`<span class="tone-warn" title='Write plan = "${plan.slug}" into a source'>none</span>`}</td>
    <td class="num">${count(plan.rules)}</td>
    <td class="tight shape"><${Spark} values=${series} width=${84} tone="warn" /></td>
    <td class="num">${plan.violations_24h ? html`<span class="strong tone-warn" title=${count(plan.violations_24h)}>${compact(plan.violations_24h)}</span>` : html`<span class="muted">0</span>`}</td>
    <td class="wide-only wrap"><code>${visible(plan.file.split("/").at(-1) ?? "")}</code> ${plan.editable ? html`<${Pill} tone="ok" title=${plan.file}>editable here</${Pill}>` : html`<${Pill} title="relay may not write ${plan.file}">read-only</${Pill}>`}</td></tr>`;
}

/** @param {number[]} sum @param {{series: number[]}} group */
function added(sum, group) {
  return group.series.map((value, index) => value + (sum[index] ?? 0));
}

/** @param {{onInfer: () => void}} props */
function None({ onInfer }) {
  return html`<section class="card"><${Empty} icon="plans" title="No tracking plan yet">
    <p>A plan says which events your apps send and what each holds. relay then tells what breaks it, and blocks or trims it where you want.</p>
    <div class="start-cols">
      <${Step} title="Begin with the events that tools know" text="relay plan add ecommerce --to plans/shop.json --write" />
      <${Step} title="Or with what a source sends already" text="relay plan infer web --since 7d --write plans/shop.json" />
    </div>
    <div class="start-config"><${Step} title="Then name it in the configuration, and reload" text=${'[[plan]]\nslug = "shop"\nfile = "plans/shop.json"\n\n[[source]]\nslug = "web"\nwrite_key = "wk_web"\nplan = "shop"'} /></div>
    ${may("operator") && html`<button type="button" class="btn primary" onClick=${onInfer}><${Icon} name="search" size=${14} />See what a plan would hold</button>`}
  </${Empty}></section>`;
}

/** @param {{title: string, text: string}} props */
function Step({ title, text }) {
  return html`<div class="stack near"><h2>${title}</h2><div class="code-box"><pre class="code" tabindex="0">${text}</pre><${CopyButton} text=${text} label="Copy: ${title}" /></div></div>`;
}
