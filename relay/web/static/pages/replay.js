// Replay: stored events once more to one destination. First the count and how long it takes, then the order; progress, and a way to stop it.
import { get, path, post } from "../lib/api.js";
import { ConfirmCount, needsTyping } from "../lib/confirm.js";
import { compact, count, percent, plural, seconds, time, visible } from "../lib/format.js";
import { attempt, Dialog, Segmented, Skeleton, toast } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { may } from "../lib/session.js";
import { html, Icon, useEffect, useMemo, useState } from "../lib/ui.js";

/** @typedef {import("./destination.js").Detail} Detail */
/** @typedef {{name: string, destination: string, finished: boolean, held: boolean, cancelled_s?: number | null, done: number, total: number, pending: number, by: string, started_s: number, spec: {since_s: number, until_s: number, source: string, rate: number, archive?: string}}} Job */

const SPANS = [
  { value: "3600", label: "1 h" },
  { value: "86400", label: "24 h" },
  { value: "604800", label: "7 d" },
  { value: "custom", label: "From … to …" },
];
/** Of an archive, which reaches back further than the log. */
const EVER = { value: "ever", label: "All of it" };
const KINDS = [
  { value: "all", label: "All events" },
  { value: "dead", label: "Only dead letters" },
];
const ASK_MS = 300;

/** For `<input type=datetime-local>`. @param {number} at_s */
function localText(at_s) {
  const date = new Date(at_s * 1000 - new Date(at_s * 1000).getTimezoneOffset() * 60_000);
  return date.toISOString().slice(0, 16);
}

/** @param {string} text @returns {number} unix seconds, 0 when it is none */
function secondsOf(text) {
  const at = new Date(text).getTime() / 1000;
  return Number.isFinite(at) ? at : 0;
}

