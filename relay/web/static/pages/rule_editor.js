// Try a change: a filter or a transformation while it is written, on one event and then on everything stored. Files own the rules, so it is copied, not saved.
import { DryRun } from "../lib/dryrun.js";
import { visible } from "../lib/format.js";
import { copy, Menu } from "../lib/kit.js";
import { EventPicker, parsed, PreviewResult, usePreview } from "../lib/preview.js";
import { STARTS } from "../lib/ruletext.js";
import { tomlTable } from "../lib/toml.js";
import { html, Icon, useMemo, useState } from "../lib/ui.js";

/** @typedef {import("./rules.js").Told} Told */
/** @typedef {import("./rules.js").Owner} Owner */
/** @typedef {import("../lib/preview.js").Problem} Problem */

const HEADS = { filter: "title", transformation: "name" };

/**
 * @param {{owner: Owner, kind: "filter" | "transformation", told: Told | null, onClose: () => void}} props `told`: the rule that is changed; null: a new one
 */
export function RuleEditor({ owner, kind, told, onClose }) {
  const head = HEADS[kind];
  const [start] = useState(() => startOf(kind, told));
  const [name, setName] = useState(start.name);
  const [condition, setCondition] = useState(start.condition);
  const [isEnabled, setEnabled] = useState(start.isEnabled);
  const [text, setText] = useState(start.text);
  const [on, setOn] = useState(/** @type {any} */ (null));

  const deeds = useMemo(() => read(kind, text), [kind, text]);
  const rule = useMemo(() => (deeds.mistake ? null : { [head]: name || undefined, if: condition, ...(isEnabled ? {} : { enabled: false }), ...deeds.value }), [name, condition, isEnabled, deeds]);
  const asked = { [owner.noun]: owner.slug };
  const tried = usePreview(/** @type {any} */ (asked), kind, rule, on);
  const ofCondition = tried.problems.filter((each) => each.at === "if");
  const ofName = tried.problems.filter((each) => each.at === head);
  const others = tried.problems.filter((each) => each.at !== "if" && each.at !== head);
  const changes = useMemo(() => (rule && !tried.problems.length ? changesWith(owner, kind, told, rule) : null), [rule, owner, tried.problems.length]);
  const file = rule ? tomlTable(`${owner.noun}.${kind}`, rule) : "";
  const add = (/** @type {any} */ value) => setText(added(kind, text, value));

  return html`<div class="stack gap-4">
    <div class="row between"><h2>${told ? `Try a change of ${kind} ${Number(told.id) + 1}` : `Try a new ${kind}`}</h2><button type="button" class="btn" onClick=${onClose}>Back to the rules</button></div>
    <div class="cols-2 rule-cols">
      <section class="card"><div class="card-head"><h2>The rule</h2><label class="check small"><input type="checkbox" checked=${isEnabled} onChange=${(/** @type {any} */ event) => setEnabled(event.target.checked)} />On</label></div>
        <div class="card-body stack gap-4">
          <div class="field"><label for="rule-name">${kind === "filter" ? "Title" : "Name"} <span class="muted">(optional)</span></label>
            <input id="rule-name" class="input" value=${name} autocomplete="off" onInput=${(/** @type {any} */ event) => setName(event.target.value)} /><${Mistakes} problems=${ofName} /></div>
          <div class="field"><label for="rule-if">When</label>
            <textarea id="rule-if" class="input mono rule-text" rows="2" spellcheck=${false} aria-invalid=${ofCondition.length ? "true" : undefined} aria-describedby="rule-if-help" value=${condition} onInput=${(/** @type {any} */ event) => setCondition(event.target.value)}></textarea>
            <${Mistakes} problems=${ofCondition} /><p class="hint" id="rule-if-help">Such as <code>event = 'Order Completed' and properties.total ${">"} 0</code>, or <code>all</code>.</p></div>
          <div class="field"><div class="row between"><label for="rule-does">What it does</label>
              <${Menu} class="btn small" label=${html`<${Icon} name="plus" size=${14} />Add`} items=${STARTS[kind].map((each) => ({ label: each.label, act: () => add(each.value) }))} /></div>
            <textarea id="rule-does" class="input mono rule-text" rows=${Math.min(20, Math.max(6, text.split("\n").length + 1))} spellcheck=${false} aria-invalid=${deeds.mistake || others.length ? "true" : undefined} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
            ${deeds.mistake && html`<p class="field-error" role="alert">${deeds.mistake}</p>`}<${Mistakes} problems=${others} isPlaced=${true} /></div>
        </div></section>
      <section class="card"><div class="card-head"><h2>What it makes of an event</h2><span class="muted small">this rule alone</span></div>
        <div class="card-body stack gap-4"><${EventPicker} sources=${owner.sources} hint=${condition} onChange=${setOn} /><${PreviewResult} tried=${tried} where=${owner.noun === "source" ? "No destination" : owner.name} /></div></section>
    </div>
    <${DryRun} changes=${changes} destination=${owner.noun === "destination" ? owner.slug : ""} />
    <section class="card"><div class="card-head"><h2>Keep it</h2><button type="button" class="btn" disabled=${!changes} onClick=${() => copy(file, "Copied as TOML")}><${Icon} name="copy" size=${14} />Copy as TOML</button></div>
      <div class="card-body stack"><p class="muted">The configuration owns the rules: ${told?.place ? html`put this in the place of what stands at <code>${visible(`${told.place.file}:${told.place.line}`)}</code>` : html`put this below the table of <strong>${visible(owner.slug)}</strong>${owner.origin ? html` at <code>${visible(`${owner.origin.file}:${owner.origin.line}`)}</code>` : ""}`}, then <code>relay reload</code>.</p>
        ${file && html`<pre class="code" tabindex="0">${file}</pre>`}${/•••/.test(file) && html`<p class="muted small">A secret is never shown; leave its line as it stands in the file.</p>`}</div></section>
  </div>`;
}

