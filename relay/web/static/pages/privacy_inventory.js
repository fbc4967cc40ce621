// The inventory: every sensitive field, what is done with it and where; and how to protect one that is not.
import { count, plural, visible } from "../lib/format.js";
import { CopyButton, Dialog, Empty, Segmented, Time } from "../lib/kit.js";
import { DryRun } from "../lib/dryrun.js";
import { isPlain, ownerOf, plainness, tableWith } from "../lib/protect.js";
import { hrefs, setQuery } from "../lib/router.js";
import { Color, Decide, How, Name } from "../lib/sensitive.js";
import { may } from "../lib/session.js";
import { toml } from "../lib/toml.js";
import { html, Icon, useMemo, useState } from "../lib/ui.js";

/** @typedef {import("../lib/protect.js").Field} Field */
/** @typedef {import("../lib/protect.js").Told} Told */

const STEP = 50;
const COLORS = [
  { value: "", label: "All" },
  { value: "red", label: "Red" },
  { value: "yellow", label: "Yellow" },
  { value: "green", label: "Not sensitive" },
  { value: "plain", label: "Unprotected" },
];
const HOWS = [
  { value: "mask", label: "Mask", title: "The value becomes three dots" },
  { value: "hash", label: "Hash", title: "Equal values stay equal" },
  { value: "block", label: "Leave out", title: "The field is gone" },
];

/** @param {{told: Told, query: Record<string, string>, onTold: (told: Told) => void}} props */
export function Inventory({ told, query, onTold }) {
  const [shown, setShown] = useState(STEP);
  const [open, setOpen] = useState(/** @type {Field | null} */ (null));
  const { color = "", q = "" } = query;
  const needle = q.toLowerCase();
  const rows = told.inventory.filter((each) => (!color || (color === "plain" ? isPlain(each, told.reach) : each.color === color)) && (!needle || `${each.path} ${each.source} ${each.event} ${each.matcher}`.toLowerCase().includes(needle)));
  return html`<section class="card" aria-label="Inventory"><div class="card-head wrap-head"><input class="input small" type="search" aria-label="Find a field" placeholder="Field, source or event" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} />
      <${Segmented} label="Colour" options=${COLORS} value=${color} onChange=${(/** @type {string} */ value) => (setShown(STEP), setQuery({ color: value }))} /></div>
    ${rows.length === 0
      ? html`<${Empty} icon="privacy" title=${color || q ? "No field matches" : "No sensitive field has come yet"}>${color || q ? html`<button type="button" class="btn" onClick=${() => setQuery({ color: null, q: null })}>Show all</button>` : html`<p>relay looks at the names of all fields, and at values where a matcher says so. What looks sensitive is listed here.</p>`}</${Empty}>`
      : html`<div class="table-wrap list-wrap"><table class="table"><thead><tr><th>Field</th><th>Source</th><th>Colour</th><th class="num">Seen</th><th class="num wide-only">First</th><th class="num">Last</th><th>What is done</th><th class="tight"><span class="sr-only">Act</span></th></tr></thead>
        <tbody>${rows.slice(0, shown).map((field) => html`<tr key=${`${field.source} ${field.path}`}>
          <td class="lead"><${Name} field=${field} /></td>
          <td><a href=${hrefs.source(field.source)}>${visible(field.source)}</a><div class="small muted ellipsis">${visible(field.event) || "every event"}</div></td>
          <td><${Color} color=${field.color} />${!field.decided && html`<div class="small muted">proposed</div>`}</td>
          <td class="num">${count(field.count)}</td><td class="num wide-only muted"><${Time} at_s=${field.first_s} /></td><td class="num"><${Time} at_s=${field.last_s} /></td>
          <td><${Done} field=${field} reach=${told.reach} /></td>
          <td class="tight"><span class="row">${may("operator") && html`<button type="button" class="btn small" aria-label="Protect ${visible(field.path)} of ${visible(field.source)}" onClick=${() => setOpen(field)}>Protect…</button><${Decide} field=${field} onTold=${onTold} />`}</span></td></tr>`)}</tbody></table></div>
        ${rows.length > shown && html`<div class="card-foot"><button type="button" class="btn small" onClick=${() => setShown(shown + STEP)}>${count(rows.length - shown)} more</button></div>`}`}
    ${open && html`<${Protect} field=${open} told=${told} onClose=${() => setOpen(null)} />`}</section>`;
}

/** @param {{field: Field, reach: Record<string, string[]>}} props */
function Done({ field, reach }) {
  const { stored, sentTo } = plainness(field, reach);
  return html`<div class="stack near">
    ${field.done.length > 0 && html`<span class="chips">${field.done.map((deed) => {
      const [noun, slug] = ownerOf(deed.at);
      return html`<${How} key=${deed.at} how=${deed.how}> ${noun === "source" ? "before it is stored" : html`for ${visible(slug)}`}</${How}>`;
    })}</span>`}
    ${stored && html`<span class="small tone-bad plain" title=${sentTo.map(visible).join(", ")}><${Icon} name="warn" size=${13} />stored as it is${sentTo.length ? `, sent as it is to ${sentTo.length === 1 ? visible(sentTo[0]) : plural(sentTo.length, "destination")}` : ""}</span>`}
    ${!stored && !field.done.length && html`<span class="small muted">nothing</span>`}</div>`;
}

/** What to write into the configuration, and what it would do. @param {{field: Field, told: Told, onClose: () => void}} props */
function Protect({ field, told, onClose }) {
  const places = [`source:${field.source}`, ...(told.reach[field.source] ?? []).map((slug) => `destination:${slug}`)];
  const [at, setAt] = useState(places[0]);
  const [how, setHow] = useState("mask");
  const [noun, slug] = ownerOf(at);
  const table = useMemo(() => tableWith(told.rules, at, how, field.path), [told.rules, at, how, field.path]);
  const changes = useMemo(() => table && { [`${noun}s`]: { [slug]: { privacy: table } } }, [table, noun, slug]);
  const text = `[${noun}.privacy]\n${Object.entries(table ?? { [how]: [field.path] }).map(([name, entries]) => `${name} = ${toml(entries)}\n`).join("")}`;
  return html`<${Dialog} title=${html`Protect <code>${visible(field.path)}</code>`} isWide=${true} onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Close</button>`}>
    <div class="cols-2"><div class="field"><label for="protect-at">Where</label><select id="protect-at" class="select" value=${at} onChange=${(/** @type {any} */ event) => setAt(event.target.value)}>${places.map((each) => {
        const [kind, name] = ownerOf(each);
        return html`<option key=${each} value=${each}>${kind === "source" ? `At ${name}, before anything is stored` : `Only for ${name}`}</option>`;
      })}</select></div>
      <div class="field"><span class="strong">How</span><div><${Segmented} label="How" options=${HOWS} value=${how} onChange=${setHow} /></div></div></div>
    <p class="muted">${noun === "source" ? "The value never touches the disk: no page, no archive and no destination gets it as it came." : `${visible(slug)} gets it changed; relay itself keeps it as it came.`}</p>
    <div class="code-box"><pre class="code" tabindex="0">${text}</pre><${CopyButton} text=${text} label="Copy the lines" /></div>
    <p class="muted small">Write this ${table ? "in the place of the privacy table" : "into the privacy table"} of the ${noun} <code>${visible(slug)}</code>, then <code>relay reload</code>. Encryption for one destination needs a key: <code>relay privacy key</code>.</p>
    ${changes ? html`<${DryRun} changes=${changes} />` : html`<p class="muted small">This destination encrypts with a key that no page shows; try the change with <code>relay diff</code>.</p>`}
  </${Dialog}>`;
}
