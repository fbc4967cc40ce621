// Who did what: newest first, by pages behind a cursor.
import { ApiError, get } from "../lib/api.js";
import { cut, fullTime, lines, time, visible } from "../lib/format.js";
import { Empty, ErrorBox, Skeleton, Time } from "../lib/kit.js";
import { html, useEffect, useState } from "../lib/ui.js";

/** @typedef {{id: number, at_s: number, operator: string, action: string, subject: string, detail: string}} Entry */

const STEP = 50;

export function Audit() {
  const [rows, setRows] = useState(/** @type {Entry[] | null} */ (null));
  const [error, setError] = useState(/** @type {ApiError | null} */ (null));
  const [isOver, setOver] = useState(false);
  const [text, setText] = useState("");
  const more = async () => {
    try {
      const { audit } = await get("audit", { query: { limit: STEP, before: rows?.at(-1)?.id ?? null } });
      setRows([...(rows ?? []), ...audit]);
      setOver(audit.length < STEP);
      setError(null);
    } catch (thrown) {
      setError(thrown instanceof ApiError ? thrown : new ApiError(0, "bug", String(thrown)));
    }
  };
  useEffect(() => void more(), []);
  if (!rows) return error ? html`<${ErrorBox} error=${error} onRetry=${more} />` : html`<${Skeleton} rows=${8} />`;
  const found = rows.filter((each) => `${each.operator} ${each.action} ${each.subject} ${each.detail}`.toLowerCase().includes(text.toLowerCase()));
  return html`<div class="stack gap-4"><input class="input" type="search" aria-label="Filter what is listed" placeholder="Filter what is listed by who, what or about" value=${text} onInput=${(/** @type {any} */ event) => setText(event.target.value)} />
    ${error && html`<${ErrorBox} error=${error} onRetry=${more} />`}
    <section class="card">${found.length
      ? html`<div class="table-wrap"><table class="table"><thead><tr><th>When</th><th>Who</th><th>What</th><th>About</th><th>Detail</th></tr></thead>
          <tbody>${found.map((each) => html`<tr key=${each.id}><td class="tight num"><${Time} at_s=${each.at_s} text=${time(each.at_s)} /></td><td class="tight" title=${fullTime(each.at_s)}>${cut(visible(each.operator), 60)}</td><td class="tight"><code>${visible(each.action)}</code></td><td class="nowrap">${cut(visible(each.subject), 60)}</td><td class="wrap muted small">${cut(lines(each.detail), 300)}</td></tr>`)}</tbody></table></div>`
      : html`<${Empty} icon="info" title=${rows.length ? "Nothing that is listed matches" : "Nobody has done anything yet"}><p>Every order of a person, and every change of the workspace, is written down here.</p></${Empty}>`}
      ${!isOver && html`<div class="card-foot row between"><span class="muted small">${rows.length} listed</span><button type="button" class="btn small" onClick=${more}>Show older</button></div>`}</section></div>`;
}
