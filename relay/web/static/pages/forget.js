// Forget a user: the order, confirmed by typing the id again; every request with its receipt; and the search that proves it. No id ever enters the address.
import { post } from "../lib/api.js";
import { count, plural, visible } from "../lib/format.js";
import { CopyButton, Empty, Pill, Time, toast, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {{name: string, kind: string, status: string, found: number, erased: number, error: string}} Store */
/** @typedef {{id: string, type: string, subjects: number, hashes: string[], status: string, created_s: number, finished_s: number | null, by: string, stores: Store[]}} Job */

const TYPES = [
  { value: "SUPPRESS_WITH_DELETE", label: "Delete, and refuse from now on", help: "Deletes what is kept of the user here and at every destination that can delete, and refuses what comes later." },
  { value: "DELETE_ONLY", label: "Only delete", help: "Deletes what is there now; what the user sends later is taken." },
  { value: "SUPPRESS_ONLY", label: "Only refuse from now on", help: "Deletes nothing; refuses what comes, before anything of it is stored." },
  { value: "UNSUPPRESS", label: "Take the user's events again", help: "Ends the refusal. What was deleted stays deleted." },
];
const STATUSES = /** @type {Record<string, {tone: "ok" | "warn" | "bad" | "info" | "off", word: string}>} */ ({
  INITIALIZED: { tone: "off", word: "waits" },
  RUNNING: { tone: "info", word: "runs" },
  FINISHED: { tone: "ok", word: "done" },
  PARTIAL_SUCCESS: { tone: "warn", word: "partly done" },
  FAILED: { tone: "bad", word: "failed" },
  NOT_SUPPORTED: { tone: "off", word: "cannot delete" },
});
/** The kind of the store that says who is refused: nothing of a user is in it. */
const LIST = "suppressions";
const ENDED = ["FINISHED", "FAILED", "NOT_SUPPORTED"];

export function Forget() {
  const poll = /** @type {import("../lib/poll.js").Polled<{jobs: Job[], suppressed: number}>} */ (usePoll("forget"));
  return html`<div class="stack gap-4"><div class="cols-2 rule-cols"><${Order} onDone=${poll.reload} /><${Verify} suppressed=${poll.data?.suppressed ?? null} /></div>
    <${View} poll=${poll} rows=${4}>${(/** @type {{jobs: Job[]}} */ told) => html`<${Jobs} jobs=${told.jobs} />`}</${View}></div>`;
}

/** @param {{onDone: () => void}} props */
function Order({ onDone }) {
  const [id, setId] = useState("");
  const [again, setAgain] = useState("");
  const [type, setType] = useState(TYPES[0].value);
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const chosen = TYPES.find((each) => each.value === type) ?? TYPES[0];
  const deletes = type === "SUPPRESS_WITH_DELETE" || type === "DELETE_ONLY";
  const isSure = id !== "" && (!deletes || id === again);
  /** @param {SubmitEvent} event */
  const submit = async (event) => {
    event.preventDefault();
    if (!isSure || isBusy) return;
    setBusy(true);
    setError("");
    try {
      const job = await post("forget", { user_ids: [id], type });
      toast(ENDED.includes(job.status) ? "Done; the receipt is below" : "The request has begun; the receipt is below");
      setId("");
      setAgain("");
      onDone();
    } catch (thrown) {
      setError(/** @type {Error} */ (thrown).message);
    }
    setBusy(false);
  };
  return html`<section class="card" aria-label="Forget a user"><div class="card-head"><h2>Forget a user</h2></div>
    <form class="card-body stack gap-4" autocomplete="off" onSubmit=${submit}>
      <div class="field"><label for="forget-type">What shall happen</label><select id="forget-type" class="select" value=${type} onChange=${(/** @type {any} */ event) => setType(event.target.value)}>${TYPES.map((each) => html`<option key=${each.value} value=${each.value}>${each.label}</option>`)}</select><p class="hint">${chosen.help}</p></div>
      <div class="field"><label for="forget-id">User id</label><input id="forget-id" class="input mono" value=${id} autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) => setId(event.target.value)} /><p class="hint">As your apps send it in <code>userId</code>. Events under an <code>anonymousId</code> are not the user's: ask for that id too if you know it.</p></div>
      ${deletes && html`<div class="field"><label for="forget-again">Type the id again</label><input id="forget-again" class="input mono" value=${again} autocomplete="off" spellcheck=${false} aria-invalid=${again && again !== id ? "true" : undefined} onInput=${(/** @type {any} */ event) => setAgain(event.target.value)} onPaste=${(/** @type {Event} */ event) => event.preventDefault()} />
        ${again && !id.startsWith(again) && html`<p class="field-error">This is another id.</p>`}</div>`}
      ${error && html`<p class="field-error" role="alert">${visible(error)}</p>`}
      <div class="row between"><span class="small muted">${deletes ? "This cannot be undone." : ""}</span><button type="submit" class="btn ${deletes ? "danger" : "primary"}" disabled=${!isSure || isBusy}>${deletes ? html`<${Icon} name="trash" size=${14} />` : ""}${chosen.label}</button></div>
    </form></section>`;
}

/** @typedef {{found: {store: string, count: number, error: string}[], clean: boolean, suppressed: boolean}} Found */

/** @param {{suppressed: number | null}} props */
function Verify({ suppressed }) {
  const [id, setId] = useState("");
  const [found, setFound] = useState(/** @type {Found | null} */ (null));
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  /** @param {SubmitEvent} event */
  const search = async (event) => {
    event.preventDefault();
    setBusy(true);
    setFound(null);
    setError("");
    try {
      setFound(await post("forget/verify", { user_id: id }));
    } catch (thrown) {
      setError(/** @type {Error} */ (thrown).message);
    }
    setBusy(false);
  };
  return html`<section class="card" aria-label="Search again"><div class="card-head"><h2>Search again</h2>${suppressed !== null && html`<span class="muted small"><strong class="num">${count(suppressed)}</strong> ${suppressed === 1 ? "user is" : "users are"} refused</span>`}</div>
    <form class="card-body stack gap-4" autocomplete="off" onSubmit=${search}><p class="muted">Looks for an id everywhere: log, archives and warehouses, down to the bytes of the data folder.</p>
      <div class="field"><label for="verify-id">User id</label><div class="row"><input id="verify-id" class="input mono grow" value=${id} autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) => (setId(event.target.value), setFound(null))} /><button type="submit" class="btn" disabled=${!id || isBusy}><${Icon} name="search" size=${14} />${isBusy ? "Searching…" : "Search"}</button></div></div>
      ${error && html`<p class="field-error" role="alert">${visible(error)}</p>`}
      <div role="status">${found &&
      (found.clean
        ? html`<div class="notice ok"><${Icon} name="check" /><div class="grow"><strong>Found nowhere.</strong> <span class="muted">${found.suppressed ? "What comes with this id is refused." : "What comes with this id is taken."}</span></div></div>`
        : html`<div class="notice warn"><${Icon} name="warn" /><div class="grow"><strong>Found.</strong><ul class="problems">${found.found.map((each) => html`<li key=${each.store}><code>${visible(each.store)}</code> ${each.error ? html`<span class="tone-bad">${visible(each.error)}</span>` : plural(each.count, "place")}</li>`)}</ul></div></div>`)}</div>
    </form></section>`;
}

/** @param {{jobs: Job[]}} props */
function Jobs({ jobs }) {
  const [open, setOpen] = useState(/** @type {string | null} */ (null));
  if (!jobs.length) return html`<section class="card"><${Empty} icon="privacy" title="Nobody has asked to be forgotten yet"><p>Each request leaves a receipt here: what was found and erased in every store, by whom and when. The id itself is kept only until the request has ended.</p></${Empty}></section>`;
  const shown = open ?? jobs[0].id;
  return html`<section class="card" aria-label="Requests"><div class="card-head"><h2>Requests</h2></div><div class="table-wrap"><table class="table"><thead><tr><th>Request</th><th>What</th><th class="num">Users</th><th class="num">Found</th><th class="num">Erased</th><th>By</th><th class="num">When</th><th>Status</th><th class="tight"><span class="sr-only">Receipt</span></th></tr></thead>
    <tbody>${jobs.map((job) => html`<${JobRows} key=${job.id} job=${job} isOpen=${shown === job.id} onOpen=${() => setOpen(shown === job.id ? "" : job.id)} />`)}</tbody></table></div></section>`;
}

/** @param {{job: Job, isOpen: boolean, onOpen: () => void}} props */
function JobRows({ job, isOpen, onOpen }) {
  const words = TYPES.find((each) => each.value === job.type)?.label ?? job.type;
  const done = job.stores.filter((each) => ENDED.includes(each.status)).length;
  const isMoving = job.finished_s === null;
  const total = (/** @type {"found" | "erased"} */ key) => job.stores.filter((each) => each.kind !== LIST).reduce((sum, each) => sum + each[key], 0);
  return [
    html`<tr key="row" class="click ${isOpen ? "is-open" : ""}" onClick=${(/** @type {any} */ event) => !event.target.closest("button") && onOpen()}><td class="lead strong">${visible(job.id)}</td><td>${words}</td><td class="num">${count(job.subjects)}</td><td class="num">${count(total("found"))}</td><td class="num">${count(total("erased"))}</td><td class="muted">${visible(job.by)}</td><td class="num"><${Time} at_s=${job.created_s} /></td>
      <td><${Status} status=${job.status} /></td><td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Receipt of request ${visible(job.id)}" onClick=${onOpen}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td></tr>`,
    isOpen &&
      html`<tr key="open" class="errors-open"><td colspan="9"><div class="stack">
        ${isMoving && html`<div class="bar" role="progressbar" aria-label="Progress of request ${visible(job.id)}" aria-valuemin="0" aria-valuemax=${job.stores.length || 1} aria-valuenow=${done}><span class="bar-part accent" style=${{ width: `${job.stores.length ? (done / job.stores.length) * 100 : 2}%` }}></span></div>`}
        <div class="table-wrap inset receipt"><table class="table"><thead><tr><th>Store</th><th>Kind</th><th class="num">Found</th><th class="num">Erased</th><th>Status</th><th>Note</th></tr></thead>
          <tbody>${job.stores.map((each) => html`<tr key=${each.name}><td class="lead strong">${visible(each.name).replaceAll("_", " ")}</td><td class="muted">${visible(each.kind)}</td><td class="num">${count(each.found)}</td><td class="num">${each.kind === LIST && !each.erased ? html`<span class="muted">–</span>` : count(each.erased)}</td><td><${Status} status=${each.status} /></td><td class="wrap small ${each.status === "FAILED" ? "tone-bad" : "muted"}">${visible(each.error) || (each.kind === LIST && !each.erased ? "refused from now on" : "")}</td></tr>`)}</tbody></table></div>
        <div class="row between small muted"><span>${job.hashes.length ? `For the record: SHA-256 ${job.hashes.length === 1 ? "of the salted id" : "of the salted ids"}` : "The id is kept until the request has ended, then only its hash."}${job.hashes.length > 0 && html` <code>${visible(job.hashes[0].slice(0, 16))}…</code>`}</span><span class="row">${job.finished_s !== null && html`<span>ended <${Time} at_s=${job.finished_s} /></span>`}<${CopyButton} text=${JSON.stringify(job, null, 2)} label="Copy the receipt" what="Receipt copied" /></span></div>
      </div></td></tr>`,
  ];
}

/** @param {{status: string}} props */
function Status({ status }) {
  const { tone, word } = STATUSES[status] ?? { tone: "off", word: status };
  return html`<${Pill} tone=${tone} title=${status}>${word}</${Pill}>`;
}
