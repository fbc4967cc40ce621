// Tokens: for people and programs; made and revoked by admins. A token's text is shown once.
import { path, post, remove } from "../lib/api.js";
import { ago, plural, visible } from "../lib/format.js";
import { attempt, CopyButton, Dialog, Empty, Pill, Time, View } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {{id: string, name: string, role: string, prefix: string, created_s: number, expires_s: number | null, used_s: number | null}} Token */

const ROLES = [
  { value: "viewer", text: "reads; payloads masked, no secrets" },
  { value: "operator", text: "also holds, resumes, replays, sends again" },
  { value: "admin", text: "also tokens and settings" },
];
const LASTS = [
  { value: 0, text: "no end" },
  { value: 86_400, text: "1 day" },
  { value: 30 * 86_400, text: "30 days" },
  { value: 365 * 86_400, text: "1 year" },
];

export function Tokens() {
  const poll = usePoll("tokens", { everyMs: 10_000 });
  const [isNew, setNew] = useState(false);
  const [gone, setGone] = useState(/** @type {Token | null} */ (null));
  const revoke = async () => {
    if (gone && (await attempt(() => remove(path("tokens", gone.id)), `The token ${gone.name} is revoked`))) setGone(null);
    poll.reload();
  };
  const button = html`<button type="button" class="btn primary" onClick=${() => setNew(true)}><${Icon} name="plus" size=${14} />New token</button>`;
  return html`<${View} poll=${poll} rows=${4}>${(/** @type {{tokens: Token[]}} */ { tokens }) =>
      tokens.length
        ? html`<section class="card"><div class="card-head"><h2>${plural(tokens.length, "token")}</h2>${button}</div><div class="table-wrap"><table class="table"><thead><tr><th>Name</th><th>Role</th><th>Begins with</th><th class="num">Made</th><th class="num">Last used</th><th class="num">Ends</th><th class="tight"><span class="sr-only">Actions</span></th></tr></thead>
            <tbody>${tokens.map((token) => html`<tr key=${token.id}><td class="lead strong wrap name">${visible(token.name)}</td><td><${Pill} tone=${token.role === "admin" ? "accent" : "off"}>${token.role}</${Pill}></td><td class="mono">${visible(token.prefix)}…</td><td class="num"><${Time} at_s=${token.created_s} /></td><td class="num"><${Time} at_s=${token.used_s} isAgo=${true} /></td><td class="num">${Ends(token)}</td>
              <td class="tight"><button type="button" class="btn small danger" aria-label="Revoke ${visible(token.name)}" onClick=${() => setGone(token)}>Revoke</button></td></tr>`)}</tbody></table></div></section>`
        : html`<section class="card"><${Empty} icon="settings" title="No tokens yet"><p>A token lets a person sign in, or a program ask relay. Commands on this machine need none.</p>${button}</${Empty}></section>`}</${View}>
    ${isNew && html`<${NewDialog} onClose=${() => (setNew(false), poll.reload())} />`}
    ${gone && html`<${Dialog} title="Revoke a token" onClose=${() => setGone(null)} foot=${html`<button type="button" class="btn" onClick=${() => setGone(null)}>Cancel</button><button type="button" class="btn danger" onClick=${revoke}>Revoke</button>`}>
      <p>Whoever uses <strong>${visible(gone.name)}</strong> is refused at once, and its sessions end. ${gone.used_s ? `It was last used ${ago(gone.used_s)}.` : "It was never used."}</p></${Dialog}>`}`;
}

/** @param {Token} token */
function Ends(token) {
  if (!token.expires_s) return html`<span class="muted">never</span>`;
  return token.expires_s < Date.now() / 1000 ? html`<span class="tone-bad">over</span>` : html`<${Time} at_s=${token.expires_s} text=${new Date(token.expires_s * 1000).toLocaleDateString()} />`;
}

/** @param {{onClose: () => void}} props */
function NewDialog({ onClose }) {
  const [name, setName] = useState("");
  const [role, setRole] = useState("viewer");
  const [lasts, setLasts] = useState(0);
  const [made, setMade] = useState("");
  /** @param {Event} event */
  const make = async (event) => {
    event.preventDefault();
    await attempt(async () => setMade((await post("tokens", { name: name.trim(), role, ...(lasts && { expires_in_s: lasts }) })).token), "The token is made");
  };
  if (made) {
    return html`<${Dialog} title="Your new token" onClose=${onClose} foot=${html`<button type="button" class="btn primary" onClick=${onClose}>Done</button>`}>
      <p>Copy it now: it is shown only this once.</p><div class="token-text"><code>${made}</code><${CopyButton} text=${made} label="Copy the token" /></div></${Dialog}>`;
  }
  return html`<${Dialog} title="New token" onClose=${onClose} foot=${html`<button type="button" class="btn" onClick=${onClose}>Cancel</button><button type="submit" form="new-token" class="btn primary" disabled=${!name.trim()}>Make it</button>`}>
    <form id="new-token" class="stack" onSubmit=${make}>
      <div class="field"><label for="token-name">Name</label><input id="token-name" class="input" maxlength="100" autocomplete="off" value=${name} placeholder="whose, or what for" onInput=${(/** @type {any} */ event) => setName(event.target.value)} /></div>
      <fieldset class="roles"><legend>Role</legend>${ROLES.map((each) => html`<label key=${each.value} class="check"><input type="radio" name="role" value=${each.value} checked=${role === each.value} onChange=${() => setRole(each.value)} /><span><strong>${each.value}</strong> <span class="muted">${each.text}</span></span></label>`)}</fieldset>
      <div class="field"><label for="token-lasts">Valid for</label><select id="token-lasts" class="select" value=${lasts} onChange=${(/** @type {any} */ event) => setLasts(Number(event.target.value))}>${LASTS.map((each) => html`<option key=${each.value} value=${each.value}>${each.text}</option>`)}</select></div>
    </form></${Dialog}>`;
}
