// Keyboard shortcuts: single keys and two-key sequences such as "g o". Off while somebody types, and off altogether by one switch.
import { signal } from "../vendor/signals.mjs";
import { useEffect } from "../vendor/preact-hooks.mjs";

/** @typedef {{keys: string, label: string, act: (event: KeyboardEvent) => void}} Shortcut */

const STORED = "relay.keys";
const SEQUENCE_MS = 1000;

/** What works now, for the help overlay. */
export const shortcuts = signal(/** @type {Shortcut[]} */ ([]));
/** The one switch. */
export const isOn = signal(stored(STORED) !== "off");

/** @param {boolean} on */
export function switchKeys(on) {
  isOn.value = on;
  store(STORED, on ? "on" : "off");
}

/**
 * Shortcuts for as long as a component is on the screen; of equal keys the latest wins.
 * @param {Shortcut[]} list @param {unknown[]} inputs as of useEffect
 */
export function useKeys(list, inputs) {
  useEffect(() => {
    shortcuts.value = [...shortcuts.value, ...list];
    return () => (shortcuts.value = shortcuts.value.filter((one) => !list.includes(one)), undefined);
  }, inputs);
}

/** A saved choice, or null. @param {string} name */
export function stored(name) {
  try {
    return localStorage.getItem(name);
  } catch {
    return null;
  }
}

/** Save a choice of this browser; a browser without storage forgets it. @param {string} name @param {string} value */
export function store(name, value) {
  try {
    localStorage.setItem(name, value);
  } catch {
    // private mode
  }
}

/** Whether a key belongs to the control that has the focus. @param {KeyboardEvent} event */
function isTyping(event) {
  const target = event.target instanceof HTMLElement ? event.target : null;
  if (!target) return false;
  if (target.isContentEditable || target.matches("input:not([type=checkbox]):not([type=radio]), textarea, select")) return true;
  if ((event.key === " " || event.key === "Enter") && target.closest("button, a, summary, [role=tab], [role=menuitem]")) return true;
  return document.querySelector("dialog[open]") !== null;
}

let first = "";
let firstAt = 0;

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || !isOn.value || isTyping(event)) return;
  const key = event.key === " " ? "space" : event.key === "Escape" ? "esc" : event.key === "Enter" ? "enter" : event.key;
  const pair = event.timeStamp - firstAt < SEQUENCE_MS ? `${first} ${key}` : "";
  const found = find(pair) ?? find(key);
  first = key;
  firstAt = event.timeStamp;
  if (!found) return;
  event.preventDefault();
  first = "";
  found.act(event);
});

/** @param {string} keys */
function find(keys) {
  return keys ? shortcuts.value.findLast((one) => one.keys.split(" or ").includes(keys)) : undefined;
}
