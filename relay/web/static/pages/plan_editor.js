// A plan as JSON: written here, checked, tried on stored events, then saved into its file.
import { ApiError, path, put } from "../lib/api.js";
import { visible } from "../lib/format.js";
import { DryRun } from "../lib/dryrun.js";
import { JsonEditor } from "../lib/jsoneditor.js";
import { lineOf, readJson } from "../lib/jsontext.js";
import { copy, toast } from "../lib/kit.js";
import { PlanDiff, saidOf } from "../lib/plandiff.js";
import { textOf } from "../lib/plan.js";
import { may } from "../lib/session.js";
import { html, Icon, signal, useEffect, useMemo, useState } from "../lib/ui.js";

/** @typedef {import("../lib/plan.js").Plan} Plan */
/** @typedef {import("../lib/jsontext.js").Problem} Problem */
/** @typedef {{text: string, base: string}} Draft `base`: what the plan said when the draft began; empty: not known */

const TYPED_MS = 250;
/** What is written and not saved, by plan: it outlives the tab. */
const drafts = signal(/** @type {Record<string, Draft | undefined>} */ ({}));

/** @param {string} slug */
export function draftOf(slug) {
  return drafts.value[slug] ?? null;
}

/** @param {string} slug @param {string | null} text null: none @param {string} [base] */
export function keepDraft(slug, text, base = "") {
  drafts.value = { ...drafts.value, [slug]: text === null ? undefined : { text, base } };
}

/** A value a moment after it has stopped changing. @template T @param {T} value @returns {T} */
function useSettled(value) {
  const [settled, setSettled] = useState(value);
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), TYPED_MS);
    return () => clearTimeout(timer);
  }, [value]);
  return settled;
}

/** The content of a text as the API takes it, and what is wrong with it here already. @param {string} text */
function read(text) {
  const { value, lines, problem } = readJson(text);
  const rules = Array.isArray(value) ? value : value?.rules;
  const shape = problem || Array.isArray(rules) ? null : { message: 'a plan is {"rules": [...]}', line: 1 };
  const found = problem ?? shape;
  return { content: found ? null : { rules }, lines, isBare: Array.isArray(value), problems: /** @type {Problem[]} */ (found ? [found] : []) };
}

