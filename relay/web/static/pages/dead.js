// Dead letters of a destination: looked at, sent again, exported or thrown away. An order acts on the filter, not on the page that is visible.
import { post, urlOf } from "../lib/api.js";
import { compact, count, cut, plural, time, visible } from "../lib/format.js";
import { CopyButton, Dialog, Empty, Pill, Segmented, Time, toast, View } from "../lib/kit.js";
import { ConfirmCount, needsTyping } from "../lib/confirm.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { wire } from "../lib/wire.js";
import { html, Icon, useEffect, useMemo, useState } from "../lib/ui.js";

/** @typedef {import("./destination.js").Detail} Detail */
/** @typedef {{destination: string, job: string, id: number, subscription_id: string, message_id: string, type: string, name: string, source: string, code: string,
 *   status: number | null, attempts: number, first_s: number, changed_s: number, detail: any}} Letter */
/** @typedef {{ids?: number[], code?: string, since_s?: number, until_s?: number, message_ids?: string[]}} Choice */

const STEP = 50;
const LIMIT_MAX = 1000;
const SINCE = [
  { value: "", label: "All" },
  { value: "1h", label: "1h" },
  { value: "24h", label: "24h" },
  { value: "7d", label: "7d" },
];
const SPAN_S = /** @type {Record<string, number>} */ ({ "1h": 3600, "24h": 86_400, "7d": 604_800 });

/** @param {{to: Detail, query: Record<string, string>, onChange: () => void}} props */
export function Dead({ to, query, onChange }) {
  const { dcode: code = "", since = "", mid = "" } = query;
  const [limit, setLimit] = useState(STEP);
  // In steps of a minute, so that the question stays the same between two polls.
  const since_s = useMemo(() => (SPAN_S[since] ? Math.floor((Date.now() / 1000 - SPAN_S[since]) / 60) * 60 : null), [since]);
  const poll = usePoll("dead", { query: { to: to.slug, code, since_s, message_id: mid, limit }, everyMs: 5000 });
  const known = useMemo(() => [...new Set([...to.errors.filter((each) => each.state === "dead").map((each) => each.code), ...to.funnel.by_code.failed.map((each) => each.code), ...(code ? [code] : [])])].sort(), [to.errors, to.funnel, code]);
  const done = () => {
    poll.reload();
    onChange();
  };
  return html`<section class="card" aria-label="Dead letters">
    <div class="card-head wrap-head"><h2>Dead letters</h2>
      <label class="row small muted" for="dead-code">Code</label><select id="dead-code" class="select small" value=${code} onChange=${(/** @type {any} */ event) => setQuery({ dcode: event.target.value })}><option value="">All</option>${known.map((each) => html`<option key=${each} value=${each}>${visible(each)}</option>`)}</select>
      <input class="input small" type="search" aria-label="Message id" placeholder="Message id" value=${mid} onInput=${(/** @type {any} */ event) => setQuery({ mid: event.target.value.trim() })} />
      <${Segmented} label="Since" options=${SINCE} value=${since} onChange=${(/** @type {string} */ value) => setQuery({ since: value })} /></div>
    <${View} poll=${poll} rows=${5}>${(/** @type {{dead: Letter[], total: number}} */ told) =>
      told.total === 0
        ? html`<${Empty} icon="check" title=${code || since || mid ? "No dead letter matches" : "No dead letters"}>${code || since || mid ? html`<button type="button" class="btn" onClick=${() => setQuery({ dcode: null, since: null, mid: null })}>Show all</button>` : html`<p>Events that the receiver refuses for good end up here and are kept until they are sent again or thrown away.</p>`}</${Empty}>`
        : html`<${List} key=${`${code} ${since} ${mid}`} told=${told} slug=${to.slug} choice=${{ ...(code && { code }), ...(since_s && { since_s }), ...(mid && { message_ids: [mid] }) }} onDone=${done} onMore=${limit < Math.min(told.total, LIMIT_MAX) ? () => setLimit(Math.min(limit + 4 * STEP, LIMIT_MAX)) : null} />`}</${View}>
  </section>`;
}

