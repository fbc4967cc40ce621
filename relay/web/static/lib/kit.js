// The components of the UI, drawn with the classes of app.css. State stays with the page that uses them.
import { ApiError } from "./api.js";
import { ago, fullTime, iso, seconds } from "./format.js";
import { store, stored } from "./keys.js";
import { nowS } from "./session.js";
import { Fragment, html, Icon, signal, useEffect, useId, useLayoutEffect, useRef, useState } from "./ui.js";

/** @typedef {import("./poll.js").Polled<any>} Polled */

/** A short word in a coloured pill. @param {{tone?: "ok" | "warn" | "bad" | "info" | "off" | "accent", title?: string, children?: any}} props */
export function Pill({ tone = "off", title, children }) {
  return html`<span class="pill ${tone}" title=${title}>${children}</span>`;
}

/**
 * Local time; the tooltip holds date and offset, copying gives ISO.
 * @param {{at_s: number | null | undefined, isAgo?: boolean, text?: string}} props
 */
export function Time({ at_s, isAgo = false, text }) {
  if (at_s === null || at_s === undefined) return html`<span class="muted">${isAgo ? "never" : "–"}</span>`;
  return html`<time class="num" datetime=${iso(at_s)} title=${fullTime(at_s)}>${text ?? ago(at_s, nowS())}</time>`;
}

/** Pairs of name and value. @param {{items: ([string, any] | null | false)[]}} props */
export function Kv({ items }) {
  return html`<dl class="kv">${items.map((item) => item && html`<${Fragment} key=${item[0]}><dt>${item[0]}</dt><dd>${item[1]}</dd></${Fragment}>`)}</dl>`;
}

/**
 * One choice of a few, side by side, such as the period.
 * @param {{label: string, options: {value: string, label: any, title?: string}[], value: string, onChange: (value: string) => void}} props
 */
export function Segmented({ label, options, value, onChange }) {
  return html`<div class="segmented" role="group" aria-label=${label}>
    ${options.map(
      (option) => html`<button key=${option.value} type="button" title=${option.title} aria-pressed=${option.value === value} onClick=${() => onChange(option.value)}>${option.label}</button>`,
    )}
  </div>`;
}

/** 1h, 24h, 7d or 30d. @param {{value: string, onChange: (value: string) => void, options?: string[]}} props */
export function Periods({ value, onChange, options = ["1h", "24h", "7d", "30d"] }) {
  return html`<${Segmented} label="Period" options=${options.map((each) => ({ value: each, label: each }))} value=${value} onChange=${onChange} />`;
}

/**
 * Tabs with the panel of the chosen one as children; arrow keys move between them.
 * @param {{label: string, tabs: {id: string, label: any, count?: any}[], value: string, onChange: (id: string) => void, children?: any, class?: string}} props
 */
export function Tabs({ label, tabs, value, onChange, children, class: look = "" }) {
  const id = useId();
  const list = useRef(/** @type {HTMLElement | null} */ (null));
  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const at = tabs.findIndex((tab) => tab.id === value);
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: tabs.length - 1 }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    const next = tabs[(to + tabs.length) % tabs.length];
    onChange(next.id);
    /** @type {HTMLElement | null | undefined} */ (list.current?.querySelector(`[data-tab="${next.id}"]`))?.focus();
  };
  return html`<div class="tabs ${look}">
    <div class="tab-list" role="tablist" aria-label=${label} ref=${list} onKeyDown=${move}>
      ${tabs.map(
        (tab) => html`<button key=${tab.id} type="button" class="tab" role="tab" id="${id}-${tab.id}" data-tab=${tab.id} aria-selected=${tab.id === value}
          aria-controls="${id}-panel" tabindex=${tab.id === value ? 0 : -1} onClick=${() => onChange(tab.id)}>${tab.label}${tab.count !== undefined && tab.count !== null && html`<span class="count">${tab.count}</span>`}</button>`,
      )}
    </div>
    <div class="tab-panel" role="tabpanel" id="${id}-panel" aria-labelledby="${id}-${value}" tabindex="0">${children}</div>
  </div>`;
}

/**
 * A modal window; esc, the cross and a click beside it close it. What has `data-first` gets the focus.
 * @param {{title: any, onClose: () => void, children?: any, foot?: any, isWide?: boolean}} props
 */
