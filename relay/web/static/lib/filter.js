// The filter bar's language, as in relay/observe/filter_bar.py: text to the tree that the server evaluates.
// tests/data/filter_cases.json holds both parsers to one meaning.

/**
 * @typedef {{f: string, op: "eq" | "in" | "glob" | "has" | "text" | "gt" | "lt", v: string | number | (string | number)[]}} Leaf
 * @typedef {Leaf | {all: Tree[]} | {any: Tree[]} | {not: Tree}} Tree
 * @typedef {{text: string, isQuoted: boolean, at: number}} Word
 */

/** What can stand before a colon, beside a path into the event. */
const FIELDS = ["type", "source", "event", "user", "id", "verdict", "code", "to", "state", "plan", "bytes", "has", "text"];
export const ROOTS = ["properties", "traits", "context", "integrations"];
/** Fields that take certain words only. @type {Record<string, string[]>} */
const WORDS = {
  type: ["track", "page", "screen", "identify", "group", "alias"],
  state: ["pending", "sending", "retry", "parked", "held", "delivered", "filtered", "blocked", "dead", "expired", "discarded"],
  verdict: ["accepted", "rejected", "duplicate", "suppressed", "blocked"],
};
/** @type {Record<string, {op: "gt" | "eq", v: number}>} */
const PLAN_WORDS = { violated: { op: "gt", v: 0 }, ok: { op: "eq", v: 0 } };
const NUMBERS = ["plan", "bytes"];
const TEXT_MAX_CHARS = 2000;
const LEAVES_MAX = 64;
const LIST_MAX = 50;
const VALUE_MAX_CHARS = 512;

const FIELD = /[A-Za-z_][\p{L}\p{N}_.$-]*(?=:)/uy;
const WORD = /[^\s,"]+/y;
const BARE = /[^\s"]+/y;
const QUOTED = /"((?:[^"\\]|\\.)*)"/y;
const NUMBER = /^-?\d{1,15}(\.\d{1,15})?$/;

/** The text is no filter; `at` is the offset of the character where it goes wrong. */
export class FilterError extends Error {
  /** @param {string} message @param {number} at */
  constructor(message, at) {
    super(message);
    this.at = at;
  }
}

/** @param {string} text @returns {{all: Tree[]}} */
export function parse(text) {
  if (text.length > TEXT_MAX_CHARS) throw new FilterError(`the filter is longer than ${TEXT_MAX_CHARS} characters`, TEXT_MAX_CHARS);
  /** @type {Tree[]} */
  const all = [];
  for (let at = skip(text, 0); at < text.length; ) {
    if (all.length === LEAVES_MAX) throw new FilterError(`the filter has more than ${LEAVES_MAX} terms`, at);
    const term = readTerm(text, at);
    all.push(term.tree);
    at = skip(text, term.end);
  }
  return { all };
}

/** @param {string} text @param {number} at */
function skip(text, at) {
  while (at < text.length && /\s/.test(text[at])) at += 1;
  return at;
}

