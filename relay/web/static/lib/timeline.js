// The way of one event: the stages on the source side, then one branch per destination with its attempts and the reason in a sentence.
import { countdown, cut, ms, time, visible } from "./format.js";
import { CopyButton, Pill, Time } from "./kit.js";
import { hrefs } from "./router.js";
import { may, nowS } from "./session.js";
import { atTime, changesOf, giveUp, retryNow, since, titleOf } from "./story.js";
import { wire } from "./wire.js";
import { html, Icon, State, STATES, useEffect, useState } from "./ui.js";

/** @typedef {import("./story.js").Story} Story */
/** @typedef {import("./story.js").Stage} Stage */
/** @typedef {import("./story.js").Delivery} Delivery */

/** @type {Record<string, {tone: string, icon: string}>} */
const OUTCOMES = {
  passed: { tone: "ok", icon: "check" },
  matched: { tone: "ok", icon: "check" },
  mapped: { tone: "ok", icon: "check" },
  changed: { tone: "info", icon: "refresh" },
  skipped: { tone: "off", icon: "right" },
  dropped: { tone: "warn", icon: "close" },
  refused: { tone: "bad", icon: "close" },
};
/** Where relay notes how an event breaks its plan: the text of the stage says it already. */
const NOTES = "context.protocols";
const CAN_RETRY = ["dead", "retry"];

/** @param {{story: Story, onChange?: () => void}} props `onChange`: after an order of a person */
export function Timeline({ story, onChange }) {
  const apart = story.destinations.filter((to) => to.state === "skipped");
  const left = story.destinations.filter((to) => to.state === "filtered");
  const taken = story.destinations.filter((to) => !apart.includes(to) && !left.includes(to));
  return html`<div class="way">
    <ol class="way-stages">
      <li class="way-stage">
        <span class="way-at num"><${Time} at_s=${story.received_ms / 1000} text=${time(story.received_ms / 1000)} /></span>
        <span class="way-dot tone-accent"><${Icon} name="sources" size=${12} /></span>
        <div class="way-text"><strong>received</strong> <span class="muted">${from(story)}</span></div>
      </li>
      ${story.stages.filter((stage) => stage.stage !== "received").map((stage, index) => html`<${Step} key=${index} story=${story} stage=${stage} />`)}
      ${story.verdict !== "accepted" &&
      html`<li class="way-stage"><span class="way-at"></span><span class="way-dot ${STATES[story.verdict]?.tone ?? "off"}"><${Icon} name="close" size=${12} /></span>
        <div class="way-text"><${State} state=${story.verdict} />
        ${!story.stages.some((stage) => stage.code === story.code) && html`${story.code && html` <code>${story.code}</code>`}<p class="muted">${story.meaning}</p>`}
        ${story.advice && html`<p>${visible(story.advice)}</p>`}
        ${story.original_event_id && html`<p><a href=${hrefs.event(story.original_event_id)}>The first of this message</a></p>`}</div></li>`}
    </ol>
    ${[...taken, ...left].map((to) => html`<${Branch} key=${to.slug} story=${story} to=${to} onChange=${onChange} />`)}
    ${apart.length > 0 && html`<p class="way-apart muted small">Not connected to ${visible(story.source.name)}: ${apart.map((to) => visible(to.name)).join(", ")}</p>`}
  </div>`;
}

/** @param {Story} story */
function from(story) {
  const { ip, library } = story.sent_from ?? { ip: null, library: null };
  return [story.source.name, ip, library, `${story.bytes.toLocaleString()} B`].filter(Boolean).map((each) => cut(visible(each), 120)).join(" · ");
}

