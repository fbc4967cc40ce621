// What every page is made of: the template tag, hooks and signals in one place, icons and the state glyphs.
import htm from "../vendor/htm.mjs";
import { h } from "../vendor/preact.mjs";
import { signal } from "../vendor/signals.mjs";

export { Fragment, render } from "../vendor/preact.mjs";
export { useCallback, useEffect, useId, useLayoutEffect, useMemo, useRef, useState } from "../vendor/preact-hooks.mjs";
export { batch, computed, effect, signal, useComputed, useSignal } from "../vendor/signals.mjs";

/** Markup from a template: `html\`<p class="muted">${text}</p>\``. Values become text nodes or attributes, never markup. @type {(strings: TemplateStringsArray, ...values: any[]) => any} */
export const html = htm.bind(h);

const REFRESH = "M13 8a5 5 0 1 1-1.6-3.7M13.2 1.8v3h-3";
const CROSS = "M4.2 4.2l7.6 7.6M11.8 4.2l-7.6 7.6";
const SLASHED = "M8 2.8a5.2 5.2 0 1 0 0 10.4A5.2 5.2 0 0 0 8 2.8M4.4 11.6l7.2-7.2";
const SQUARES = "M5.5 5.5h8v8h-8zM10.5 5.5v-3h-8v8h3";
const BARS = "M5.6 3.6v8.8M10.4 3.6v8.8";

/** Outlines on a 16 x 16 field. @type {Record<string, string>} */
const ICONS = {
  overview: "M2.5 2.5H7V7H2.5zM9 2.5h4.5V7H9zM2.5 9H7v4.5H2.5zM9 9h4.5v4.5H9z",
  live: "M1.5 8.5h3l2-5.5 3 10 2-4.5h3",
  sources: "M7 2.5h6.5v11H7M1.5 8h8M6.7 5.2 9.5 8l-2.8 2.8",
  destinations: "M9 2.5H2.5v11H9M6 8h8.5M11.7 5.2 14.5 8l-2.8 2.8",
  catalog: "M2.5 2.5H7V7H2.5zM9 2.5h4.5V7H9zM2.5 9H7v4.5H2.5zM11.2 9v4.5M9 11.2h4.5",
  privacy: "M8 1.8 13.2 3.8v4c0 3.4-2.2 5.5-5.2 6.5-3-1-5.2-3.1-5.2-6.5v-4zM5.8 7.9l1.6 1.6 3-3",
  filter: "M2.5 3.2h11L9.6 8.4v4.4l-3.2-1.4v-3z",
  plans: "M3.5 2.5h9v11h-9zM6 6h4M6 8.5h4M6 11h2.5",
  alerts: "M4 11V7a4 4 0 0 1 8 0v4l1.2 1.5H2.8zM6.6 14.4a1.6 1.6 0 0 0 2.8 0",
  settings: "M2 4.8h5.6M11.4 4.8H14M2 11.2h2.6M8.4 11.2H14M7.6 4.8a1.9 1.9 0 1 0 3.8 0a1.9 1.9 0 1 0-3.8 0M4.6 11.2a1.9 1.9 0 1 0 3.8 0a1.9 1.9 0 1 0-3.8 0",
  search: "M7 12a5 5 0 1 0 0-10a5 5 0 0 0 0 10M10.8 10.8 14 14",
  sun: "M8 5a3 3 0 1 0 0 6a3 3 0 0 0 0-6M8 1.2v1.3M8 13.5v1.3M1.2 8h1.3M13.5 8h1.3M3.2 3.2l.9.9M11.9 11.9l.9.9M3.2 12.8l.9-.9M11.9 4.1l.9-.9",
  moon: "M13.4 9.8A5.8 5.8 0 1 1 6.2 2.6a4.6 4.6 0 0 0 7.2 7.2z",
  system: "M2 3h12v8H2zM6 13.6h4",
  close: CROSS,
  down: "M4 6l4 4 4-4",
  right: "M6 4l4 4-4 4",
  up: "M8 13V3.2M4 7l4-4 4 4",
  copy: SQUARES,
  pause: BARS,
  play: "M4.5 2.8v10.4L13 8z",
  columns: "M2.5 3h11v10h-11zM6.2 3v10M9.8 3v10",
  send: "M14 2 7 9M14 2 9.5 14 7 9 2 6.5z",
  link: "M6.5 9.5l3-3M7.2 4.6l1.4-1.4a3 3 0 0 1 4.2 4.2l-1.4 1.4M8.8 11.4l-1.4 1.4a3 3 0 0 1-4.2-4.2l1.4-1.4",
  external: "M6 3H3v10h10v-3M9 2.5h4.5V7M13.5 2.5 7.5 8.5",
  check: "M3 8.5l3.2 3.2L13 4.8",
  warn: "M8 2.2 14.4 13.5H1.6zM8 6.6v3M8 11.5v.1",
  info: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2M8 7.4v3.4M8 5.1v.1",
  help: "M8 2.2a5.8 5.8 0 1 0 0 11.6A5.8 5.8 0 0 0 8 2.2M6.3 6.3a1.75 1.75 0 1 1 2.5 1.6c-.5.3-.8.5-.8 1.1M8 11.2v.1",
  refresh: REFRESH,
  more: "M3.5 8h.02M8 8h.02M12.5 8h.02",
  leave: "M6.5 2.5h-4v11h4M6 8h8M11.2 5.2 14 8l-2.8 2.8",
  plus: "M8 3v10M3 8h10",
  trash: "M3 4.5h10M6.2 4.3V2.6h3.6v1.7M4.4 4.5l.7 9h5.8l.7-9",
  bookmark: "M4 2.5h8v11L8 10.6l-4 2.9z",
};

