// Sensitive fields: what came in and waits for a decision, what there is and what is done with it, by which rules; and the right to be forgotten.
import { compact, count, visible } from "../lib/format.js";
import { Stats } from "../lib/figures.js";
import { Empty, Pill, Tabs, Time, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { isPlain, ownerOf } from "../lib/protect.js";
import { hrefs, setQuery } from "../lib/router.js";
import { Color, decide, decideAll, Decide, How, Name } from "../lib/sensitive.js";
import { may } from "../lib/session.js";
import { html, Icon, useState } from "../lib/ui.js";
import { Forget } from "./forget.js";
import { Inventory } from "./privacy_inventory.js";

/** @typedef {import("../lib/protect.js").Told} Told */

export const title = "Privacy";
const STEP = 50;
const KEYS = 8;
/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const poll = /** @type {import("../lib/poll.js").Polled<Told>} */ (usePoll("privacy", { everyMs: 10_000 }));
  return html`<div class="page"><div class="page-head"><div class="page-title"><h1>Privacy</h1></div></div>
    <${View} poll=${poll} rows=${10}>${(/** @type {Told} */ told) => html`<${Body} told=${told} query=${query} onTold=${poll.set} />`}</${View}></div>`;
}

/** @param {{told: Told, query: Record<string, string>, onTold: (told: Told) => void}} props */
function Body({ told, query, onTold }) {
  const tab = query.tab ?? (told.inbox.length ? "inbox" : "inventory");
  const red = told.inventory.filter((each) => each.color === "red");
  const plain = red.filter((each) => isPlain(each, told.reach)).length;
  const tabs = [
    { id: "inbox", label: "Inbox", count: told.inbox.length || null },
    { id: "inventory", label: "Inventory", count: told.inventory.length || null },
    { id: "matchers", label: "Matchers", count: told.matchers.length },
    { id: "rules", label: "Rules", count: told.rules.length || null },
    ...(may("admin") ? [{ id: "forget", label: "Forget" }] : []),
  ];
  return html`<${Stats} items=${[
      { label: "To decide", value: compact(told.inbox.length), sub: told.inbox.length ? "seen in the last 7 days" : "nothing new" },
      { label: "Red fields", value: compact(red.length), sub: "name a person, or are secret" },
      { label: "Yellow fields", value: compact(told.inventory.filter((each) => each.color === "yellow").length), sub: "sensitive together with others" },
      { label: "Red and unprotected", value: compact(plain), tone: plain ? "bad" : "ok", sub: plain ? "stored or sent as they are" : "everywhere protected" },
      { label: "Rules", value: compact(told.rules.length), sub: told.rules.length ? "at sources and destinations" : "none is configured" },
    ]} />
    <${Tabs} label="Parts of privacy" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ id) => setQuery({ tab: id, color: null })}>
      ${tab === "inventory"
        ? html`<${Inventory} told=${told} query=${query} onTold=${onTold} />`
        : tab === "matchers"
          ? html`<${Matchers} told=${told} />`
          : tab === "rules"
            ? html`<${Rules} told=${told} />`
            : tab === "forget" && may("admin")
              ? html`<${Forget} />`
              : html`<${Inbox} told=${told} onTold=${onTold} />`}
    </${Tabs}>`;
}

