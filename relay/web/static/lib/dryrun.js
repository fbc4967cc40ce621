// A change that is not saved yet, tried on stored events: how far it is, what would come out differently where, and samples. Needs the styles "pages live".
import { ApiError, path, post, remove } from "./api.js";
import { compact, count, cut, lines, percent, plural, PERIODS, visible } from "./format.js";
import { Stats } from "./figures.js";
import { Empty, ErrorBox, Pill, Segmented } from "./kit.js";
import { usePoll } from "./poll.js";
import { hrefs } from "./router.js";
import { may, nowS } from "./session.js";
import { Changes } from "./timeline.js";
import { html, Icon, useEffect, useRef, useState } from "./ui.js";

/** @typedef {Record<string, number>} Codes */
/**
 * @typedef {{kind: "dropped" | "added" | "changed", code: string, event_id: string, message_id: string, type: string, name: string, was: string, now: string,
 *   why: string, changes?: import("./story.js").Change[]}} Sample
 * @typedef {{slug: string, name: string, state: string, unchanged: number, dropped: Codes, added: Codes, changed: number, requests: number, samples: Sample[]}} Side
 * @typedef {{id: string, status: "running" | "finished" | "cancelled" | "failed", error: string, since_s: number, read: number, total: number, archived: number,
 *   partial: boolean, unchanged: number, dropped: Codes, added: Codes, changed: number, requests: number, meanings: Record<string, string>, destinations: Side[]}} Job
 * @typedef {{message: string, at?: string, file?: string, line?: number, remedy?: string}} Problem
 */

const SPAN_S = /** @type {Record<string, number>} */ ({ "1h": 3600, "24h": 86_400, "7d": 604_800 });
const EVERY_MS = 400;
const KINDS = /** @type {const} */ ({
  dropped: { tone: "warn", word: "no longer sent" },
  added: { tone: "ok", word: "newly sent" },
  changed: { tone: "info", word: "sent otherwise" },
});

/**
 * `changes`: as `POST diff` takes them; null: there is nothing to try yet. `destination`: the only one that is looked at; empty: all.
 * @param {{changes: Record<string, any> | null, destination?: string, title?: string}} props
 */
export function DryRun({ changes, destination = "", title = "Try it on stored events" }) {
  const [period, setPeriod] = useState("24h");
  const [id, setId] = useState("");
  const [tried, setTried] = useState("");
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isStarting, setStarting] = useState(false);
  const [isOver, setOver] = useState(true);
  const poll = /** @type {import("./poll.js").Polled<Job>} */ (usePoll(id ? path("diff", id) : null, { everyMs: isOver ? 0 : EVERY_MS }));
  const job = id ? poll.data : null;
  const running = useRef("");
  useEffect(() => {
    const isRunning = job === null ? id !== "" && poll.error === null : job.status === "running";
    running.current = isRunning ? id : "";
    setOver(!isRunning);
  }, [id, job?.status, poll.error]);
  // Whoever leaves the page has no use for it any more.
  useEffect(() => () => void (running.current && remove(path("diff", running.current)).catch(() => {})), []);

  const now = JSON.stringify([changes, destination]);
  const start = async () => {
    setStarting(true);
    setError(null);
    try {
      const told = await post("diff", { changes, since_s: nowS() - SPAN_S[period], destination });
      setTried(now);
      setOver(false);
      setId(told.id);
    } catch (thrown) {
      setId("");
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, "bug", String(thrown)));
    }
    setStarting(false);
  };
  const isRunning = id !== "" && !isOver;
  return html`<section class="card dryrun" aria-label=${title}>
    <div class="card-head wrap-head"><h2>${title}</h2><span class="row">
      <${Segmented} label="Events of the last" options=${Object.keys(SPAN_S).map((each) => ({ value: each, label: each, title: PERIODS[each] }))} value=${period} onChange=${setPeriod} />
      ${isRunning
        ? html`<button type="button" class="btn" onClick=${() => remove(path("diff", id)).then(poll.reload, setError)}><${Icon} name="close" size=${14} />Cancel</button>`
        : html`<button type="button" class="btn primary" disabled=${!changes || isStarting || !may("operator")} onClick=${start}><${Icon} name="play" size=${14} />${job ? "Run again" : "Run"}</button>`}</span></div>
    ${error && html`<div class="card-body">${error.more.problems ? html`<${Problems} problems=${error.more.problems} />` : html`<${ErrorBox} error=${error} title="The dry run could not begin" />`}</div>`}
    ${!job && !error && html`<p class="card-body muted">relay runs the events of the ${PERIODS[period]} through the rules as they are and as they would be, and tells what comes out differently. Nothing is sent, nothing is saved.</p>`}
    ${job && html`<${Result} job=${job} isStale=${tried !== now} />`}
    ${id && poll.error && html`<div class="card-body"><${ErrorBox} error=${poll.error} onRetry=${poll.reload} /></div>`}
  </section>`;
}