/** @param {{problems: Problem[], isPlaced?: boolean}} props */
function Mistakes({ problems, isPlaced = false }) {
  return problems.map((each, index) => html`<p key=${index} class="field-error" role="alert">${isPlaced && each.at && html`<code>${visible(each.at)}</code> `}${visible(each.message)}${each.remedy && html`<span class="muted"> · ${visible(each.remedy)}</span>`}</p>`);
}

/** What stands in the fields at first. @param {"filter" | "transformation"} kind @param {Told | null} told */
function startOf(kind, told) {
  if (!told) return { name: "", condition: 'type = "track"', isEnabled: true, text: written(kind === "filter" ? [STARTS.filter[0].value] : STARTS.transformation[0].value) };
  const { title, name, if: condition, enabled = true, ...rest } = told.rule;
  return { name: title ?? name ?? "", condition: condition ?? "", isEnabled: enabled, text: written(kind === "filter" ? rest.actions : rest) };
}

/** Lists of plain values on one line. @param {unknown} value */
function written(value) {
  return JSON.stringify(value, null, 2).replace(/\[\n\s+([^[\]{}]*?)\n\s+\]/g, (_, inner) => `[${inner.replace(/\n\s+/g, " ")}]`);
}

/** What the text says, as keys of a rule. @param {"filter" | "transformation"} kind @param {string} text @returns {{value: Record<string, any>, mistake: string}} */
function read(kind, text) {
  const { value, mistake } = parsed(text);
  if (mistake) return { value: {}, mistake };
  if (kind === "filter") return Array.isArray(value) ? { value: { actions: value }, mistake: "" } : { value: {}, mistake: "This must be a list of actions: [ { \"type\": \"DROP\" } ]" };
  return value && typeof value === "object" && !Array.isArray(value) ? { value, mistake: "" } : { value: {}, mistake: 'This must be an object: { "newEventName": "Order Completed" }' };
}

/** The text with one more deed; what cannot be read is replaced. @param {"filter" | "transformation"} kind @param {string} text @param {any} value */
function added(kind, text, value) {
  const now = read(kind, text);
  if (kind === "filter") return written([...(now.mistake ? [] : now.value.actions), value]);
  return written({ ...now.value, ...value });
}

/**
 * All rules of the owner with this one in its place. Numbers go along, so that what is never shown is found again.
 * @param {Owner} owner @param {"filter" | "transformation"} kind @param {Told | null} told @param {Record<string, any>} rule
 */
function changesWith(owner, kind, told, rule) {
  const before = owner[kind === "filter" ? "filters" : "transformations"];
  const rules = before.map((each) => ({ ...(each.id === told?.id ? rule : each.rule), id: each.id }));
  return { [`${owner.noun}s`]: { [owner.slug]: { [kind]: told ? rules : [...rules, rule] } } };
}
