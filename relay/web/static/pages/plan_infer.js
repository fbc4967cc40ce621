// From traffic to rules: what a plan would say of the events that a source sent, as a diff that can be saved or refined.
import { ApiError, path, post, put } from "../lib/api.js";
import { count, plural, visible } from "../lib/format.js";
import { attempt, CopyButton, Dialog, ErrorBox, Segmented, Skeleton } from "../lib/kit.js";
import { PlanDiff, saidOf } from "../lib/plandiff.js";
import { differs } from "../lib/plan.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, navigate } from "../lib/router.js";
import { may, nowS } from "../lib/session.js";
import { html, Icon, useEffect, useState } from "../lib/ui.js";
import { keepDraft } from "./plan_editor.js";

/** @typedef {{content: {rules: any[]}, diff: import("../lib/plan.js").Diff, events_read: number, sampled: boolean, truncated: boolean | number, left_out: string[], plan: string}} Inferred */

const SPANS = { "24h": 86_400, "7d": 604_800, "30d": 2_592_000 };

/** @param {{plan?: import("../lib/plan.js").Plan, onClose: () => void, onDone?: () => void}} props `plan`: what it grows out of; none: the plan of the source */
export function InferDialog({ plan, onClose, onDone }) {
  const sources = usePoll("sources", { everyMs: 0 }).data?.sources ?? [];
  const [source, setSource] = useState(plan?.sources[0] ?? "");
  const [period, setPeriod] = useState(/** @type {keyof typeof SPANS} */ ("7d"));
  const [found, setFound] = useState(/** @type {Inferred | null} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isBusy, setBusy] = useState(false);
  const chosen = source || sources[0]?.slug || "";
  const target = plan?.slug ?? found?.plan ?? "";

  useEffect(() => {
    if (!chosen) return undefined;
    const abort = new AbortController();
    setFound(null);
    setError(null);
    post("plans/infer", { source: chosen, since_s: nowS() - SPANS[period], ...(plan ? { plan: plan.slug } : {}) }, { signal: abort.signal }).then(setFound, (thrown) => abort.signal.aborted || setError(thrown instanceof ApiError ? thrown : new ApiError(0, "bug", String(thrown))));
    return () => abort.abort();
  }, [chosen, period]);

  const save = async () => {
    if (!found) return;
    setBusy(true);
    const isDone = await attempt(() => put(path("plans", target), { content: { rules: found.content.rules } }), (answer) => `The plan is saved: ${saidOf(answer.diff)}`);
    setBusy(false);
    if (!isDone) return;
    onDone?.();
    onClose();
  };
  const refine = () => {
    if (found) keepDraft(target, JSON.stringify({ rules: found.content.rules }, null, 2));
    navigate(hrefs.plan(target, { tab: "editor" }));
    onClose();
  };
  const isNews = found !== null && differs(found.diff);
  return html`<${Dialog} isWide=${true} title="Infer rules from traffic" onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Close</button>
      ${isNews && target && html`<button type="button" class="btn" onClick=${refine}>Refine in the editor</button>`}
      ${isNews && target && may("admin") && html`<button type="button" class="btn primary" disabled=${isBusy || (plan && !plan.editable)} onClick=${save}><${Icon} name="check" size=${14} />Save the plan</button>`}`}>
    <p class="muted">relay reads what the source sent, finds types, required fields, lists of values and formats, and adds them. What the plan says already stays.</p>
    <div class="row flow"><label class="row">Source <select class="select" value=${chosen} data-first onChange=${(/** @type {any} */ event) => setSource(event.target.value)}>${sources.map((/** @type {{slug: string, name: string}} */ one) => html`<option key=${one.slug} value=${one.slug}>${visible(one.name)}</option>`)}</select></label>
      <${Segmented} label="Events of the last" options=${Object.keys(SPANS).map((each) => ({ value: each, label: each }))} value=${period} onChange=${setPeriod} /></div>
    ${error ? html`<${ErrorBox} error=${error} title="relay could not infer rules" />` : !found ? html`<${Skeleton} rows=${6} />` : html`<${Found} found=${found} target=${target} source=${chosen} />`}
  </${Dialog}>`;
}

/** @param {{found: Inferred, target: string, source: string}} props */
function Found({ found, target, source }) {
  if (!found.events_read) return html`<div class="notice info"><${Icon} name="info" /><span class="grow">No event of this source is stored of that time.</span></div>`;
  const command = `relay plan infer ${source} --since 7d --write plans/${source}.json`;
  return html`<p role="status"><strong>${saidOf(found.diff)[0].toUpperCase() + saidOf(found.diff).slice(1)}</strong> <span class="muted">from ${plural(found.events_read, "event")}${found.sampled ? ", a sample spread over the time" : ""}${target ? html`, for the plan <strong>${visible(target)}</strong>` : ""}.</span></p>
    <div class="infer-diff" tabindex="0" role="region" aria-label="What would change"><${PlanDiff} diff=${found.diff} rules=${found.content.rules} none="The plan says all of that already." /></div>
    ${found.left_out.length > 0 && html`<p class="small muted">Left out, since their names hold an id or a date: ${found.left_out.slice(0, 6).map((name, index) => html`${index > 0 && ", "}<code key=${name}>${visible(name)}</code>`)}${found.left_out.length > 6 ? ` and ${count(found.left_out.length - 6)} more` : ""}</p>`}
    ${Boolean(found.truncated) && html`<p class="small muted">There were more kinds of events or fields than relay looks at; the rarest are left out.</p>`}
    ${!target && html`<div class="stack tight"><p class="small">This source keeps to no plan. Write the rules into a file, and name it in the configuration:</p><div class="code-box"><pre class="code" tabindex="0">${command}</pre><${CopyButton} text=${command} label="Copy the command" /></div></div>`}`;
}
