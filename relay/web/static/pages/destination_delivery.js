// The tab "Delivery": the funnel with its reasons, the charts, and what fails with samples of request and answer.
import { path } from "../lib/api.js";
import { Chart, Legend } from "../lib/chart.js";
import { compact, count, ms, percent, PERIODS, time, visible } from "../lib/format.js";
import { CopyButton, Empty, ErrorBox, Pill, Skeleton, Time } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { wire } from "../lib/wire.js";
import { html, Icon, useMemo, useRef, useState } from "../lib/ui.js";

/** @typedef {import("./destination.js").Detail} Detail */
/** @typedef {import("./destination.js").Trouble} Trouble */
/** @typedef {{event_id: string, message_id: string, at_s: number, attempt: number, result?: string, status: number | null, code: string, duration_ms: number | null, request: any, response: any}} Sample */

/** Segment's names of the stages, in the order of the way. `codes`: under which name the reasons come. */
const STAGES = /** @type {const} */ ([
  { id: "received", label: "Received", long: "Successfully received", tone: "accent", codes: "", text: "Entries that came for this destination and left in the period, and those that wait now." },
  { id: "failed_on_ingest", label: "Failed on ingest", long: "Failed on ingest", tone: "bad", codes: "failed_on_ingest", text: "Messages of its sources that were refused at the door; they never became entries." },
  { id: "filtered_at_source", label: "Filtered at source", long: "Filtered at source", tone: "warn", codes: "filtered_at_source", text: "Stopped on the source side, by a plan or a schema." },
  { id: "filtered_at_destination", label: "Filtered at destination", long: "Filtered at destination", tone: "off", codes: "filtered_at_destination", text: "Left out by a trigger, a mapping, or the event's own integrations object." },
  { id: "pending", label: "Pending retry", long: "Pending retry", tone: "info", codes: "retry", text: "Waiting now, for their turn or for the next attempt. A gauge, not a count of the period." },
  { id: "failed", label: "Failed delivery", long: "Failed delivery", tone: "bad", codes: "failed", text: "Given up, or expired while waiting." },
  { id: "delivered", label: "Delivered", long: "Successful delivery", tone: "ok", codes: "delivered", text: "Accepted by the receiver." },
]);
const STATE_TONES = /** @type {Record<string, "warn" | "bad" | "off" | "info">} */ ({ retrying: "warn", held: "bad", dead: "bad", expired: "bad", over: "off" });

/** @param {{to: Detail, query: Record<string, string>}} props */
export function Delivery({ to, query }) {
  return html`<div class="stack gap-4">
    <${FunnelCard} to=${to} stage=${query.stage ?? ""} />
    <div class="cols-2"><${Outcomes} to=${to} /><${Latency} to=${to} /></div>
    <${Errors} to=${to} code=${query.code ?? ""} />
  </div>`;
}

/** @param {{to: Detail, stage: string}} props */
function FunnelCard({ to, stage }) {
  const { funnel } = to;
  const open = STAGES.find((each) => each.id === stage && each.codes);
  const codes = open ? (funnel.by_code[open.codes] ?? []) : [];
  const parts = STAGES.filter((each) => !["received", "failed_on_ingest"].includes(each.id) && funnel[each.id] > 0);
  return html`<section class="card" aria-label="Delivery funnel">
    <div class="card-head"><h2>Funnel</h2><span class="muted small">choose a stage to see its reasons</span></div>
    <div class="funnel">${STAGES.map((each) => {
      const value = funnel[each.id];
      const share = each.id === "failed_on_ingest" || !funnel.received ? null : value / funnel.received;
      const inner = html`<span class="funnel-label">${each.label}</span><span class="funnel-value num ${value && each.tone !== "off" && each.tone !== "accent" ? `tone-${each.tone}` : ""}">${compact(value)}</span>
        <span class="funnel-share num">${share === null ? (each.id === "failed_on_ingest" ? "at the door" : "–") : each.id === "received" ? "entries" : percent(share)}${each.id === "pending" && funnel.retry ? `, ${compact(funnel.retry)} retrying` : ""}</span>`;
      return each.codes
        ? html`<button key=${each.id} type="button" class="funnel-stage ${each.tone}" title="${each.long}: ${count(value)}" aria-expanded=${each.id === stage} onClick=${() => setQuery({ stage: each.id === stage ? null : each.id })}>${inner}</button>`
        : html`<div key=${each.id} class="funnel-stage ${each.tone}" title="${each.long}: ${count(value)}">${inner}</div>`;
    })}</div>
    ${parts.length > 0 && html`<div class="funnel-bar"><div class="bar" role="img" aria-label=${parts.map((each) => `${each.long} ${percent(funnel[each.id] / funnel.received)}`).join(", ")}>${parts.map((each) => html`<span key=${each.id} class="bar-part ${each.tone}" style=${{ flex: `${funnel[each.id]} 0 0` }}></span>`)}</div></div>`}
    ${open &&
    html`<div class="funnel-open" aria-live="polite"><p class="muted small">${open.long}: ${open.text}</p>
      ${codes.length ? html`<${Codes} codes=${codes} tone=${open.tone} slug=${to.slug} stage=${open.id} />` : html`<p class="muted">${funnel[open.id] ? "No reason is kept for these." : "Nothing in this period."}</p>`}</div>`}
  </section>`;
}