/** @param {RegExp} pattern @param {string} text @param {number} at */
function match(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

/** @param {string} text @param {number} start @returns {{tree: Tree, end: number}} */
function readTerm(text, start) {
  const isNegated = text[start] === "-";
  const at = isNegated ? start + 1 : start;
  const field = match(FIELD, text, at)?.[0];
  if (field !== undefined) checkField(field, at);
  const { words, end } = readValues(text, field === undefined ? at : at + field.length + 1, field !== undefined);
  /** @type {Tree} */
  const tree = field === undefined ? { f: "text", op: "text", v: words[0].text } : leaf(field, words);
  return { tree: isNegated ? { not: tree } : tree, end };
}

/**
 * One value, or several between commas, and where they end.
 * @param {string} text @param {number} at @param {boolean} isList
 */
function readValues(text, at, isList) {
  /** @type {Word[]} */
  const words = [];
  for (;;) {
    const quote = match(QUOTED, text, at);
    const found = quote ?? match(isList ? WORD : BARE, text, at);
    if (!found) throw new FilterError(text[at] === '"' ? "a quote is not closed" : "a value is missing", at);
    const word = quote ? quote[1].replace(/\\(.)/g, "$1") : found[0];
    if (!word || word.length > VALUE_MAX_CHARS) throw new FilterError(`a value has 1 to ${VALUE_MAX_CHARS} characters`, at);
    words.push({ text: word, isQuoted: quote !== null, at });
    at += found[0].length;
    if (at === text.length || /\s/.test(text[at])) return { words, end: at };
    if (!isList || text[at] !== ",") throw new FilterError("a space is missing", at);
    if (words.length === LIST_MAX) throw new FilterError(`a list has more than ${LIST_MAX} values`, at);
    at += 1;
  }
}

/** @param {string} field @param {Word[]} words @returns {Tree} */
function leaf(field, words) {
  const leaves = words.map((word) => one(field, word));
  if (leaves.length === 1) return leaves[0];
  if (leaves.some((each) => each.op !== "eq")) return { any: leaves };
  return { f: field, op: "in", v: leaves.map((each) => /** @type {string | number} */ (each.v)) };
}

/** @param {string} field @param {Word} word @returns {Leaf} */
function one(field, { text, isQuoted, at }) {
  if (field === "has" || field === "text") return { f: field, op: field, v: text };
  if (field === "plan" && Object.hasOwn(PLAN_WORDS, text)) return { f: field, ...PLAN_WORDS[text] };
  const isNumber = NUMBERS.includes(field);
  if (!isQuoted && /^[<>]/.test(text) && (isNumber || field.includes(".")))
    return { f: field, op: text[0] === ">" ? "gt" : "lt", v: number(field, text.slice(1), at + 1) };
  if (isNumber) return { f: field, op: "eq", v: number(field, text, at) };
  if (text.includes("*")) return { f: field, op: "glob", v: text };
  const known = WORDS[field];
  if (known && !known.includes(text.toLowerCase()))
    throw new FilterError(`unknown ${field} '${text}'${nearest(text, known) || `, one of ${known.join(", ")}`}`, at);
  return { f: field, op: "eq", v: text };
}

/** @param {string} field @param {number} at */
function checkField(field, at) {
  const [root, ...path] = field.split(".");
  if (FIELDS.includes(field) || (ROOTS.includes(root) && path.join("."))) return;
  const isPath = path.length > 0 && !ROOTS.includes(root);
  throw new FilterError(`unknown field '${field}'${isPath ? nearest(root, ROOTS) : nearest(field, FIELDS)}`, at);
}

/** @param {string} field @param {string} text @param {number} at */
function number(field, text, at) {
  if (NUMBER.test(text)) return Number(text);
  throw new FilterError(`'${field}' is compared with a number${field === "plan" ? nearest(text, Object.keys(PLAN_WORDS)) : ""}`, at);
}

/** The known word that is at most two edits away. @param {string} word @param {string[]} known */
function nearest(word, known) {
  const far = known.map((each) => distance(word.toLowerCase(), each));
  const least = Math.min(...far);
  return least < 3 && least < word.length ? `, did you mean '${known[far.indexOf(least)]}'?` : "";
}

/** Levenshtein. @param {string} a @param {string} b */
function distance(a, b) {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1)
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1)));
    row = next;
  }
  return row[b.length];
}

/** A value as it has to stand after a colon. @param {string} value */
export function quoted(value) {
  return /[\s",\\]|^[<>]/.test(value) ? `"${value.replace(/[\\"]/g, "\\$&")}"` : value;
}

/** The words that can follow what is typed. @param {string} text @returns {{from: number, words: string[]}} */
export function suggestions(text) {
  const from = Math.max(text.lastIndexOf(" "), text.lastIndexOf("\t")) + 1;
  const word = text.slice(from).replace(/^-/, "");
  const start = text.length - word.length;
  const colon = word.indexOf(":");
  if (word === "" || word.includes('"')) return { from: start, words: [] };
  if (colon < 0) return { from: start, words: FIELDS.filter((field) => field.startsWith(word) && field !== "text").map((field) => `${field}:`) };
  const typed = word.slice(word.lastIndexOf(",") + 1 || colon + 1);
  const known = word.startsWith("plan:") ? Object.keys(PLAN_WORDS) : (WORDS[word.slice(0, colon)] ?? []);
  return { from: text.length - typed.length, words: known.filter((each) => each.startsWith(typed) && each !== typed) };
}