/** @param {{story: Story, stage: Stage}} props */
function Step({ story, stage }) {
  const look = OUTCOMES[stage.outcome] ?? OUTCOMES.passed;
  const changes = (stage.changes ?? []).filter((each) => !each.path.startsWith(NOTES));
  return html`<li class="way-stage">
    <span class="way-at num" title=${atTime(stage.at_ms)}>${since(story, stage.at_ms)}</span>
    <span class="way-dot tone-${look.tone}"><${Icon} name=${look.icon} size=${12} /></span>
    <div class="way-text">
      <strong>${stage.stage.replaceAll("_", " ")}</strong> <span class=${stage.outcome === "passed" ? "muted" : `tone-${look.tone}`}>${stage.outcome}</span>
      ${stage.code && html` <code title=${stage.meaning ?? ""}>${stage.code}</code>`}
      ${(stage.text || (stage.code && stage.meaning)) && html`<p class="muted wrap">${visible(stage.text ?? stage.meaning ?? "")}</p>`}
      ${changes.length > 0 && html`<${Changes} changes=${changes} />`}
    </div>
  </li>`;
}

/** Fields before and after. @param {{changes: import("./story.js").Change[]}} props */
export function Changes({ changes }) {
  const value = (/** @type {unknown} */ each) => (each === undefined || each === null ? html`<span class="muted">–</span>` : cut(visible(typeof each === "string" ? each : JSON.stringify(each)), 300));
  return html`<table class="diff"><thead class="sr-only"><tr><th>Field</th><th>Before</th><th>After</th></tr></thead><tbody>
    ${changes.map((each, index) => html`<tr key=${index}><th scope="row" class="mono">${visible(each.path)}</th><td class="mono gone">${value(each.before)}</td><td class="mono come">${value(each.after)}</td></tr>`)}
  </tbody></table>`;
}

/** @param {{story: Story, to: Delivery, onChange?: () => void}} props */
function Branch({ story, to, onChange }) {
  const tone = STATES[to.state]?.tone ?? "off";
  const loud = to.stages.filter((stage) => stage.outcome === "dropped" || stage.outcome === "refused");
  const changed = changesOf(to.stages);
  const quiet = to.stages.filter((stage) => !loud.includes(stage));
  return html`<section class="branch edge-${tone}" aria-label=${to.name}>
    <div class="branch-head">
      <a class="strong" href=${hrefs.destination(to.slug)}>${visible(to.name)}</a><span class="muted small">${to.type}</span>
      <span class="grow"></span><${State} state=${to.state} />
    </div>
    ${quiet.length > 0 && html`<p class="branch-chain">${quiet.map((stage, index) => html`<${Link} key=${index} stage=${stage} />`)}</p>`}
    ${loud.map((stage, index) => html`<p key=${index} class="branch-drop"><span class="strong">${stage.stage.replaceAll("_", " ")}</span> ${stage.code && html`<code>${stage.code}</code>`} <span class="muted">${visible(stage.text ?? stage.meaning ?? "")}</span></p>`)}
    ${changed.length > 0 && html`<details class="more"><summary>What changed for ${visible(to.name)}</summary><${Changes} changes=${changed} /></details>`}
    <${Attempts} story=${story} to=${to} />
    ${(to.why || to.advice) && html`<div class="branch-why">
      ${to.why && html`<p><span class="muted">why: </span>${visible(to.why)}</p>`}${to.advice && html`<p class="muted">${visible(to.advice)}</p>`}
    </div>`}
    <${Orders} story=${story} to=${to} onChange=${onChange} />
    ${(to.planned ?? []).map((planned, index) => html`<${Request} key=${index} planned=${planned} />`)}
  </section>`;
}

/** One stage of a chain; only what is not simply passed says what it did. @param {{stage: Stage}} props */
export function Link({ stage }) {
  const { tone, icon } = OUTCOMES[stage.outcome] ?? OUTCOMES.passed;
  return html`<span class="link-stage" title=${[stage.outcome, stage.text || stage.meaning].filter(Boolean).join(": ")}>
    <span class="tone-${tone}"><${Icon} name=${icon} size=${12} /></span>${stage.stage.replaceAll("_", " ")}${tone !== "ok" && html` <span class="tone-${tone}">${stage.outcome}</span>`}<span class="sr-only"> ${stage.outcome}</span></span>`;
}