/** @param {{told: {dead: Letter[], total: number}, slug: string, choice: Choice, onDone: () => void, onMore: (() => void) | null}} props */
function List({ told, slug, choice, onDone, onMore }) {
  const [picked, setPicked] = useState(/** @type {Set<number>} */ (new Set()));
  const [isAll, setAll] = useState(false);
  const [open, setOpen] = useState("");
  const [order, setOrder] = useState(/** @type {"" | "resend" | "discard"} */ (""));
  const ids = useMemo(() => new Set(told.dead.map((letter) => letter.id)), [told.dead]);
  useEffect(() => setPicked((old) => new Set([...old].filter((id) => ids.has(id)))), [ids]);
  const canAct = may("operator");
  const chosen = isAll ? told.total : picked.size;
  const isPage = ids.size > 0 && picked.size === ids.size;
  /** @param {number} id */
  const pick = (id) => {
    const next = new Set(isAll ? ids : picked);
    if (!next.delete(id)) next.add(id);
    setAll(false);
    setPicked(next);
  };
  const finish = () => {
    setOrder("");
    setAll(false);
    setPicked(new Set());
    onDone();
  };
  return html`<div>${canAct &&
    html`<div class="bulk" role="toolbar" aria-label="What to do with the chosen ones">
      <label class="check"><input type="checkbox" checked=${isAll || isPage} ref=${mixed(!isAll && picked.size > 0 && !isPage)} aria-label="All that are listed" onChange=${() => (setAll(false), setPicked(isPage || isAll ? new Set() : new Set(ids)))} />
        <span aria-live="polite">${chosen ? `${count(chosen)} chosen` : `${count(told.total)} in all`}</span></label>
      ${!isAll && html`<button type="button" class="link" onClick=${() => setAll(true)}>Select all ${count(told.total)} matching</button>`}
      ${isAll && html`<button type="button" class="link" onClick=${() => setAll(false)}>Clear</button>`}
      <span class="grow"></span>
      <button type="button" class="btn small" disabled=${!chosen} onClick=${() => setOrder("resend")}><${Icon} name="refresh" size=${14} />Send again</button>
      <a class="btn small" href=${urlOf("dead/export", { to: slug, code: choice.code, since_s: choice.since_s, message_id: choice.message_ids?.[0] })} download="dead-${slug}.ndjson" title="All that match, one JSON object a line, with the event"><${Icon} name="down" size=${14} />Export NDJSON</a>
      <button type="button" class="btn small danger" disabled=${!chosen} onClick=${() => setOrder("discard")}><${Icon} name="trash" size=${14} />Discard</button>
    </div>`}
    <div class="table-wrap"><table class="table letters"><thead><tr>${canAct && html`<th class="tight"><span class="sr-only">Chosen</span></th>`}<th>Event</th><th class="wide-only">Source</th><th>Code</th>${canAct && html`<th>Answer</th>`}<th class="num">Attempts</th><th class="num">Given up</th><th class="tight"><span class="sr-only">Open</span></th></tr></thead>
      <tbody>${told.dead.map((letter) => {
        const id = `${letter.job}-${letter.id}-${letter.subscription_id}`;
        return html`<${Row} key=${id} letter=${letter} isPicked=${isAll || picked.has(letter.id)} isOpen=${open === id} onPick=${() => pick(letter.id)} onOpen=${() => setOpen(open === id ? "" : id)} />`;
      })}</tbody></table></div>
    <div class="card-foot row between"><span class="muted small">${compact(told.dead.length)} of ${compact(told.total)} shown, the oldest first</span>${onMore && html`<button type="button" class="btn small" onClick=${onMore}>Show more</button>`}</div>
    ${order && html`<${OrderDialog} order=${order} slug=${slug} total=${chosen} choice=${isAll ? choice : { ids: [...picked] }} onClose=${() => setOrder("")} onDone=${finish} />`}</div>`;
}

/** The state of a checkbox that is neither on nor off. @param {boolean} isMixed */
function mixed(isMixed) {
  return (/** @type {HTMLInputElement | null} */ box) => void (box && (box.indeterminate = isMixed));
}