/**
 * What a state looks like: colour class, outline, and the sentence for its tooltip.
 * @type {Record<string, {tone: "ok" | "warn" | "bad" | "info" | "off", path: string, fill?: boolean, text: string}>}
 */
export const STATES = {
  delivered: { tone: "ok", path: "M8 3.8a4.2 4.2 0 1 0 0 8.4A4.2 4.2 0 0 0 8 3.8z", fill: true, text: "the destination accepted it" },
  retry: { tone: "warn", path: REFRESH, text: "failed, waits for the next attempt" },
  dead: { tone: "bad", path: CROSS, text: "given up; kept, can be sent again" },
  expired: { tone: "bad", path: "M5 2.6v2.2L8 8l3-3.2V2.6M5 13.4v-2.2L8 8l3 3.2v2.2M3.8 2.6h8.4M3.8 13.4h8.4", text: "waited too long and was removed" },
  filtered: { tone: "off", path: SLASHED, text: "a rule left it out" },
  blocked: { tone: "warn", path: "M3.2 3.2h9.6v9.6H3.2zM5.6 10.4l4.8-4.8", text: "stopped by a plan or a schema" },
  pending: { tone: "info", path: "M3.2 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3zM8 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3zM12.8 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3z", fill: true, text: "waits for its turn" },
  sending: { tone: "info", path: "M4.5 11.5l7-7M6 4.5h5.5V10", text: "on its way" },
  parked: { tone: "info", path: "M2.4 3.4h1.8v9.2H2.4zM8 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3zM12.8 6.5a1.5 1.5 0 1 0 0 3a1.5 1.5 0 0 0 0-3z", fill: true, text: "waits behind a retry of the same user" },
  held: { tone: "warn", path: BARS, text: "the destination is on hold" },
  discarded: { tone: "off", path: "M3 4.5h10M6.2 4.3V2.6h3.6v1.7M4.4 4.5l.7 9h5.8l.7-9", text: "thrown away by a person" },
  skipped: { tone: "off", path: "M5 8h6", text: "this destination does not take it" },
  accepted: { tone: "ok", path: "M3 8.5l3.2 3.2L13 4.8", text: "stored" },
  rejected: { tone: "bad", path: CROSS, text: "refused at the door" },
  duplicate: { tone: "off", path: SQUARES, text: "was here before" },
  suppressed: { tone: "off", path: SLASHED, text: "its user is suppressed" },
  violated: { tone: "warn", path: "M8 3v6.4M8 12.4v.1", text: "against its tracking plan" },
};

/** An icon without a meaning of its own: the words stand beside it or on the button. @param {{name: string, size?: number}} props */
export function Icon({ name, size = 16 }) {
  return html`<svg class="icon" width=${size} height=${size} viewBox="0 0 16 16" aria-hidden="true"><path d=${ICONS[name] ?? ""} /></svg>`;
}

/** The glyph of a delivery state or a verdict, with its name for those who do not see it. @param {{state: string, title?: string}} props */
export function Glyph({ state, title }) {
  const { tone, path, fill } = STATES[state] ?? { tone: "off", path: "", fill: false };
  const look = `glyph ${tone}${fill ? " fill" : ""}`;
  return html`<svg class=${look} viewBox="0 0 16 16" role="img" aria-label=${title ?? state}><path d=${path} /></svg>`;
}

/** Glyph and word. @param {{state: string, text?: string}} props */
export function State({ state, text }) {
  const known = STATES[state] ?? { tone: "off", text: "", path: "" };
  return html`<span class="state ${known.tone}" title=${known.text}>
    <svg class="glyph ${known.fill ? "fill" : ""}" viewBox="0 0 16 16" aria-hidden="true"><path d=${known.path} /></svg>${text ?? state}
  </span>`;
}

/** Nothing but the text of a state. @param {string} state */
export function toneOf(state) {
  return STATES[state]?.tone ?? "off";
}

/** "light" or "dark": what is on the screen now. Charts that paint on a canvas follow it. */
export const theme = signal(shownTheme());
globalThis.document?.addEventListener("relay:theme", () => (theme.value = shownTheme()));

function shownTheme() {
  return globalThis.document?.documentElement.dataset.theme ?? "light";
}
