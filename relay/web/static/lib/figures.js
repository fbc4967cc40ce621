// Figures on a page: the strip of numbers at its head, the line without axes beside a name, and the picture of the flow.
import { html } from "./ui.js";

const ROW_PX = 52;
const SPREAD_PX = 5;

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

/**
 * @param {{values: number[], width?: number, height?: number, tone?: "accent" | "ok" | "warn" | "bad" | "off", label?: string}} props
 * `label` says the shape in words for those who do not see it; without one the picture is decoration.
 */
export function Spark({ values, width = 72, height = 20, tone = "accent", label = "" }) {
  const line = points(values, width, height);
  return html`<svg class="spark ${tone}" width=${width} height=${height} viewBox="0 0 ${width} ${height}" role=${label ? "img" : undefined} aria-label=${label || undefined} aria-hidden=${!label}>
    ${line
      ? [html`<path class="spark-area" d="M0 ${height}L${line.join("L")}L${width} ${height}z" />`, html`<path class="spark-line" d="M${line.join("L")}" />`]
      : html`<path class="spark-none" d="M0 ${height - 1.5}H${width}" />`}
  </svg>`;
}

/** @param {number[]} values @param {number} width @param {number} height @returns {string[] | null} null: nothing but zero */
export function points(values, width, height) {
  const top = Math.max(0, ...values);
  if (values.length < 2 || top === 0) return null;
  const step = width / (values.length - 1);
  return values.map((value, index) => `${round(index * step)} ${round(height - 1.5 - (value / top) * (height - 3))}`);
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 10) / 10;
}

/**
 * @typedef {{id: string, rate: number, tone: string, isDim?: boolean}} End
 * One line's outer end: `tone` is a colour of the kit; `isDim` puts it into the background.
 */

/** Height of the flow picture for so many rows a side. @param {number} left @param {number} right */
export function flowHeight(left, right) {
  return Math.max(left, right, 2) * ROW_PX;
}

/** Space above a side's first row, so that a shorter side stands in the middle. @param {number} rows @param {number} height */
export function flowPad(rows, height) {
  return (height - rows * ROW_PX) / 2;
}

/**
 * Lines from the sources into the pipeline and out to the destinations: width is the rate (logarithmic), colour the health.
 * The lines only, as wide as their place; rows and the pipeline are ordinary elements around it. The same facts stand in the tables beside it.
 * @param {{left: End[], right: End[]}} props
 */
export function FlowLines({ left, right }) {
  const height = flowHeight(left.length, right.length);
  return html`<svg class="flow-lines" viewBox="0 0 100 ${height}" preserveAspectRatio="none" aria-hidden="true" style=${{ height: `${height}px` }}>
    ${left.map((end, index) => html`<${Line} key=${`l-${end.id}`} end=${end} path=${inward(rowY(index, left.length, height), hubY(index, left.length, height))} />`)}
    ${right.map((end, index) => html`<${Line} key=${`r-${end.id}`} end=${end} path=${outward(hubY(index, right.length, height), rowY(index, right.length, height))} />`)}
  </svg>`;
}

/** @param {{end: End, path: string}} props */
function Line({ end, path }) {
  const isMoving = end.rate > 0.005;
  const width = lineWidth(end.rate);
  return html`<g class="flow-line ${isMoving || end.tone !== "ok" ? end.tone : "off"} ${end.isDim ? "is-dim" : ""}">
    <path class="flow-bed" d=${path} stroke-width=${width} />
    ${isMoving && html`<path class="flow-dash" d=${path} stroke-width=${Math.max(1.5, width * 0.45)} style=${{ animationDuration: `${duration(end.rate)}s` }} />`}
  </g>`;
}

/** @param {number} rate events per second */
export function lineWidth(rate) {
  return Math.round(Math.min(11, 1.5 + 1.25 * Math.log2(1 + rate)) * 10) / 10;
}

/** Seconds for one step of the dashes: in steps, so that a small change of the rate does not restart the motion. @param {number} rate */
function duration(rate) {
  return rate > 100 ? 0.5 : rate > 10 ? 0.9 : rate > 1 ? 1.5 : 2.6;
}

/** @param {number} index @param {number} rows @param {number} height */
function rowY(index, rows, height) {
  return flowPad(rows, height) + index * ROW_PX + ROW_PX / 2;
}

/** Lines meet the pipeline side by side. @param {number} index @param {number} rows @param {number} height */
function hubY(index, rows, height) {
  const spread = Math.min(SPREAD_PX, 44 / Math.max(1, rows));
  return Math.round((height / 2 + (index - (rows - 1) / 2) * spread) * 10) / 10;
}

/** @param {number} from @param {number} to */
function inward(from, to) {
  return `M0 ${from}C22 ${from} 20 ${to} 40 ${to}`;
}

/** @param {number} from @param {number} to */
function outward(from, to) {
  return `M60 ${from}C80 ${from} 78 ${to} 100 ${to}`;
}
