// What becomes of a group: the plan learns it, it is ignored, or it is blocked. What would change is shown before it is done.
import { ApiError, path, post } from "../lib/api.js";
import { visible } from "../lib/format.js";
import { attempt, CopyButton, Dialog, Skeleton } from "../lib/kit.js";
import { PlanDiff } from "../lib/plandiff.js";
import { differs } from "../lib/plan.js";
import { hrefs } from "../lib/router.js";
import { html, Icon, useEffect, useState } from "../lib/ui.js";

/** @typedef {{action: "add" | "ignore" | "block", event: string, type: string, field: string}} Order */
/** @typedef {{source: string, file: string, line: number}} Placed */
/** @typedef {{version: number, diff: import("../lib/plan.js").Diff, rules?: any[], blocked?: string[], toml?: string, sources?: Placed[]}} Answer */

/** @type {Record<string, {title: (what: string) => string, done: (what: string) => string, act: string, icon: string}>} */
const SAID = {
  add: { title: (what) => `Add ${what} to the plan`, done: (what) => `The plan knows ${what} now`, act: "Save the plan", icon: "check" },
  ignore: { title: (what) => `Ignore ${what}`, done: (what) => `${what} is ignored from now on`, act: "Ignore", icon: "check" },
  block: { title: (what) => `Block ${what}`, done: (what) => `${what} is blocked from now on`, act: "Block the event", icon: "close" },
};

/** @param {{plan: import("../lib/plan.js").Plan, order: Order, onClose: () => void, onDone: () => void}} props */
export function ResolveDialog({ plan, order, onClose, onDone }) {
  const [tried, setTried] = useState(/** @type {Answer | null} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isBusy, setBusy] = useState(false);
  const where = `${path("plans", plan.slug)}/rules`;
  useEffect(() => {
    const abort = new AbortController();
    post(where, { ...order, dry_run: true }, { signal: abort.signal }).then(setTried, (thrown) => abort.signal.aborted || setError(thrown instanceof ApiError ? thrown : new ApiError(0, "bug", String(thrown))));
    return () => abort.abort();
  }, []);
  const what = visible(order.field || order.event || `${order.type} calls`);
  const said = SAID[order.action];
  const act = async () => {
    setBusy(true);
    const isDone = await attempt(() => post(where, order), said.done(what));
    setBusy(false);
    if (!isDone) return;
    onDone();
    onClose();
  };
  const isLocked = order.action !== "block" && !plan.editable;
  const canAct = tried && !tried.toml && !isLocked;
  return html`<${Dialog} isWide=${true} title=${said.title(what)} onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>${canAct ? "Cancel" : "Close"}</button>
      ${canAct && html`<button type="button" class="btn ${order.action === "block" ? "danger" : "primary"}" data-first disabled=${isBusy} onClick=${act}><${Icon} name=${said.icon} size=${14} />${said.act}</button>`}`}>
    ${error ? html`<${Refused} plan=${plan} order=${order} error=${error} />` : !tried ? html`<${Skeleton} rows=${4} />` : order.action === "block" ? html`<${Block} plan=${plan} order=${order} tried=${tried} />` : html`<${Learn} plan=${plan} order=${order} tried=${tried} />`}
    ${isLocked && html`<div class="notice info"><${Icon} name="info" /><span class="grow">relay may not write <code>${visible(plan.file)}</code>: change it there, then reload.</span></div>`}
  </${Dialog}>`;
}

/** @param {{plan: import("../lib/plan.js").Plan, order: Order, tried: Answer}} props */
function Learn({ plan, order, tried }) {
  const name = html`<strong class="name">${visible(order.event || `${order.type} calls`)}</strong>`;
  const text = order.action === "ignore"
    ? order.field
      ? html`What breaks the plan at this field of ${name} is no longer listed. It is still marked on the events themselves, and a source that blocks or trims goes on doing so.`
      : html`${name} is no longer listed as unplanned. Nothing else changes for it.`
    : order.field
      ? html`relay looked at the events of the last 7 days: this makes the rule of ${name} allow what it saw there.`
      : html`relay looked at the events of the last 7 days and made this rule for ${name}. You can refine it in the editor afterwards.`;
  return html`<p>${text}</p>
    ${(differs(tried.diff) || order.action === "add") && html`<${PlanDiff} diff=${tried.diff} rules=${tried.rules} />`}
    <p class="muted small">Written into <code>${visible(plan.file)}</code>, with an entry in the history.</p>`;
}

/** @param {{plan: import("../lib/plan.js").Plan, order: Order, tried: Answer}} props */
function Block({ plan, order, tried }) {
  const name = html`<strong class="name">${visible(order.event)}</strong>`;
  if (!tried.toml) {
    return html`<p>${name} stops at ${tried.blocked?.map((slug, index) => html`${index > 0 && ", "}<a key=${slug} href="${hrefs.source(slug)}?tab=schema">${visible(slug)}</a>`)}: from now on no destination gets it. It is still stored, counted as blocked, and shown in the live debugger.</p>
      <p class="muted small">You can let it through again in the schema of each source.</p>`;
  }
  return html`<p>How strict a source is about fields, its configuration says. Write this into ${(tried.sources ?? []).length === 1 ? "the source" : "each source"} of <strong>${visible(plan.name || plan.slug)}</strong>, then reload:</p>
    <div class="code-box"><pre class="code" tabindex="0">${tried.toml}</pre><${CopyButton} text=${tried.toml} label="Copy the setting" /></div>
    <p class="small">${(tried.sources ?? []).map((one) => html`<span key=${one.source} class="place"><a href=${hrefs.source(one.source)}>${visible(one.source)}</a> <code>${visible(one.file)}${one.line ? `:${one.line}` : ""}</code></span>`)}</p>
    <p class="muted small">${order.type === "track" ? html`Then every track call that breaks its rule is blocked. To leave out only what is wrong, and let the call through, write <code>allowPropertiesOnViolations</code> in its place.` : `Then what breaks the rule is left out of ${order.type} calls.`}</p>`;
}

/** @param {{plan: import("../lib/plan.js").Plan, order: Order, error: ApiError}} props */
function Refused({ plan, order, error }) {
  const isKnown = error.code === "nothing_to_change" || error.code === "not_found";
  return html`<div class="notice ${isKnown ? "info" : "bad"}" role="alert"><${Icon} name=${isKnown ? "info" : "warn"} /><div class="grow"><p>${visible(error.message)}</p>${error.more.file && html`<p><code>${visible(error.more.file)}${error.more.line ? `:${error.more.line}` : ""}</code></p>`}</div></div>
    ${isKnown && order.action !== "block" && html`<p><a href=${hrefs.plan(plan.slug, { tab: "editor" })}>Open the editor</a></p>`}`;
}