/** @param {{to: Detail, onClose: () => void, onDone: () => void}} props */
export function ReplayDialog({ to, onClose, onDone }) {
  const [span, setSpan] = useState("3600");
  const [from, setFrom] = useState(() => localText(Date.now() / 1000 - 3600));
  const [until, setUntil] = useState("");
  const [kind, setKind] = useState("all");
  const [source, setSource] = useState("");
  const [archive, setArchive] = useState("");
  const [archives, setArchives] = useState(/** @type {{slug: string, name: string}[]} */ ([]));
  const [speed, setSpeed] = useState("");
  const [answer, setAnswer] = useState(/** @type {{count: number, isExact: boolean, estimate_s: number | null} | null} */ (null));
  const [error, setError] = useState("");
  const [isSure, setSure] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const opened_s = useMemo(() => Date.now() / 1000, []);

  useEffect(() => void get("destinations").then((told) => setArchives(told.destinations.filter((/** @type {any} */ each) => each.can_read_back && each.slug !== to.slug)), () => {}), []);
  const since_s = span === "custom" ? secondsOf(from) : span === EVER.value ? 0 : opened_s - Number(span);
  const until_s = span === "custom" && until ? secondsOf(until) : 0;
  const isReplay = kind === "all";
  const where = isReplay ? "replay" : "dead/resend";
  const body = isReplay ? { to: to.slug, since_s, until_s, source, rate: Number(speed) || 0, from: archive } : { to: to.slug, since_s, until_s };
  const wrong = !since_s && span !== EVER.value ? "Say from when." : until_s && until_s <= since_s ? "The end lies before the beginning." : "";

  useEffect(() => {
    setAnswer(null);
    setSure(false);
    setError("");
    if (wrong) return undefined;
    const abort = new AbortController();
    const timer = setTimeout(() => {
      post(where, { ...body, dry_run: true }, { signal: abort.signal }).then(
        (told) => setAnswer({ count: told.count, isExact: told.exact !== false, estimate_s: told.estimate_s ?? null }),
        (thrown) => abort.signal.aborted || setError(thrown.message),
      );
    }, ASK_MS);
    return () => (clearTimeout(timer), abort.abort());
  }, [where, JSON.stringify(body), wrong]);

  /** Back to the log, which does not reach back for ever. */
  const leave = () => {
    setArchive("");
    if (span === EVER.value) setSpan(SPANS[2].value);
  };
  const start = async () => {
    setBusy(true);
    try {
      const told = await post(where, body);
      toast(isReplay ? `The replay ${told.job} has begun` : `${plural(told.count, "dead letter")} sent on their way again`);
      onDone();
      onClose();
    } catch (thrown) {
      setError(/** @type {Error} */ (thrown).message);
      setBusy(false);
    }
  };
  const canStart = answer !== null && answer.count > 0 && !isBusy && (!needsTyping(answer.count) || isSure);
  return html`<${Dialog} title="Replay to ${visible(to.name)}" onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Cancel</button>
      <button type="button" class="btn primary" disabled=${!canStart} onClick=${start}>${answer?.count ? `Send ${answer.isExact ? "" : "about "}${plural(answer.count, "event")}` : "Send"}</button>`}>
    <div class="field"><span class="strong">What</span><div><${Segmented} label="What" options=${KINDS} value=${kind} onChange=${(/** @type {string} */ value) => (setKind(value), leave())} /></div>
      <p class="hint">${isReplay ? "Stored events go through the present mapping again and are marked as replayed. Message ids stay." : "Only what this destination gave up, by the time at which it was given up."}</p></div>
    ${isReplay && archives.length > 0 &&
    html`<div class="field"><label for="replay-archive">From</label><select id="replay-archive" class="select" value=${archive} onChange=${(/** @type {any} */ event) => (event.target.value ? setArchive(event.target.value) : leave())}><option value="">The log: what relay keeps itself</option>${archives.map((each) => html`<option key=${each.slug} value=${each.slug}>${visible(each.name)}: what it has stored</option>`)}</select></div>`}
    <div class="field"><span class="strong">Received in the last</span><div><${Segmented} label="Time range" options=${archive ? [...SPANS, EVER] : SPANS} value=${span} onChange=${setSpan} /></div></div>
    ${span === "custom" &&
    html`<div class="cols-2"><div class="field"><label for="replay-from">From</label><input id="replay-from" class="input" type="datetime-local" value=${from} onInput=${(/** @type {any} */ event) => setFrom(event.target.value)} /></div>
      <div class="field"><label for="replay-until">To (empty: now)</label><input id="replay-until" class="input" type="datetime-local" value=${until} onInput=${(/** @type {any} */ event) => setUntil(event.target.value)} /></div></div>`}
    ${isReplay &&
    html`<div class="cols-2"><div class="field"><label for="replay-source">Source</label><select id="replay-source" class="select" value=${source} onChange=${(/** @type {any} */ event) => setSource(event.target.value)}><option value="">All of its sources</option>${to.sources.map((each) => html`<option key=${each} value=${each}>${visible(each)}</option>`)}</select></div>
      <div class="field"><label for="replay-rate">At most, per second</label><input id="replay-rate" class="input num" type="number" min="0" step="any" inputmode="decimal" placeholder="as fast as it takes them" value=${speed} onInput=${(/** @type {any} */ event) => setSpeed(event.target.value)} /></div></div>`}
    <div class="estimate" aria-live="polite">${
      error || wrong
        ? html`<p class="field-error" role="alert">${error || wrong}</p>`
        : answer === null
          ? html`<${Skeleton} rows=${1} />`
          : html`${!answer.isExact && html`<span>about</span>`}<span class="estimate-count num">${count(answer.count)}</span><span>${answer.count === 1 ? "event" : "events"} ${answer.count === 0 ? html`<span class="muted">match; nothing would be sent</span>` : answer.estimate_s !== null ? html`<span class="muted">in about ${answer.estimate_s < 1 ? "a second" : seconds(Math.round(answer.estimate_s))}</span>` : ""}</span>`
    }</div>
    ${answer && needsTyping(answer.count) && html`<${ConfirmCount} key=${answer.count} amount=${answer.count} onSure=${setSure} />`}
  </${Dialog}>`;
}

/** Replays of a destination that run, and those that ended in the last hour. @param {{slug: string}} props */
export function Replays({ slug }) {
  const poll = usePoll("jobs");
  /** @type {Job[]} */
  const jobs = (poll.data?.jobs ?? []).filter((/** @type {Job} */ job) => job.destination === slug && (!job.finished || Date.now() / 1000 - job.started_s < 3600));
  if (!jobs.length) return null;
  const newest = [...jobs].sort((one, other) => other.started_s - one.started_s).slice(0, 3);
  return html`<section class="card" aria-label="Replays">${newest.map((job) => html`<${JobRow} key=${job.name} job=${job} onChange=${poll.reload} />`)}</section>`;
}

/** @param {{job: Job, onChange: () => void}} props */
function JobRow({ job, onChange }) {
  const share = job.total ? job.done / job.total : 1;
  const cancel = async () => {
    await attempt(() => post(`${path("jobs", job.name)}/cancel`), (/** @type {any} */ told) => `The replay ${job.name} was stopped; ${plural(told.discarded ?? 0, "event")} not sent`);
    onChange();
  };
  const state = job.cancelled_s ? "stopped" : job.finished ? "done" : job.held ? "on hold" : `${percent(share)}`;
  return html`<div class="job"><${Icon} name=${job.cancelled_s ? "close" : job.finished ? "check" : "refresh"} />
    <div class="grow"><div class="row"><strong class="nowrap">Replay ${job.name.split("#")[1] ?? ""}</strong><span class="muted small ellipsis">${compact(job.done)} of ${plural(job.total, "event")}${job.spec.source ? ` of ${visible(job.spec.source)}` : ""}${job.spec.archive ? ` from ${visible(job.spec.archive)}` : ""} · by ${visible(job.by)} at ${time(job.started_s)}</span><span class="grow"></span><span class="num strong nowrap">${state}</span></div>
      <div class="bar" role="progressbar" aria-label="Progress of the replay" aria-valuemin="0" aria-valuemax="100" aria-valuenow=${Math.round(share * 100)}><span class="bar-part ${job.cancelled_s ? "off" : job.finished ? "ok" : "accent"}" style=${{ width: `${share * 100}%` }}></span></div></div>
    ${!job.finished && !job.cancelled_s && may("operator") && html`<button type="button" class="btn small" onClick=${cancel}>Cancel</button>`}</div>`;
}
