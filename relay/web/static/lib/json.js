// A value as a tree. Everything from outside is a text node, and signs that cannot be seen are written as escapes.
import { cut, lines, visible } from "./format.js";
import { copy, Menu } from "./kit.js";
import { html, Icon, useState } from "./ui.js";

const CHILDREN = 100;
const STRING_CHARS = 1000;

/** @typedef {{onPin?: (path: string) => void, onFilter?: (path: string, value: unknown) => void}} Actions */

/** @param {{value: unknown, openDepth?: number} & Actions} props `openDepth`: levels that are open at first */
export function JsonTree({ value, openDepth = 2, onPin, onFilter }) {
  if (!isBranch(value)) return html`<div class="json"><${Scalar} value=${value} /></div>`;
  return html`<div class="json"><${Children} value=${value} path="" depth=${1} openDepth=${openDepth} onPin=${onPin} onFilter=${onFilter} /></div>`;
}

/** @param {unknown} value @returns {value is Record<string, unknown> | unknown[]} */
function isBranch(value) {
  return typeof value === "object" && value !== null;
}

/** @param {string} path @param {string} key @param {boolean} isIndex */
function below(path, key, isIndex) {
  if (isIndex) return `${path}.${key}`;
  return path ? `${path}.${key}` : key;
}

/** @param {{value: object, path: string, depth: number, openDepth: number} & Actions} props */
function Children({ value, path, depth, openDepth, onPin, onFilter }) {
  const [shown, setShown] = useState(CHILDREN);
  const entries = Object.entries(value);
  return html`<ul class="json-list">
    ${entries.slice(0, shown).map(
      ([key, child]) => html`<${Member} key=${key} name=${key} value=${child} path=${below(path, key, Array.isArray(value))} depth=${depth} openDepth=${openDepth} onPin=${onPin} onFilter=${onFilter} />`,
    )}
    ${entries.length > shown && html`<li><button type="button" class="link small" onClick=${() => setShown(shown + 10 * CHILDREN)}>${entries.length - shown} more</button></li>`}
  </ul>`;
}

/** @param {{name: string, value: unknown, path: string, depth: number, openDepth: number} & Actions} props */
function Member({ name, value, path, depth, openDepth, onPin, onFilter }) {
  const [isOpen, setOpen] = useState(depth < openDepth);
  const key = html`<span class="json-key">${cut(visible(name), 200)}</span>`;
  if (!isBranch(value)) {
    return html`<li class="json-line">${key}<${Scalar} value=${value} /><${Tools} path=${path} value=${value} onPin=${onPin} onFilter=${onFilter} /></li>`;
  }
  const size = Object.keys(value).length;
  const kind = Array.isArray(value) ? `[${size}]` : `{${size}}`;
  return html`<li class="json-branch"><details open=${isOpen} onToggle=${(/** @type {any} */ event) => setOpen(event.currentTarget.open)}>
      <summary class="json-line">${key}<span class="json-size">${kind}</span></summary>
      ${isOpen && html`<${Children} value=${value} path=${path} depth=${depth + 1} openDepth=${openDepth} onPin=${onPin} onFilter=${onFilter} />`}
    </details><${Tools} path=${path} value=${value} /></li>`;
}

/** @param {{value: unknown}} props */
function Scalar({ value }) {
  const [isWhole, setWhole] = useState(false);
  if (typeof value !== "string") return html`<span class="json-${value === null ? "null" : typeof value}">${String(value)}</span>`;
  if (value === "•••") return html`<span class="json-masked" title="Hidden by relay: its name says that it is secret">•••</span>`;
  const isLong = value.length > STRING_CHARS && !isWhole;
  return html`<span class="json-string">"${visible(isLong ? value.slice(0, STRING_CHARS) : value)}${isLong ? "…" : '"'}</span>
    ${isLong && html`<button type="button" class="link small" onClick=${() => setWhole(true)}>all ${value.length} characters</button>`}`;
}

/** What can be done with a place in the tree. @param {{path: string, value: unknown} & Actions} props */
function Tools({ path, value, onPin, onFilter }) {
  const items = [
    { label: "Copy path", icon: "copy", act: () => copy(path, "Path copied") },
    { label: "Copy value", icon: "copy", act: () => copy(typeof value === "string" ? value : JSON.stringify(value, null, 2), "Value copied") },
    ...(onFilter ? [{ label: "Filter by this value", icon: "search", act: () => onFilter(path, value) }] : []),
    ...(onPin ? [{ label: "Pin as a column", icon: "columns", act: () => onPin(path) }] : []),
  ];
  return html`<span class="json-tools"><${Menu} class="btn ghost icon json-more" title="Actions for ${visible(path)}" align="right" label=${html`<${Icon} name="more" size=${14} />`} items=${items} /></span>`;
}

/** Two spaces, invisible signs escaped: for a `<pre>`. @param {unknown} value */
export function pretty(value) {
  return lines(JSON.stringify(value, null, 2) ?? "");
}