/** Mistakes in a change that is not saved, each with its place and what to do. @param {{problems: Problem[]}} props */
export function Problems({ problems }) {
  return html`<div class="notice bad" role="alert"><${Icon} name="warn" /><ul class="grow problems">${problems.map(
    (each, index) => html`<li key=${index}>${(each.at || each.file) && html`<code>${visible(each.at || each.file)}</code> `}${visible(each.message)}${each.remedy && html` <span class="muted">${visible(each.remedy)}</span>`}</li>`,
  )}</ul></div>`;
}

/** @param {{job: Job, isStale: boolean}} props */
function Result({ job, isStale }) {
  const share = job.total ? Math.min(1, job.read / job.total) : job.status === "running" ? 0 : 1;
  const dropped = sum(job.dropped);
  const added = sum(job.added);
  const differs = dropped + added + job.changed > 0;
  const isRunning = job.status === "running";
  return html`<div class="card-body stack gap-4" aria-busy=${isRunning}>
    ${isStale && !isRunning && html`<div class="notice warn"><${Icon} name="warn" /><span class="grow">The change was edited since. Run it again to see what it does now.</span></div>`}
    ${job.status === "failed" && html`<div class="notice bad" role="alert"><${Icon} name="warn" /><span class="grow">${visible(job.error) || "The dry run failed."}</span></div>`}
    <div><div class="row between small"><span role="status">${isRunning ? `${compact(job.read)} of ${plural(job.total, "event")}` : `${plural(job.read, "event")} read${job.status === "cancelled" ? ", then stopped" : ""}`}${job.archived > 0 && html`<span class="muted">, ${count(job.archived)} of them from the archive</span>`}</span>
        <span class="num strong">${isRunning ? percent(share) : verdict(job, differs)}</span></div>
      <div class="bar progress" role="progressbar" aria-label="Progress of the dry run" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><span class="bar-part ${isRunning ? "accent" : job.status === "finished" ? "ok" : "off"}" style=${{ width: `${share * 100}%` }}></span></div></div>
    ${job.partial && !isRunning && html`<p class="muted small">The log does not reach back that far, and no archive has the rest: this is what is there.</p>`}
    ${job.read === 0 && !isRunning
      ? html`<${Empty} icon="search" title="No stored event lies in this time"><p>Choose a longer time, or send some events first.</p></${Empty}>`
      : html`<${Stats} items=${[
          { label: "Unchanged", value: compact(job.unchanged), title: count(job.unchanged), sub: "the same goes out, or nothing" },
          { label: "No longer sent", value: compact(dropped), tone: dropped ? "warn" : undefined, title: count(dropped), sub: codes(job.dropped) || "none" },
          { label: "Newly sent", value: compact(added), tone: added ? "ok" : undefined, title: count(added), sub: codes(job.added) || "none" },
          { label: "Sent otherwise", value: compact(job.changed), tone: job.changed ? "info" : undefined, title: count(job.changed), sub: "other fields or requests" },
          { label: "Requests", value: compact(job.requests), title: count(job.requests), sub: "for what is new or changed" },
        ]} />
        <${Sides} job=${job} />`}
  </div>`;
}

/** @param {Job} job @param {boolean} differs */
function verdict(job, differs) {
  if (job.status === "failed") return html`<span class="tone-bad">failed</span>`;
  if (differs) return html`<span class="tone-warn">this changes what is sent</span>`;
  return job.status === "finished" ? html`<span class="tone-ok">nothing would be different</span>` : "";
}

