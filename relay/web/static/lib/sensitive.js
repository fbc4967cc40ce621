// What the privacy pages say about one field: its name, its colour, what is done with it; and the decision of a person.
import { put } from "./api.js";
import { plural, visible } from "./format.js";
import { attempt, Menu, Pill } from "./kit.js";
import { html, Icon } from "./ui.js";

/** @typedef {import("./protect.js").Field} Field */
/** @typedef {import("./protect.js").Told} Told */

const TONES = /** @type {Record<string, "bad" | "warn" | "ok">} */ ({ red: "bad", yellow: "warn", green: "ok" });
const MEANINGS = /** @type {Record<string, string>} */ ({ red: "Red: names a person, or is secret", yellow: "Yellow: sensitive together with others", green: "Green: not sensitive" });

/** @param {Field} field @param {string} color @param {(told: Told) => void} onTold */
export function decide(field, color, onTold) {
  const words = { red: "is red", yellow: "is yellow", green: "is not sensitive", "": "is to be decided again" }[color];
  return attempt(async () => onTold(await put("privacy/fields", { source: field.source, path: field.path, color })), `${field.path} ${words}`);
}

/** Accept what is proposed for each. @param {Field[]} fields @param {(told: Told) => void} onTold */
export function decideAll(fields, onTold) {
  return attempt(async () => {
    for (const { source, path, color } of fields) onTold(await put("privacy/fields", { source, path, color }));
  }, `${plural(fields.length, "proposal")} accepted`);
}

/** What somebody can say about a field. @param {{field: Field, onTold: (told: Told) => void}} props */
export function Decide({ field, onTold }) {
  const say = (/** @type {string} */ label, /** @type {string} */ color) => ({ label, isOn: field.decided === color, act: () => decide(field, color, onTold) });
  return html`<${Menu} class="btn ghost icon small" title="Decide about ${visible(field.path)}" label=${html`<${Icon} name="more" size=${14} />`} items=${[
    say("It is red", "red"),
    say("It is yellow", "yellow"),
    say("It is not sensitive", "green"),
    ...(field.decided ? [null, { label: "Decide again", icon: "refresh", act: () => decide(field, "", onTold) }] : []),
  ]} />`;
}

/** @param {{color: string}} props */
export function Color({ color }) {
  return html`<${Pill} tone=${TONES[color] ?? "off"} title=${MEANINGS[color]}>${color || "undecided"}</${Pill}>`;
}

/** A path with its example, if it may be shown. @param {{field: Field}} props */
export function Name({ field }) {
  const example = field.sample === null || field.sample === undefined ? "" : visible(typeof field.sample === "string" ? field.sample : JSON.stringify(field.sample));
  return html`<div class="mono strong wrap name">${visible(field.path)}</div><div class="small muted ellipsis">${field.matcher && `matches “${visible(field.matcher)}”`}${field.matcher && example && " · "}${example && html`such as <span class="mono">${example}</span>`}</div>`;
}

const WORDS = /** @type {Record<string, string>} */ ({ block: "blocked", mask: "masked", hash: "hashed", encrypt: "encrypted" });

/** @param {{how: string, children?: any}} props */
export function How({ how, children }) {
  return html`<${Pill} tone=${how === "block" ? "ok" : "info"}>${WORDS[how] ?? how}${children}</${Pill}>`;
}