/** @param {{plan: Plan, at?: string, onChange: () => void}} props `at`: the place that is shown first, such as "/rules/3" */
export function Editor({ plan, at, onChange }) {
  const saved = useMemo(() => textOf(plan.rules), [plan]);
  const draft = draftOf(plan.slug);
  const text = draft?.text ?? saved;
  const settled = useSettled(text);
  const now = useMemo(() => read(settled), [settled]);
  const [refused, setRefused] = useState(/** @type {{text: string, error: ApiError} | null} */ (null));
  const [checked, setChecked] = useState(/** @type {{text: string, diff: import("../lib/plan.js").Diff, rules: any[]} | null} */ (null));
  const [isTrying, setTrying] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const isDirty = text !== saved;
  const isOutdated = Boolean(draft?.base && draft.base !== saved && isDirty);
  const canWrite = may("admin");
  const first = useMemo(() => (at ? lineOf(now.lines, at) : 1), [at]);
  const error = refused?.text === text ? refused.error : null;
  const problems = now.problems.length ? now.problems : placed(error, now);
  const edit = (/** @type {string} */ next) => keepDraft(plan.slug, next === saved ? null : next, draft?.base || saved);

  /** @param {boolean} isTrial */
  const send = async (isTrial) => {
    const { content } = read(text);
    if (!content || isBusy || !canWrite) return;
    setBusy(true);
    try {
      const told = await put(path("plans", plan.slug), { content, dry_run: isTrial });
      setRefused(null);
      if (isTrial) setChecked({ text, diff: told.diff, rules: content.rules });
      else {
        setChecked(null);
        setTrying(false);
        keepDraft(plan.slug, null);
        toast(`The plan is saved: ${saidOf(told.diff)}`);
        onChange();
      }
    } catch (thrown) {
      setChecked(null);
      setRefused({ text, error: thrown instanceof ApiError ? thrown : new ApiError(0, "bug", String(thrown)) });
    }
    setBusy(false);
  };
  const changes = useMemo(() => (now.content && settled === text ? { plans: { [plan.slug]: now.content } } : null), [now, text]);
  const canSave = canWrite && plan.editable && isDirty && !now.problems.length && !isBusy;
  return html`<div class="stack gap-4">
    ${!plan.editable && html`<div class="notice info"><${Icon} name="info" /><span class="grow">relay may not write <code>${visible(plan.file)}</code>. Try a change here, copy it, and put it into the file; then reload.</span></div>`}
    ${isOutdated && html`<div class="notice warn" role="status"><${Icon} name="warn" /><span class="grow">The plan has changed since you began. Saving would undo what was changed there.</span><button type="button" class="btn small" onClick=${() => keepDraft(plan.slug, null)}>Discard mine</button></div>`}
    <section class="card editor-card"><div class="card-head wrap-head"><h2>${plan.editable && canWrite ? "Edit the plan" : "The plan as JSON"}</h2><span class="muted small">${isDirty ? "not saved yet" : "as it is in use"}</span><span class="row flow">
        ${isDirty && html`<button type="button" class="btn ghost small" onClick=${() => (keepDraft(plan.slug, null), setChecked(null), setRefused(null))}>Discard</button>`}
        <button type="button" class="btn ghost small" disabled=${!now.content} title="Two spaces for each level" onClick=${() => now.content && edit(JSON.stringify(now.content, null, 2))}>Format</button>
        <button type="button" class="btn ghost small" onClick=${() => copy(text, "JSON copied")}><${Icon} name="copy" size=${14} />Copy</button></span></div>
      <${JsonEditor} text=${text} label="The plan as JSON" problems=${problems} line=${first} isReadOnly=${!may("operator")} onInput=${edit} onSave=${() => canSave && send(false)} onCheck=${() => send(true)} />
      ${may("operator") && html`<div class="card-foot row flow editor-foot"><span class="muted small grow">${canWrite ? html`<kbd>Ctrl</kbd> <kbd>Enter</kbd> checks, <kbd>Ctrl</kbd> <kbd>S</kbd> saves` : "Saving a plan needs the role admin."}</span>
        <button type="button" class="btn" aria-expanded=${isTrying} disabled=${!now.content} onClick=${() => setTrying(!isTrying)}><${Icon} name="play" size=${14} />Try on stored events</button>
        ${canWrite && html`<button type="button" class="btn" disabled=${!isDirty || now.problems.length > 0 || isBusy} onClick=${() => send(true)}>Show the changes</button>
        <button type="button" class="btn primary" disabled=${!canSave} onClick=${() => send(false)}><${Icon} name="check" size=${14} />Save</button>`}</div>`}
    </section>
    ${error && !problems.length && html`<${Refusal} error=${error} />`}
    ${checked?.text === text && html`<section class="card" aria-label="What would change"><div class="card-head"><h2>What would change</h2><span class="muted small">${saidOf(checked.diff)}</span></div><div class="card-body"><${PlanDiff} diff=${checked.diff} rules=${checked.rules} /></div></section>`}
    ${isTrying && html`<${DryRun} changes=${changes} />`}
  </div>`;
}

/** The mistakes that relay found, at their lines in this text. @param {ApiError | null} error @param {ReturnType<typeof read>} now @returns {Problem[]} */
function placed(error, now) {
  const told = error?.status === 400 ? (error.more.problems ?? []) : [];
  return told
    .filter((/** @type {any} */ one) => typeof one.at === "string" && one.at.startsWith("/"))
    .map((/** @type {any} */ one) => ({ message: one.message, remedy: one.remedy, line: lineOf(now.lines, now.isBare ? one.at.replace(/^\/rules/, "") : one.at) }));
}

/** What is not about a line of the text: the file cannot be written, or something else in the configuration is wrong. @param {{error: ApiError}} props */
function Refusal({ error }) {
  const { file, line, problems = [] } = error.more;
  return html`<div class="notice bad" role="alert"><${Icon} name="warn" /><div class="grow stack tight"><strong>The plan was not saved</strong><p>${visible(error.message)} <code>${error.code}</code></p>
    ${file && html`<p class="small">at <code>${visible(file)}${line ? `:${line}` : ""}</code></p>`}
    ${problems.map((/** @type {any} */ one, /** @type {number} */ index) => html`<p key=${index} class="small">${visible(one.message)} ${one.file && html`<code>${visible(one.file)}${one.line ? `:${one.line}` : ""}</code>`}</p>`)}</div></div>`;
}