/** @param {{letter: Letter, isPicked: boolean, isOpen: boolean, onPick: () => void, onOpen: () => void}} props */
function Row({ letter, isPicked, isOpen, onPick, onOpen }) {
  const { detail } = letter;
  const answer = typeof detail?.response?.body === "string" ? detail.response.body : detail?.response?.body ? JSON.stringify(detail.response.body) : "";
  const name = visible(letter.name || letter.type || letter.message_id);
  const go = (/** @type {any} */ event) => !event.target.closest("a, button, input, label") && onOpen();
  return [
    html`<tr key="row" class="click ${isOpen ? "is-open" : ""}" onClick=${go}>
      ${may("operator") && html`<td class="tight"><input type="checkbox" class="tick" checked=${isPicked} aria-label="Choose ${cut(name, 80)}" onChange=${onPick} /></td>`}
      <td class="lead"><div class="letter-name"><a class="strong ellipsis name" href=${hrefs.event(`e${letter.id}`)}>${cut(name, 120)}</a>${letter.job && html`<${Pill} title="Of the replay ${letter.job}">replay</${Pill}>`}</div><div class="small muted mono ellipsis letter-id">${visible(letter.message_id)}</div></td>
      <td class="muted wide-only">${visible(letter.source)}</td><td><span class="row">${letter.status && String(letter.status) !== letter.code ? html`<span class="num">HTTP ${letter.status}</span>` : ""}<code>${visible(letter.code)}</code></span></td>
      ${may("operator") && html`<td class="answer"><span class="mono small ellipsis">${answer ? cut(visible(answer), 140) : html`<span class="muted">–</span>`}</span></td>`}
      <td class="num">${letter.attempts}</td><td class="num"><${Time} at_s=${letter.changed_s} text=${time(letter.changed_s)} /></td>
      <td class="tight"><button type="button" class="btn ghost icon small" aria-expanded=${isOpen} aria-label="Request and answer of ${cut(name, 80)}" onClick=${onOpen}><${Icon} name=${isOpen ? "down" : "right"} size=${14} /></button></td></tr>`,
    isOpen && html`<tr key="open" class="errors-open"><td colspan="8"><div class="cols-2 exchange"><${Part} title="Last request" text=${wire(detail?.request)} /><${Part} title="Last answer" text=${wire(detail?.response)} /></div></td></tr>`,
  ];
}

/** @param {{title: string, text: string}} props */
function Part({ title, text }) {
  return html`<div class="stack near"><div class="row between"><h3>${title}</h3>${text && html`<${CopyButton} text=${text} />`}</div>${text ? html`<pre class="code" tabindex="0">${text}</pre>` : html`<p class="muted small">Nothing is kept, or it is for operators only.</p>`}</div>`;
}

/** @param {{order: "resend" | "discard", slug: string, total: number, choice: Choice, onClose: () => void, onDone: () => void}} props */
function OrderDialog({ order, slug, total, choice, onClose, onDone }) {
  const [now, setNow] = useState(/** @type {number | null} */ (null));
  const [error, setError] = useState("");
  const [isSure, setSure] = useState(false);
  const [isBusy, setBusy] = useState(false);
  const where = order === "resend" ? "dead/resend" : "dead/discard";
  const body = { to: slug, ...choice };
  useEffect(() => void post(where, { ...body, dry_run: true }).then((answer) => setNow(answer.count), (thrown) => setError(thrown.message)), []);
  const act = async () => {
    setBusy(true);
    try {
      const answer = await post(where, body);
      toast(order === "resend" ? `${plural(answer.count, "event")} sent on their way again` : `${plural(answer.count, "dead letter")} discarded`);
      onDone();
    } catch (thrown) {
      setError(/** @type {Error} */ (thrown).message);
      setBusy(false);
    }
  };
  const amount = now ?? total;
  const canGo = now !== null && now > 0 && !isBusy && (!needsTyping(amount) || isSure);
  return html`<${Dialog} title=${order === "resend" ? "Send again" : "Discard dead letters"} onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Cancel</button>
      <button type="button" class="btn ${order === "resend" ? "primary" : "danger"}" disabled=${!canGo} onClick=${act}>${order === "resend" ? `Send ${plural(amount, "event")} again` : `Discard ${plural(amount, "dead letter")}`}</button>`}>
    <p>${now === null && !error ? "Counting…" : html`<strong class="num">${plural(amount, "dead letter")}</strong> of <strong>${slug}</strong> ${choice.ids ? "that you chose" : choice.code ? html`with the code <code>${visible(choice.code)}</code>` : "that match"}.`}</p>
    <p class="muted">${order === "resend" ? "They go through the present mapping and are tried like new ones; their message ids stay, so a receiver can tell what it has seen." : "They are marked as discarded and will not be sent. The events themselves stay in the log as long as it keeps them."}</p>
    ${needsTyping(amount) && html`<${ConfirmCount} amount=${amount} onSure=${setSure} />`}
    ${error && html`<p class="field-error" role="alert">${error}</p>`}
  </${Dialog}>`;
}