/** @param {{codes: import("./destination.js").Coded[], tone: string, slug: string, stage: string}} props */
function Codes({ codes, tone, slug, stage }) {
  const most = Math.max(...codes.map((each) => each.count));
  const canSample = stage === "failed" || stage === "pending" || stage === "filtered_at_destination";
  return html`<table class="table codes"><thead class="sr-only"><tr><th>Code</th><th>Meaning</th><th>Share</th><th>Count</th><th>Open</th></tr></thead><tbody>${codes.map(
    (each) => html`<tr key=${each.code}><td class="tight"><code>${visible(each.code)}</code></td><td class="wrap">${visible(each.meaning)}</td>
      <td class="codes-bar"><span class="bar"><span class="bar-part ${tone}" style=${{ width: `${Math.max(2, (each.count / most) * 100)}%` }}></span></span></td><td class="num strong">${count(each.count)}</td>
      <td class="tight">${canSample && html`<button type="button" class="btn small" onClick=${() => setQuery({ code: each.code })}>Samples</button>`}</td></tr>`,
  )}</tbody></table>`;
}

/** @param {number} sum @param {number[]} point @param {number} index */
const add = (sum, point, index) => sum + (point[index] ?? 0);

/** @param {{to: Detail}} props */
function Outcomes({ to }) {
  const { series } = to;
  const last = series.at(-1)?.join() ?? "";
  const times = useMemo(() => series.map((point) => point[0]), [last, to.period, series.length]);
  const values = useMemo(() => [1, 3, 2].map((at) => series.map((point) => point[at] ?? 0)), [series]);
  const [delivered, failed, retried] = [1, 2, 3].map((at) => series.reduce((sum, point) => add(sum, point, at), 0));
  return html`<section class="card"><div class="card-head"><h2>Outcomes</h2><${Legend} items=${[
      { label: "delivered", tone: "accent", value: compact(delivered) },
      { label: "retrying", tone: "warn", value: compact(retried), title: "Attempts that failed and were put back" },
      { label: "failed", tone: "bad", value: compact(failed), title: "Given up or expired" },
    ]} /></div>
    <div class="chart-pad"><${Chart} kind="bars" times=${times} format=${count} axisFormat=${compact} label=${`Outcomes in the ${PERIODS[to.period]}: ${count(delivered)} delivered, ${count(retried)} attempts to be retried, ${count(failed)} failed.`}
      lines=${useMemo(() => [{ label: "delivered", tone: "accent", values: values[0] }, { label: "retrying", tone: "warn", values: values[1] }, { label: "failed", tone: "bad", values: values[2] }], [values])} /></div></section>`;
}

/** @param {{to: Detail}} props */
function Latency({ to }) {
  const { latency } = to;
  const last = latency.at(-1)?.join() ?? "";
  const times = useMemo(() => latency.map((point) => point[0] ?? 0), [last, to.period, latency.length]);
  const drawn = useMemo(() => [
    { label: "p50", tone: "ok", values: latency.map((point) => point[1]) },
    { label: "p95", tone: "accent", values: latency.map((point) => point[2]) },
    { label: "p99", tone: "off", dash: [4, 3], values: latency.map((point) => point[3] ?? null) },
  ], [latency]);
  return html`<section class="card"><div class="card-head"><h2>Latency</h2><${Legend} items=${[
      { label: "p50", tone: "ok", value: ms(to.p50_ms) },
      { label: "p95", tone: "accent", value: ms(to.p95_ms) },
      { label: "p99", tone: "off", value: ms(to.p99_ms) },
    ]} /></div>
    <div class="chart-pad"><${Chart} kind="lines" times=${times} lines=${drawn} format=${ms} label=${`Time from receipt to delivery in the ${PERIODS[to.period]}: half within ${ms(to.p50_ms)}, 95 % within ${ms(to.p95_ms)}, 99 % within ${ms(to.p99_ms)}.`} /></div></section>`;
}

/** In an order that stays while somebody reads. @param {Trouble[]} errors */
function byCount(errors) {
  return [...errors].sort((one, other) => other.count - one.count || one.code.localeCompare(other.code));
}

/** @param {{to: Detail, code: string}} props */
function Errors({ to, code }) {
  const isOther = code !== "" && !to.errors.some((each) => each.code === code);
  return html`<section class="card" aria-label="Errors"><div class="card-head"><h2>Errors</h2>${to.errors.length > 0 && html`<span class="count">${to.errors.length}</span>`}</div>
    ${to.errors.length === 0 && !isOther && html`<${Empty} icon="check" title="Nothing failed in this period"><p>When an attempt fails, it is shown here by its code, with samples of what was sent and what came back.</p></${Empty}>`}
    ${to.errors.length > 0 &&
    html`<div class="table-wrap"><table class="table errors"><thead><tr><th class="tight"><span class="sr-only">Open</span></th><th>Error</th><th>State</th><th class="num">Attempts</th><th class="num">First</th><th class="num">Last</th></tr></thead>
      <tbody>${byCount(to.errors).map((each) => html`<${ErrorRows} key=${each.code} to=${to} trouble=${each} isOpen=${each.code === code} />`)}</tbody></table></div>`}
    ${isOther && html`<div class="card-body stack"><div class="row"><strong>Samples of <code>${visible(code)}</code></strong><span class="grow"></span><button type="button" class="btn small" onClick=${() => setQuery({ code: null })}>Close</button></div><${Samples} slug=${to.slug} code=${code} /></div>`}
  </section>`;
}

