// Time charts: uPlot, brought in when the first chart is drawn. For a screen reader a chart is a picture with its figures in one sentence.
import { fullTime, time } from "./format.js";
import { html, theme, useEffect, useLayoutEffect, useMemo, useRef, useState } from "./ui.js";

/** @typedef {import("../vendor/uplot.mjs").default} UPlot */
/** @typedef {import("../vendor/uplot.mjs").default.Options} Options */
/** @typedef {import("../vendor/uplot.mjs").default.Series} PlotSeries */
/**
 * @typedef {{label: string, tone: string, values: (number | null)[], dash?: number[]}} Line
 * @typedef {{times: number[], lines: Line[], kind: "bars" | "lines", format: (value: number) => string, axisFormat?: (value: number) => string,
 *   label: string, height?: number}} ChartProps
 * `times`: unix seconds, evenly spaced. "bars" stacks the lines, the first at the bottom. `label`: what the chart tells, in words.
 */

const BAR_MAX_PX = 28;
const EMPTY_TOP = { bars: 4, lines: 1000 };
/** Steps of an axis of counts: nobody sees half an event. */
const WHOLE = Array.from({ length: 12 }, (_, power) => [1, 2, 5].map((each) => each * 10 ** power)).flat();
const CSS = "/ui/static/vendor/uplot.css";
/** @type {Promise<typeof import("../vendor/uplot.mjs").default> | null} */
let loading = null;

function load() {
  loading ??= Promise.all([import("../vendor/uplot.mjs"), styles()]).then(([module]) => module.default);
  loading.catch(() => (loading = null));
  return loading;
}

/** @returns {Promise<unknown>} */
function styles() {
  return new Promise((resolve, reject) => {
    const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href: CSS });
    link.onload = resolve;
    link.onerror = () => (link.remove(), reject(new Error(CSS)));
    document.head.append(link);
  });
}