export function Dialog({ title, onClose, children, foot, isWide = false }) {
  const id = useId();
  const self = useRef(/** @type {HTMLDialogElement | null} */ (null));
  useLayoutEffect(() => {
    const before = document.activeElement;
    self.current?.showModal();
    /** @type {HTMLElement | null | undefined} */ (self.current?.querySelector("[data-first]"))?.focus();
    return () => before instanceof HTMLElement && before.isConnected && before.focus();
  }, []);
  /** @param {MouseEvent} event */
  const beside = (event) => event.target === self.current && onClose();
  return html`<dialog class="dialog ${isWide ? "wide" : ""}" ref=${self} tabindex="-1" autofocus aria-labelledby=${id} onClose=${onClose} onMouseDown=${beside}>
    <div class="dialog-head"><h2 id=${id}>${title}</h2><button type="button" class="btn ghost icon" aria-label="Close" onClick=${onClose}><${Icon} name="close" /></button></div>
    <div class="dialog-body">${children}</div>
    ${foot && html`<div class="dialog-foot">${foot}</div>`}
  </dialog>`;
}

/**
 * A button that opens a list of actions. `items`: null leaves a line between groups.
 * @param {{label: any, title?: string, class?: string, align?: "left" | "right", items: ({label: any, icon?: string, isOn?: boolean, isBad?: boolean, disabled?: boolean, act: () => void} | null)[]}} props
 */
export function Menu({ label, title, class: look = "btn", align = "right", items }) {
  const [isOpen, setOpen] = useState(false);
  const self = useRef(/** @type {HTMLElement | null} */ (null));
  useEffect(() => {
    if (!isOpen) return undefined;
    const box = self.current;
    /** @type {HTMLElement | null | undefined} */ (box?.querySelector("[role^=menuitem]:not(:disabled)"))?.focus();
    /** @param {Event} event */
    const outside = (event) => !(event.target instanceof Node && box?.contains(event.target)) && setOpen(false);
    document.addEventListener("pointerdown", outside);
    return () => document.removeEventListener("pointerdown", outside);
  }, [isOpen]);
  /** @param {KeyboardEvent} event */
  const move = (event) => {
    const all = /** @type {HTMLElement[]} */ ([...(self.current?.querySelectorAll("[role^=menuitem]:not(:disabled)") ?? [])]);
    const at = all.indexOf(/** @type {HTMLElement} */ (document.activeElement));
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: -1 }[event.key];
    if (event.key === "Escape" || event.key === "Tab") {
      setOpen(false);
      if (event.key === "Escape") /** @type {HTMLElement | null | undefined} */ (self.current?.querySelector("button"))?.focus();
    } else if (to !== undefined) all.at(to % all.length)?.focus();
    else return;
    event.stopPropagation();
    if (event.key !== "Tab") event.preventDefault();
  };
  return html`<span class="menu-box" ref=${self} onKeyDown=${isOpen ? move : undefined}>
    <button type="button" class=${look} title=${title} aria-label=${title} aria-haspopup="menu" aria-expanded=${isOpen} onClick=${() => setOpen(!isOpen)}>${label}</button>
    ${isOpen &&
    html`<div class="menu ${align}" role="menu">
      ${items.map((item, index) =>
        item
          ? html`<button key=${index} type="button" role=${item.isOn === undefined ? "menuitem" : "menuitemcheckbox"} aria-checked=${item.isOn} class="menu-item ${item.isBad ? "bad" : ""}"
              disabled=${item.disabled} onClick=${() => (item.isOn === undefined && setOpen(false), item.act())}>
              ${item.isOn !== undefined ? html`<span class="menu-mark">${item.isOn && html`<${Icon} name="check" size=${14} />`}</span>` : item.icon && html`<${Icon} name=${item.icon} size=${14} />`}
              <span class="grow">${item.label}</span>
            </button>`
          : html`<div key=${index} class="menu-line" role="separator"></div>`,
      )}
    </div>`}
  </span>`;
}

const THEMES = [
  { value: "system", label: "As the system", icon: "system" },
  { value: "light", label: "Light", icon: "sun" },
  { value: "dark", label: "Dark", icon: "moon" },
];

/** Light, dark or as the system: chosen in the top bar, kept in this browser. */
export function ThemeMenu() {
  const [chosen, setChosen] = useState(stored("relay.theme") ?? "system");
  const now = THEMES.find((each) => each.value === chosen) ?? THEMES[0];
  /** @param {string} value */
  const choose = (value) => {
    store("relay.theme", value);
    setChosen(value);
    document.dispatchEvent(new Event("relay:theme-saved"));
  };
  return html`<${Menu} class="btn ghost icon" title="Colours" label=${html`<${Icon} name=${now.icon} />`}
    items=${THEMES.map((each) => ({ label: each.label, isOn: each.value === chosen, act: () => choose(each.value) }))} />`;
}