/** @param {{to: Detail, trouble: Trouble, isOpen: boolean}} props */
function ErrorRows({ to, trouble, isOpen }) {
  const toggle = () => setQuery({ code: isOpen ? null : trouble.code });
  const go = (/** @type {any} */ event) => !event.target.closest("a, button") && toggle();
  const name = trouble.status && String(trouble.status) !== trouble.code ? `HTTP ${trouble.status} ${trouble.code}` : trouble.status ? `HTTP ${trouble.status}` : trouble.code;
  return [
    html`<tr key="row" class="click ${isOpen ? "is-open" : ""}" onClick=${go}>
      <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Samples of ${name}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td>
      <td class="lead"><span class="mono strong">${visible(name)}</span> <span class="muted">${visible(trouble.meaning)}</span></td>
      <td><${Pill} tone=${STATE_TONES[trouble.state] ?? "off"}>${trouble.state}</${Pill}></td><td class="num strong">${count(trouble.count)}</td>
      <td class="num muted"><${Time} at_s=${trouble.first_s} text=${time(trouble.first_s)} /></td><td class="num"><${Time} at_s=${trouble.last_s} /></td></tr>`,
    isOpen &&
      html`<tr key="open" class="errors-open"><td colspan="6"><div class="stack">
        <div class="advice"><${Icon} name="info" /><div><strong>What to do</strong><p>${visible(trouble.advice) || "Look at the receiver's answer in the samples."}</p></div></div>
        <${Samples} slug=${to.slug} code=${trouble.code} />
      </div></td></tr>`,
  ];
}

/** @param {{slug: string, code: string}} props */
function Samples({ slug, code }) {
  const poll = usePoll(`${path("destinations", slug)}/samples`, { query: { code }, everyMs: 10_000 });
  const first = useRef("");
  if (poll.error && !poll.data) return html`<${ErrorBox} error=${poll.error} onRetry=${poll.reload} />`;
  if (!poll.data) return poll.isSlow ? html`<${Skeleton} rows=${3} />` : null;
  /** @type {Sample[]} */
  const samples = poll.data.samples;
  first.current ||= samples.length ? keyOf(samples[0]) : "";
  if (!samples.length) return html`<p class="muted">No sample is kept of this code.</p>`;
  return html`<ul class="samples">${samples.map((each) => html`<${SampleItem} key=${keyOf(each)} sample=${each} isFirst=${keyOf(each) === first.current} />`)}</ul>`;
}

/** @param {Sample} sample */
function keyOf(sample) {
  return `${sample.event_id}-${sample.attempt}-${sample.at_s}`;
}

/** The one that was the newest at first is open; what comes later changes nothing that somebody reads. @param {{sample: Sample, isFirst: boolean}} props */
function SampleItem({ sample, isFirst }) {
  const [isOpen, setOpen] = useState(isFirst);
  return html`<li><details open=${isOpen} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}><summary class="row">
      <span class="num nowrap"><${Time} at_s=${sample.at_s} text=${time(sample.at_s)} /></span>
      <span class="mono ellipsis">${visible(sample.message_id || sample.event_id)}</span>
      <span class="grow"></span><span class="muted small nowrap">attempt ${sample.attempt}</span>${sample.status ? html`<span class="num strong nowrap">HTTP ${sample.status}</span>` : html`<code>${visible(sample.code)}</code>`}${sample.duration_ms !== null && html`<span class="num muted nowrap">${ms(sample.duration_ms)}</span>`}
    </summary>
    <p class="sample-more"><a class="row" href=${hrefs.event(sample.event_id)}>The whole way of this event<${Icon} name="right" size=${12} /></a></p>
    <div class="cols-2 exchange"><${Side} title="Request" text=${wire(sample.request)} note=${sample.request && !may("operator") ? "Its body is shown to operators." : ""} none="What was sent is shown to operators only." /><${Side} title="Answer" text=${wire(sample.response)} none="No answer came." /></div></details></li>`;
}

/** @param {{title: string, text: string, none: string, note?: string}} props */
function Side({ title, text, none, note }) {
  return html`<div class="stack near"><div class="row between"><h3>${title}</h3>${text && html`<${CopyButton} text=${text} label="Copy the ${title.toLowerCase()}" />`}</div>${text ? html`<pre class="code" tabindex="0">${text}</pre>` : html`<p class="muted small">${none}</p>`}${note && html`<p class="muted small">${note}</p>`}</div>`;
}