/** A token's value now. @param {string} name */
function token(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** @param {string} tone */
function paint(tone) {
  return token(tone === "off" ? "--ink-2" : `--${tone}`);
}

/** @param {ChartProps} props */
export function Chart({ times, lines, kind, format, axisFormat, label, height = 200 }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const plot = useRef(/** @type {UPlot | null} */ (null));
  const [code, setCode] = useState(/** @type {typeof import("../vendor/uplot.mjs").default | null} */ (null));
  const [isBroken, setBroken] = useState(false);
  const [spot, setSpot] = useState(/** @type {{index: number, left: number} | null} */ (null));
  const isEmpty = !lines.some((line) => line.values.some((value) => value));
  const look = theme.value;
  const shape = lines.map((line) => line.label).join();
  const data = useMemo(() => /** @type {import("../vendor/uplot.mjs").default.AlignedData} */ ([times, ...(kind === "bars" ? stacked(lines) : lines.map((line) => line.values))]), [times, lines]);

  useEffect(() => void load().then((loaded) => setCode(() => loaded), () => setBroken(true)), []);
  useLayoutEffect(() => {
    const self = box.current;
    if (!code || !self) return undefined;
    const step = times.length > 1 ? times[1] - times[0] : 60;
    const options = settings(code, { kind, lines, height, width: self.clientWidth, step, format: axisFormat ?? format, onSpot: setSpot });
    const drawn = new code(options, data, self);
    plot.current = drawn;
    const watch = new ResizeObserver(() => self.clientWidth && drawn.setSize({ width: self.clientWidth, height }));
    watch.observe(self);
    return () => {
      watch.disconnect();
      drawn.destroy();
      plot.current = null;
    };
  }, [code, look, shape, kind, height, times[1] - times[0]]);
  useLayoutEffect(() => plot.current?.setData(data), [data]);

  return html`<figure class="chart">
    <div class="chart-box" ref=${box} role="img" aria-label=${label} style=${{ minHeight: `${height}px` }}></div>
    ${isBroken && html`<p class="chart-none muted small">The chart could not be loaded; the figures stand above.</p>`}
    ${code && isEmpty && html`<p class="chart-none muted small" aria-hidden="true">Nothing in this period</p>`}
    ${spot && times[spot.index] !== undefined && html`<${Tip} spot=${spot} times=${times} lines=${lines} format=${format} width=${box.current?.clientWidth ?? 0} />`}
  </figure>`;
}

/** What stands under the pointer. @param {{spot: {index: number, left: number}, times: number[], lines: Line[], format: (value: number) => string, width: number}} props */
function Tip({ spot, times, lines, format, width }) {
  const at = times[spot.index];
  const isRight = spot.left > width / 2;
  return html`<div class="chart-tip" aria-hidden="true" style=${isRight ? { right: `${width - spot.left + 12}px` } : { left: `${spot.left + 12}px` }}>
    <div class="chart-tip-at" title=${fullTime(at)}>${time(at)}</div>
    ${lines.map((line) => {
      const value = line.values[spot.index];
      return html`<div key=${line.label} class="chart-tip-row"><span class="swatch ${line.tone}"></span><span class="grow">${line.label}</span><span class="num strong">${value === null || value === undefined ? "–" : format(value)}</span></div>`;
    })}
  </div>`;
}

/** Colours and sums of the lines, as a row above the chart. @param {{items: {label: string, tone: string, value: any, title?: string}[]}} props */
export function Legend({ items }) {
  return html`<ul class="legend">${items.map((item) => html`<li key=${item.label} title=${item.title}><span class="swatch ${item.tone}"></span><span class="muted">${item.label}</span> <span class="num strong">${item.value}</span></li>`)}</ul>`;
}

/** The upper edges of stacked bars, the tallest first, so that the lower ones are drawn over it. @param {Line[]} lines */
function stacked(lines) {
  /** @type {number[]} */
  let sum = (lines[0]?.values ?? []).map(() => 0);
  return lines.map((line) => (sum = sum.map((below, index) => below + (line.values[index] ?? 0)))).reverse();
}

/**
 * @param {typeof import("../vendor/uplot.mjs").default} code
 * @param {{kind: "bars" | "lines", lines: Line[], height: number, width: number, step: number, format: (value: number) => string,
 *   onSpot: (spot: {index: number, left: number} | null) => void}} how
 * @returns {Options}
 */
function settings(code, { kind, lines, height, width, step, format, onSpot }) {
  const isBars = kind === "bars";
  const axis = { stroke: token("--ink-2"), font: `11px ${token("--font")}`, ticks: { show: false }, border: { show: false } };
  /** @type {PlotSeries[]} */
  const series = lines.map((line) => {
    const colour = paint(line.tone);
    if (isBars) return { label: line.label, fill: colour, stroke: colour, width: 0, paths: (self, index) => bands(self, index, step), points: { show: false } };
    return { label: line.label, stroke: colour, width: 1.75, dash: line.dash, spanGaps: false, points: { show: true, size: 4, width: 0, fill: colour, filter: lonely } };
  });
  const row = token("--line");
  return {
    width,
    height,
    padding: [10, 20, 0, 0],
    legend: { show: false },
    cursor: {
      y: false,
      drag: { x: false, y: false },
      points: { show: !isBars, size: 7 },
      ...(isBars ? { dataIdx: (/** @type {UPlot} */ self, /** @type {number} */ _, /** @type {number} */ closest, /** @type {number} */ x) => Math.max(0, self.data[0][closest] > x ? closest - 1 : closest) } : {}),
    },
    scales: {
      x: { range: (_, low, high) => [low, isBars ? high + step : high] },
      y: { range: (_, __, high) => [0, high && high > 0 ? high * 1.08 : EMPTY_TOP[kind]] },
    },
    axes: [
      { ...axis, grid: { show: false }, space: 72, size: 24, values: (_, splits) => splits.map((at) => tick(at, step)) },
      { ...axis, ...(isBars && { incrs: WHOLE }), grid: { stroke: row, width: 1, dash: [2, 4] }, space: 34, size: 52, gap: 6, values: (_, splits) => splits.map((value) => format(value)) },
    ],
    series: [{}, ...(isBars ? series.reverse() : series)],
    hooks: {
      setCursor: [
        (self) => {
          const { idx, left } = self.cursor;
          const isOut = idx === null || idx === undefined || left === undefined || left < 0;
          onSpot(isOut ? null : { index: idx, left: left + self.bbox.left / devicePixelRatio });
        },
      ],
    },
  };
}

/** One layer of stacked bars, from the top of the layer below to its own. @param {UPlot} self @param {number} index @param {number} step seconds */
function bands(self, index, step) {
  const fill = new Path2D();
  const tops = self.data[index];
  const floors = self.data[index + 1] ?? [];
  for (const [at, x] of self.data[0].entries()) {
    const top = tops[at] ?? 0;
    const floor = floors[at] ?? 0;
    if (top <= floor) continue;
    const left = Math.round(self.valToPos(x, "x", true));
    const room = self.valToPos(x + step, "x", true) - left;
    const width = Math.max(1, Math.round(Math.min(room * 0.76, BAR_MAX_PX * devicePixelRatio)));
    const high = self.valToPos(top, "y", true);
    fill.rect(left + Math.round((room - width) / 2), high, width, Math.max(1, self.valToPos(floor, "y", true) - high));
  }
  return { fill, stroke: null, clip: null, band: null, gaps: undefined, flags: 1 };
}

/** Points without neighbours, which a line would not show. @param {UPlot} self @param {number} series @returns {number[]} */
function lonely(self, series) {
  const values = self.data[series];
  const found = [];
  for (let at = 0; at < values.length; at += 1) if (values[at] != null && values[at - 1] == null && values[at + 1] == null) found.push(at);
  return found;
}

/** @param {number} at unix seconds @param {number} step seconds from point to point */
function tick(at, step) {
  const date = new Date(at * 1000);
  const isMidnight = date.getHours() === 0 && date.getMinutes() === 0;
  if (step >= 3600 || isMidnight) {
    const day = date.toLocaleDateString(undefined, { month: "short", day: "numeric" });
    return step >= 86_400 || isMidnight ? day : `${day} ${String(date.getHours()).padStart(2, "0")}:00`;
  }
  return `${String(date.getHours()).padStart(2, "0")}:${String(date.getMinutes()).padStart(2, "0")}`;
}
