// The strip of figures at the head of a page.
import { html } from "./ui.js";

/**
 * @typedef {{label: any, value: any, sub?: any, tone?: string, title?: string, isQuiet?: boolean}} Figure
 * `tone` colours the value; `isQuiet`: a word in the place of a figure.
 */

/** @param {{items: (Figure | null | false)[]}} props */
export function Stats({ items }) {
  return html`<dl class="stats">${items.map(
    (item) => item && html`<div key=${item.label} class="stat" title=${item.title}><dt class="stat-label">${item.label}</dt>
      <dd class="stat-value ${item.tone ? `tone-${item.tone}` : ""} ${item.isQuiet ? "muted" : ""}">${item.value}</dd>${item.sub !== undefined && html`<dd class="stat-sub ellipsis">${item.sub}</dd>`}</div>`,
  )}</dl>`;
}
