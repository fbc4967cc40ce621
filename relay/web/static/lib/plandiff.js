// How a plan changes: rules that come, go or say something else.
import { cut, plural, visible } from "./format.js";
import { differs, fieldsOf, placeOf, ruleName } from "./plan.js";
import { Changes } from "./timeline.js";
import { html } from "./ui.js";

/** @typedef {import("./plan.js").Diff} Diff */
/** @typedef {import("./plan.js").Identity} Identity */

const SHOWN = 40;
const FIELDS_SHOWN = 12;

/** In one line. @param {Diff} diff */
export function saidOf(diff) {
  const parts = [
    diff.added.length && `${plural(diff.added.length, "rule")} added`,
    diff.changed.length && `${plural(diff.changed.length, "rule")} changed`,
    diff.removed.length && `${plural(diff.removed.length, "rule")} removed`,
  ].filter(Boolean);
  return parts.join(", ") || "nothing changes";
}

/**
 * `rules`: what is added, in full, so that its fields can be shown; `none`: what to say when nothing changes.
 * @param {{diff: Diff, rules?: any[], none?: any}} props
 */
export function PlanDiff({ diff, rules = [], none = "The rules stay as they are." }) {
  if (!differs(diff)) return html`<p class="muted">${none}</p>`;
  return html`<div class="plan-diff">
    ${diff.added.length > 0 && html`<ul class="plan-diff-list" aria-label="Added">${diff.added.slice(0, SHOWN).map((rule) => html`<${Line} rule=${rule} sign="+" look="come" said="added" fields=${fieldsIn(rule, rules)} />`)}</ul>`}
    ${diff.removed.length > 0 && html`<ul class="plan-diff-list" aria-label="Removed">${diff.removed.slice(0, SHOWN).map((rule) => html`<${Line} rule=${rule} sign="−" look="gone" said="removed" />`)}</ul>`}
    ${diff.changed.slice(0, SHOWN).map((rule) => html`<section class="plan-diff-rule" key=${`${rule.type} ${rule.key} ${rule.version}`}>
      <p><${Name} rule=${rule} /> <span class="muted small">${plural(rule.changes.length, "change")}</span></p>
      <${Changes} changes=${rule.changes.slice(0, SHOWN).map((change) => ({ ...change, path: placeOf(change.path) }))} />
      ${rule.changes.length > SHOWN && html`<p class="muted small">and ${rule.changes.length - SHOWN} more</p>`}
    </section>`)}
    ${[diff.added, diff.removed, diff.changed].some((part) => part.length > SHOWN) && html`<p class="muted small">Only the first ${SHOWN} of each kind are shown.</p>`}
  </div>`;
}

/** @param {{rule: Identity}} props */
function Name({ rule }) {
  return html`<strong class="name">${visible(ruleName(rule))}</strong> ${rule.key && html`<span class="muted small">${rule.type.toLowerCase()}</span>`} ${rule.version !== 1 && html`<span class="muted small">version ${rule.version}</span>`}`;
}

/** What an added rule speaks of; containers are no news. @param {Identity} rule @param {any[]} rules */
function fieldsIn(rule, rules) {
  const found = rules.find((one) => one.type === rule.type && (one.key ?? "") === rule.key && (one.version ?? 1) === rule.version);
  return found ? fieldsOf(found.jsonSchema).filter((field) => field.depth > 0) : [];
}

/** @param {{rule: Identity, sign: string, look: string, said: string, fields?: import("./plan.js").Field[]}} props */
function Line({ rule, sign, look, said, fields = [] }) {
  return html`<li class=${look}><span class="sign" aria-hidden="true">${sign}</span><span class="grow"><${Name} rule=${rule} />
    ${fields.length > 0 && html`<span class="plan-diff-fields">${fields.slice(0, FIELDS_SHOWN).map((field) => html`<span key=${field.path} title=${field.limits.join(", ")}><code class="name">${cut(visible(field.path), 80)}</code> <span class="muted">${[field.type || "any", field.isRequired && "required", ...field.limits.slice(0, 1)].filter(Boolean).join(", ").slice(0, 60)}</span></span>`)}
      ${fields.length > FIELDS_SHOWN && html`<span class="muted">and ${fields.length - FIELDS_SHOWN} more</span>`}</span>`}</span><span class="small">${said}</span></li>`;
}
