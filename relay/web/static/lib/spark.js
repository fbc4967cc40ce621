// A line of figures without axes: the shape of the last hours beside a name.
import { html } from "./ui.js";

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