/** @param {{job: Job}} props */
function Sides({ job }) {
  const [open, setOpen] = useState(/** @type {string | null} */ (null));
  const rows = [...job.destinations].sort((one, other) => differing(other) - differing(one));
  const first = rows[0] && differing(rows[0]) ? rows[0].slug : "";
  const shown = open ?? first;
  if (!rows.length) return null;
  return html`<div class="table-wrap inset"><table class="table"><thead><tr><th>Destination</th><th class="num">Unchanged</th><th class="num">No longer sent</th><th class="num">Newly sent</th><th class="num">Otherwise</th><th class="num">Requests</th><th class="tight"><span class="sr-only">Samples</span></th></tr></thead>
    <tbody>${rows.map((side) => {
      const isOpen = shown === side.slug && side.samples.length > 0;
      const toggle = () => setOpen(isOpen ? "" : side.slug);
      return [
        html`<tr key=${side.slug} class="${side.samples.length ? "click" : ""} ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => side.samples.length && !event.target.closest("a, button") && toggle()}>
          <td class="lead"><a class="strong name" href=${hrefs.destination(side.slug)}>${visible(side.name || side.slug)}</a>${side.state !== "same" && side.state !== "different" && html` <${Pill} tone="info">${visible(side.state)}</${Pill}>`}</td>
          <td class="num">${count(side.unchanged)}</td><${Figure} value=${sum(side.dropped)} tone="warn" /><${Figure} value=${sum(side.added)} tone="ok" /><${Figure} value=${side.changed} tone="info" /><${Figure} value=${side.requests} tone="" />
          <td class="tight">${side.samples.length > 0 && html`<button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Samples of ${visible(side.name || side.slug)}" onClick=${toggle}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button>`}</td></tr>`,
        isOpen && html`<tr key="${side.slug} open" class="errors-open"><td colspan="7"><${Samples} side=${side} meanings=${job.meanings ?? {}} /></td></tr>`,
      ];
    })}</tbody></table></div>`;
}

/** @param {{value: number, tone: string}} props */
function Figure({ value, tone }) {
  return html`<td class="num">${value ? html`<span class=${tone ? `strong tone-${tone}` : ""}>${count(value)}</span>` : html`<span class="muted">0</span>`}</td>`;
}

/** A few of each kind and code. @param {{side: Side, meanings: Record<string, string>}} props */
function Samples({ side, meanings }) {
  const kinds = [...new Set(side.samples.map((each) => `${each.kind} ${each.code}`))];
  return html`<div class="stack gap-4">${kinds.map((group) => {
    const samples = side.samples.filter((each) => `${each.kind} ${each.code}` === group);
    const { kind, code } = samples[0];
    const total = kind === "changed" ? side.changed : side[kind][code];
    return html`<div key=${group} class="stack"><p class="row flow"><${Pill} tone=${KINDS[kind].tone}>${KINDS[kind].word}</${Pill}><strong class="num">${count(total)}</strong>${code && html`<code>${visible(code)}</code>`}
        <span class="muted small">${code && meanings[code] ? visible(meanings[code]) : ""}${total > samples.length ? ` · ${samples.length} shown` : ""}</span></p>
      <ul class="samples">${samples.map((each, index) => html`<${SampleRow} key=${index} sample=${each} isOpen=${index === 0} />`)}</ul></div>`;
  })}</div>`;
}

/** @param {{sample: Sample, isOpen: boolean}} props */
function SampleRow({ sample, isOpen }) {
  const name = cut(visible(sample.name || sample.type || sample.message_id), 100);
  const head = html`<span class="strong ellipsis">${name}</span><span class="muted small mono ellipsis grow">${visible(sample.message_id)}</span>`;
  const open = html`<span class="sample-open">${sample.event_id ? html`<a class="small nowrap" href=${hrefs.event(sample.event_id)}>Open event</a>` : html`<span class="muted small nowrap" title="Read from the archive: the log no longer has it">archived</span>`}</span>`;
  const why = sample.why && html`<p class="small muted wrap">${lines(sample.why)}</p>`;
  if (!sample.changes?.length) return html`<li class="sample-flat"><div class="row">${head}</div>${why}${open}</li>`;
  return html`<li><details open=${isOpen}><summary class="row">${head}</summary><div class="sample-body">${why}<${Changes} changes=${sample.changes} /></div></details>${open}</li>`;
}

/** @param {Codes} counts */
function sum(counts) {
  return Object.values(counts).reduce((total, each) => total + each, 0);
}

/** The reasons, the most frequent first. @param {Codes} counts */
function codes(counts) {
  const known = Object.entries(counts).sort((one, other) => other[1] - one[1]);
  if (!known.length) return "";
  const text = known.map(([code, number]) => `${code} ${count(number)}`).join(", ");
  return html`<span title=${text}>${known.length === 1 ? known[0][0] : text}</span>`;
}

/** @param {Side} side */
function differing(side) {
  return sum(side.dropped) + sum(side.added) + side.changed;
}