/** @param {{story: Story, to: Delivery}} props */
function Attempts({ to }) {
  const [, tick] = useState(0);
  const row = to.rows.find((each) => each.due_s !== null);
  const isWaiting = to.next_s !== null && to.state === "retry";
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setInterval(() => tick((old) => old + 1), 1000);
    return () => clearInterval(timer);
  }, [isWaiting]);
  const left = (to.next_s ?? 0) - nowS();
  const next = Math.max(0, ...to.attempts.map((each) => each.attempt)) + 1;
  const detail = to.rows.find((each) => each.detail)?.detail;
  if (!to.attempts.length && !isWaiting) return null;
  return html`<table class="attempts"><thead class="sr-only"><tr><th>Attempt</th><th>Time</th><th>Answer</th><th>Duration</th><th>Result</th></tr></thead><tbody>
      ${to.attempts.map(
        (each, index) => html`<tr key=${index}><td>attempt ${each.attempt}${each.job && html` <${Pill} title="By the replay ${each.job}">replay</${Pill}>`}</td><td class="num"><${Time} at_s=${each.at_s} text=${time(each.at_s)} /></td>
          <td class="num">${each.status ? html`<span class=${each.status < 400 ? "tone-ok" : "tone-bad"}>${each.status}</span>` : ""} ${each.code && each.code !== String(each.status) && each.code !== each.result && html`<code>${each.code}</code>`}</td>
          <td class="num muted">${each.duration_ms === null ? "" : ms(each.duration_ms)}</td><td><${State} state=${each.result} /></td></tr>`,
      )}
      ${isWaiting && html`<tr><td>attempt ${next}</td><td colspan="4" class="tone-warn">${left > 0 ? html`in <span class="num strong">${countdown(left)}</span>` : "now"}${row?.until_s && html`<span class="muted">, tried until ${time(row.until_s)}</span>`}</td></tr>`}
    </tbody></table>
    ${detail && html`<${Exchange} detail=${detail} />`}`;
}

/** The last request and what came back. @param {{detail: {request?: any, response?: any}}} props */
function Exchange({ detail }) {
  return html`${detail.request && html`<details class="more"><summary>Last request</summary><${Block} value=${detail.request} /></details>`}
    ${detail.response && html`<details class="more"><summary>Last response</summary><${Block} value=${detail.response} /></details>`}`;
}

/** @param {{value: unknown}} props */
function Block({ value }) {
  const text = wire(value);
  return html`<div class="code-box"><pre class="code" tabindex="0">${text}</pre><${CopyButton} text=${text} /></div>`;
}

/** The request as it would be sent. @param {{planned: import("./story.js").Planned}} props */
export function Request({ planned }) {
  const name = planned.subscription && html`<span class="strong">${visible(planned.subscription)}</span>`;
  if (planned.problem) return html`<p class="branch-drop"><${Icon} name="warn" size=${14} /> ${name} <span class="muted">${visible(planned.problem)}</span></p>`;
  if (!planned.method) return html`<p class="small muted">${name || "It"} is written without a request of its own.</p>`;
  return html`<details class="more"><summary>Request ${name && html`of ${name}`} <span class="mono muted">${planned.method} ${cut(visible(planned.url ?? ""), 90)}</span></summary><${Block} value=${planned} /></details>`;
}

/** @param {{story: Story, to: Delivery, onChange?: () => void}} props */
function Orders({ story, to, onChange }) {
  const [isBusy, setBusy] = useState(false);
  if (!CAN_RETRY.includes(to.state) || !may("operator")) return null;
  const act = async (/** @type {typeof retryNow} */ order) => {
    setBusy(true);
    await order(story.event_id, to, onChange);
    setBusy(false);
  };
  return html`<div class="row">
    <button type="button" class="btn small" disabled=${isBusy} onClick=${() => act(retryNow)} title="Send ${titleOf(story)} to ${to.name} now"><${Icon} name="refresh" size=${14} />Retry now</button>
    <button type="button" class="btn small danger" disabled=${isBusy} onClick=${() => act(giveUp)}>Give up</button>
  </div>`;
}