/** @typedef {{id: number, tone: "ok" | "bad" | "info", text: string}} Told */
const told = signal(/** @type {Told[]} */ ([]));
let lastId = 0;

/** A short message at the edge of the screen, gone after some seconds. @param {string} text @param {"ok" | "bad" | "info"} [tone] */
export function toast(text, tone = "ok") {
  const id = (lastId += 1);
  told.value = [...told.value.slice(-3), { id, tone, text }];
  setTimeout(() => (told.value = told.value.filter((one) => one.id !== id)), tone === "bad" ? 8000 : 4000);
}

/** Where toasts appear: once, in the shell. */
export function Toasts() {
  return html`<div class="toasts" role="status" aria-live="polite">
    ${told.value.map((one) => html`<div key=${one.id} class="toast ${one.tone}"><${Icon} name=${one.tone === "ok" ? "check" : one.tone === "bad" ? "warn" : "info"} />${one.text}</div>`)}
  </div>`;
}

/** Do what may be refused, and say how it went. @param {() => Promise<any>} act @param {string | ((answer: any) => string)} done @returns {Promise<boolean>} */
export async function attempt(act, done) {
  try {
    const answer = await act();
    toast(typeof done === "string" ? done : done(answer));
    return true;
  } catch (error) {
    toast(error instanceof ApiError ? error.message : String(error), "bad");
    return false;
  }
}

/** Into the clipboard. @param {string} text @param {string} [what] */
export function copy(text, what = "Copied") {
  return attempt(async () => (navigator.clipboard ? navigator.clipboard.writeText(text) : copyBySelection(text)), what);
}

/** For pages without TLS on another machine: the browser keeps its clipboard from them. @param {string} text */
function copyBySelection(text) {
  const field = Object.assign(document.createElement("textarea"), { value: text, className: "sr-only" });
  (document.querySelector("dialog[open]") ?? document.body).append(field);
  field.select();
  const isDone = document.execCommand("copy");
  field.remove();
  if (!isDone) throw new Error("The browser does not let this page copy.");
}

/** @param {{text: string, label?: string, what?: string}} props */
export function CopyButton({ text, label = "Copy", what = "Copied" }) {
  return html`<button type="button" class="btn ghost icon small" aria-label=${label} title=${label} onClick=${() => copy(text, what)}><${Icon} name="copy" size=${14} /></button>`;
}

/** Nothing here: one sentence, and what to do next as children. @param {{title: string, icon?: string, children?: any}} props */
export function Empty({ title, icon = "info", children }) {
  return html`<div class="empty"><span class="empty-icon"><${Icon} name=${icon} size=${20} /></span><p class="empty-title">${title}</p>${children}</div>`;
}

/** What failed, its code, and a way to try again. @param {{error: ApiError, onRetry?: () => void, title?: string}} props */
export function ErrorBox({ error, onRetry, title = "This could not be loaded" }) {
  return html`<div class="notice bad" role="alert">
    <${Icon} name="warn" />
    <div class="grow"><strong>${title}</strong><p>${error.message} <code>${error.code}${error.status ? ` · ${error.status}` : ""}</code></p></div>
    ${onRetry && html`<button type="button" class="btn small" onClick=${onRetry}><${Icon} name="refresh" size=${14} />Retry</button>`}
  </div>`;
}

/** Grey bars in the place of what comes. @param {{rows?: number}} props */
export function Skeleton({ rows = 6 }) {
  return html`<div class="skeletons" aria-busy="true" aria-label="Loading">${Array.from({ length: rows }, (_, index) => html`<div key=${index} class="skeleton"></div>`)}</div>`;
}

/**
 * The four states of what is polled: skeleton, error, old data with its age, data. `children` is a function of the data.
 * @param {{poll: Polled, children: (data: any) => any, rows?: number}} props
 */
export function View({ poll, children, rows }) {
  if (poll.data !== null) {
    return html`<${Fragment}>
      ${poll.error && html`<div class="notice warn stale-note"><${Icon} name="warn" /><span class="grow">Figures of ${seconds(Math.round(poll.staleS))} ago: ${poll.error.message} <code>${poll.error.code}</code></span>
        <button type="button" class="btn small" onClick=${poll.reload}>Retry</button></div>`}
      <div class=${poll.error ? "stale" : "fresh"}>${children(poll.data)}</div>
    </${Fragment}>`;
  }
  if (poll.error) return html`<${ErrorBox} error=${poll.error} onRetry=${poll.reload} />`;
  return poll.isSlow ? html`<${Skeleton} rows=${rows} />` : null;
}