/** @param {{told: Told, onTold: (told: Told) => void}} props */
function Inbox({ told, onTold }) {
  const [shown, setShown] = useState(STEP);
  const [isBusy, setBusy] = useState(false);
  if (!told.inbox.length) return html`<section class="card"><${Empty} icon="check" title="Nothing waits for a decision"><p>When a field comes that looks sensitive, it is listed here with a proposed colour. Until somebody decides, no example of it is shown.</p></${Empty}></section>`;
  const fields = told.inbox.slice(0, shown);
  const all = async () => {
    setBusy(true);
    await decideAll(fields, onTold);
    setBusy(false);
  };
  return html`<section class="card"><div class="card-head"><h2>New fields that look sensitive</h2>${may("operator") && html`<button type="button" class="btn" disabled=${isBusy} onClick=${all}><${Icon} name="check" size=${14} />Accept ${fields.length < told.inbox.length ? "these" : "all"} ${count(fields.length)}</button>`}</div>
    <div class="table-wrap list-wrap"><table class="table"><thead><tr><th>Field</th><th>Source</th><th class="wide-only">Mostly in</th><th class="num">Seen</th><th class="num">Last</th><th>Proposed</th><th class="tight"><span class="sr-only">Decide</span></th></tr></thead>
      <tbody>${fields.map((field) => html`<tr key=${`${field.source} ${field.path}`}>
        <td class="lead"><${Name} field=${field} /></td><td><a href=${hrefs.source(field.source)}>${visible(field.source)}</a></td><td class="muted wide-only">${visible(field.event) || "every event"}</td>
        <td class="num">${count(field.count)}</td><td class="num"><${Time} at_s=${field.last_s} /></td><td><${Color} color=${field.color} /></td>
        <td class="tight">${may("operator") && html`<span class="row"><button type="button" class="btn small" disabled=${isBusy} aria-label="Accept ${field.color} for ${visible(field.path)} of ${visible(field.source)}" onClick=${() => decide(field, field.color, onTold)}><${Icon} name="check" size=${14} />Accept</button>
          <button type="button" class="btn small" disabled=${isBusy} aria-label="${visible(field.path)} of ${visible(field.source)} is not sensitive" onClick=${() => decide(field, "green", onTold)}>Not sensitive</button><${Decide} field=${field} onTold=${onTold} /></span>`}</td></tr>`)}</tbody></table></div>
    ${told.inbox.length > shown && html`<div class="card-foot"><button type="button" class="btn small" onClick=${() => setShown(shown + STEP)}>${count(told.inbox.length - shown)} more</button></div>`}
    <p class="card-foot muted small">A decision colours the field here and in the schema of its source, where no examples of red and yellow fields are shown. It changes nothing that is sent; rules do, and they may name a colour: <code>mask = ["red"]</code>.</p></section>`;
}

/** @param {{told: Told}} props */
function Matchers({ told }) {
  const sorted = [...told.matchers].sort((one, other) => Number(one.origin === "standard") - Number(other.origin === "standard"));
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Matcher</th><th>Colour</th><th>Finds</th><th class="tight">From</th></tr></thead>
    <tbody>${sorted.map((each) => html`<tr key=${each.name}><td class="lead strong nowrap">${visible(each.name)}</td><td><${Color} color=${each.color} /></td>
      <td class="wrap">${each.pattern ? html`values like <code>${visible(each.pattern)}</code>` : html`<span class="muted">${each.similar ? "keys similar to " : "the keys "}</span><${Keys} keys=${each.keys} />`}</td>
      <td class="tight">${each.origin === "file" ? html`<${Pill} tone="accent">yours</${Pill}>` : html`<span class="muted">standard</span>`}</td></tr>`)}</tbody></table></div>
    <p class="card-foot muted small">Case, spaces, “_” and “-” do not matter. Add your own with <code>[[matcher]]</code> in the configuration; it comes before the standard ones.</p></section>`;
}

/** @param {{keys: string[]}} props */
function Keys({ keys }) {
  const [isOpen, setOpen] = useState(false);
  return html`${(isOpen ? keys : keys.slice(0, KEYS)).map((key) => html`<code key=${key}>${visible(key)}</code> `)}${!isOpen && keys.length > KEYS && html`<button type="button" class="link small" onClick=${() => setOpen(true)}>and ${count(keys.length - KEYS)} more</button>`}`;
}

/** @param {{told: Told}} props */
function Rules({ told }) {
  if (!told.rules.length) return html`<section class="card"><${Empty} icon="privacy" title="No privacy rules yet"><p>A rule leaves out, masks or hashes fields before a source stores them, or before a destination gets them. Open a field of the inventory to see the lines to write, and try them first.</p><button type="button" class="btn" onClick=${() => setQuery({ tab: "inventory" })}>Open the inventory</button></${Empty}></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Where</th><th>What</th><th>Fields</th><th class="num">Set in</th></tr></thead>
    <tbody>${told.rules.map((rule, index) => {
      const [noun, slug] = ownerOf(rule.at);
      return html`<tr key=${index}><td class="lead"><a class="strong name" href=${hrefs[noun](slug)}>${visible(slug)}</a> <span class="muted small">${noun}</span></td><td><${How} how=${rule.how} /></td><td><code>${visible(rule.entry)}</code></td>
        <td class="num mono small muted" title=${rule.place?.file}>${rule.place ? `${visible(rule.place.file.split("/").at(-1) ?? "")}:${rule.place.line}` : "–"}</td></tr>`;
    })}</tbody></table></div></section>`;
}
