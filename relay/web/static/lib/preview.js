// What one rule makes of one event, while it is written: the event is picked from the newest ones or pasted.
import { ApiError, post } from "./api.js";
import { plural, time, visible } from "./format.js";
import { pretty } from "./json.js";
import { recentRows } from "./recent.js";
import { hrefs } from "./router.js";
import { Changes } from "./timeline.js";
import { html, Icon, useEffect, useMemo, useState } from "./ui.js";

/** @typedef {{message: string, at: string, remedy?: string}} Problem */
/** @typedef {{inputPayload: Record<string, any>, result: Record<string, any> | null, changes: import("./story.js").Change[], text: string, problems: Problem[]}} Answer */
/** @typedef {{answer: Answer | null, problems: Problem[], error: string, isBusy: boolean}} Tried */

const ASK_MS = 250;
const NEWEST = 40;
const OWN = "own";
const EXAMPLE = { type: "track", event: "Order Completed", userId: "user-1", properties: { revenue: 39.95, currency: "EUR" } };

/**
 * Ask what `rule` does, a moment after the last change of it.
 * @param {{source: string} | {destination: string}} owner @param {"filter" | "transformation"} kind @param {Record<string, any> | null} rule null: it cannot be read
 * @param {{event_id: string} | {payload: unknown} | null} on null: no event is chosen @returns {Tried}
 */
export function usePreview(owner, kind, rule, on) {
  const [tried, setTried] = useState(/** @type {Tried} */ ({ answer: null, problems: [], error: "", isBusy: false }));
  const question = rule && on ? JSON.stringify({ ...owner, [kind]: { ...rule, enabled: undefined }, ...on }) : "";
  useEffect(() => {
    if (!question) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      setTried((old) => ({ ...old, isBusy: true }));
      post("preview", JSON.parse(question), { signal: abort.signal }).then(
        (answer) => setTried({ answer, problems: answer.problems, error: "", isBusy: false }),
        (thrown) => abort.signal.aborted || setTried({ answer: null, isBusy: false, ...refusal(thrown) }),
      );
    }, ASK_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [question]);
  return tried;
}

/** @param {unknown} thrown */
function refusal(thrown) {
  /** @type {Problem[]} */
  const told = thrown instanceof ApiError ? (thrown.more.problems ?? []) : [];
  const problems = told.map((each) => ({ ...each, message: each.message.replace(/^preview, \w+ \d+: /, "") }));
  return { problems, error: problems.length ? "" : /** @type {Error} */ (thrown).message };
}

/**
 * Which event to try on: one of the newest of `sources`, or one's own. `hint`: a text that may name an event; that one is chosen first.
 * @param {{sources: string[], hint: string, onChange: (on: {event_id: string} | {payload: unknown} | null) => void}} props
 */
export function EventPicker({ sources, hint, onChange }) {
  const [rows, setRows] = useState(/** @type {import("./live.js").Row[] | null} */ (null));
  const [chosen, setChosen] = useState("");
  const [text, setText] = useState(() => JSON.stringify(EXAMPLE, null, 2));
  const key = sources.join(",");
  // What a person has chosen meanwhile stays chosen.
  const look = () => void recentRows([{ f: "source", op: "in", v: sources }, { f: "verdict", op: "in", v: ["accepted", "blocked"] }], NEWEST).then((found) => (setRows(found), setChosen((now) => now || (likely(found, hint)?.event_id ?? OWN))));
  useEffect(look, [key]);
  const own = useMemo(() => parsed(text), [text]);
  useEffect(() => onChange(chosen === OWN ? (own.value === undefined ? null : { payload: own.value }) : chosen ? { event_id: chosen } : null), [chosen, own]);
  return html`<div class="stack near">
    <div class="row"><label class="strong nowrap" for="try-on">Try on</label>
      <select id="try-on" class="select grow" value=${chosen} onChange=${(/** @type {any} */ event) => setChosen(event.target.value)}>
        ${(rows ?? []).map((row) => html`<option key=${row.event_id} value=${row.event_id}>${`${row.name ? `${visible(row.name)} · ` : ""}${row.type} · ${visible(row.user_id || row.anonymous_id || "–")} · ${time(new Date(row.at).getTime() / 1000)}`}</option>`)}
        <option value=${OWN}>An event of my own…</option></select>
      <button type="button" class="btn icon" title="Look for newer events" aria-label="Look for newer events" onClick=${() => (setChosen(""), look())}><${Icon} name="refresh" /></button>
      ${chosen && chosen !== OWN && html`<a class="btn" href=${hrefs.event(chosen)}>Open</a>`}</div>
    ${chosen === OWN &&
    html`<textarea class="input mono rule-text" rows="8" spellcheck=${false} aria-label="The event as JSON" aria-invalid=${own.mistake ? "true" : undefined} value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)}></textarea>
      ${own.mistake && html`<p class="field-error" role="alert">${own.mistake}</p>`}
      ${rows?.length === 0 && html`<p class="hint">No event of ${sources.length === 1 ? "this source" : "these sources"} is kept yet, so here is an example.</p>`}`}
  </div>`;
}

/** The newest event that a condition names, else of a type that it names. @param {import("./live.js").Row[]} rows @param {string} hint */
function likely(rows, hint) {
  return rows.find((row) => row.name && hint.includes(row.name)) ?? rows.find((row) => /["']/.test(hint) && hint.includes(row.type)) ?? rows[0];
}

/** @param {string} text @returns {{value?: any, mistake: string}} `value` is undefined when it is no JSON */
export function parsed(text) {
  try {
    return { value: JSON.parse(text), mistake: "" };
  } catch (error) {
    return { mistake: `This is no JSON: ${/** @type {Error} */ (error).message}` };
  }
}

/** @param {{tried: Tried, where: string}} props `where`: what does not get a dropped event */
export function PreviewResult({ tried, where }) {
  const { answer, error } = tried;
  if (error) return html`<div class="notice bad" role="alert"><${Icon} name="warn" /><span class="grow">${visible(error)}</span></div>`;
  if (!answer) return html`<p class="muted">${tried.problems.length ? "Correct the rule to see what it does." : "Choose an event to see what the rule makes of it."}</p>`;
  const { changes, result, text } = answer;
  return html`<div class="stack ${tried.isBusy ? "stale" : ""}" role="status" aria-live="polite">
    ${result === null
      ? html`<div class="notice warn"><${Icon} name="close" /><div class="grow"><strong>Dropped.</strong> ${where} would not get this event. ${text && html`<p class="muted small mono wrap">${visible(text)}</p>`}</div></div>`
      : changes.length
        ? html`<div class="notice info"><${Icon} name="check" /><div class="grow"><strong>${plural(changes.length, "field")} changed.</strong></div></div>`
        : text
          ? html`<div class="notice info"><${Icon} name="check" /><div class="grow"><strong>It holds, and changes nothing.</strong><p class="muted small mono wrap">${visible(text)}</p></div></div>`
          : html`<div class="notice"><${Icon} name="right" /><div class="grow"><strong>Passed as it is.</strong> <span class="muted">The condition does not hold for this event.</span></div></div>`}
    ${changes.length > 0 && html`<${Changes} changes=${changes} />`}
    <details class="more"><summary>${changes.length ? "The whole event afterwards" : "The whole event"}</summary><pre class="code event-json" tabindex="0">${pretty(result ?? answer.inputPayload)}</pre></details>
  </div>`;
}
