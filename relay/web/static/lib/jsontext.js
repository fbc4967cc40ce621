// JSON with its places: where it breaks, and on which line each value stands. Pure.

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SPACE = /[ \t\r\n]*/y;
const WORD = /true|false|null/y;
const DEEPEST = 200;

/** @typedef {{message: string, line: number, at?: string, remedy?: string}} Problem lines count from 1 */

class Broken extends Error {
  /** @param {string} message @param {number} index */
  constructor(message, index) {
    super(message);
    this.index = index;
  }
}

/**
 * The value of a text and the line of each place in it ("/rules/3/type"), or what is wrong.
 * @param {string} text @returns {{value: any, lines: Map<string, number>, problem: Problem | null}}
 */
export function readJson(text) {
  /** @type {Map<string, number>} */
  const starts = new Map();
  const reader = new Reader(text, starts);
  try {
    reader.value("", 0);
    reader.end();
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    return { value: undefined, lines: new Map(), problem: { message: error.message, line: lineAt(text, error.index) } };
  }
  return { value: JSON.parse(text), lines: linesOf(text, starts), problem: null };
}

class Reader {
  /** @param {string} text @param {Map<string, number>} starts */
  constructor(text, starts) {
    this.text = text;
    this.at = 0;
    this.starts = starts;
  }

  /** @param {RegExp} pattern */
  take(pattern) {
    pattern.lastIndex = this.at;
    const found = pattern.exec(this.text)?.[0];
    if (found !== undefined) this.at += found.length;
    return found;
  }

  next() {
    this.take(SPACE);
    return this.text[this.at];
  }

  /** @param {string} place @param {number} depth */
  value(place, depth) {
    const sign = this.next();
    if (depth > DEEPEST) throw new Broken("nested too deep", this.at);
    if (!this.starts.has(place)) this.starts.set(place, this.at);
    if (sign === "{") return this.members(place, depth);
    if (sign === "[") return this.items(place, depth);
    if (this.take(STRING) ?? this.take(NUMBER) ?? this.take(WORD)) return undefined;
    throw new Broken(sign === undefined ? "the text ends too early" : sign === '"' ? "this text has no end, or holds a sign that must be escaped" : sign === "'" ? 'texts stand in double quotes: "' : "a value is missing here", this.at);
  }

  /** @param {string} place @param {number} depth */
  members(place, depth) {
    this.at += 1;
    const seen = new Set();
    if (this.next() === "}") return void (this.at += 1);
    for (;;) {
      this.next();
      const start = this.at;
      const name = this.take(STRING);
      if (name === undefined) throw new Broken(this.text[start] === "}" ? "a comma too many before this" : "a name in double quotes is missing here", start);
      const key = JSON.parse(name);
      if (seen.has(key)) throw new Broken(`"${key}" stands here twice`, start);
      seen.add(key);
      const inner = `${place}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      this.starts.set(inner, start);
      if (this.next() !== ":") throw new Broken("a colon is missing here", this.at);
      this.at += 1;
      this.value(inner, depth + 1);
      if (this.goesOn("}")) return undefined;
    }
  }

  /** @param {string} place @param {number} depth */
  items(place, depth) {
    this.at += 1;
    if (this.next() === "]") return void (this.at += 1);
    for (let index = 0; ; index += 1) {
      if (this.next() === "]") throw new Broken("a comma too many before this", this.at);
      this.value(`${place}/${index}`, depth + 1);
      if (this.goesOn("]")) return undefined;
    }
  }

  /** After a member: true at the end. @param {string} end */
  goesOn(end) {
    const before = this.at;
    const sign = this.next();
    if (sign !== "," && sign !== end) throw new Broken(sign === undefined ? `the text ends before its ${end}` : `a comma or ${end} is missing here`, sign === undefined ? this.at : before);
    this.at += 1;
    return sign === end;
  }

  end() {
    if (this.next() !== undefined) throw new Broken("nothing may follow here", this.at);
  }
}

/** @param {string} text @param {number} index */
function lineAt(text, index) {
  let line = 1;
  for (let at = text.indexOf("\n"); at !== -1 && at < index; at = text.indexOf("\n", at + 1)) line += 1;
  return line;
}

/** Lines of places that come in the order of the text. @param {string} text @param {Map<string, number>} starts */
function linesOf(text, starts) {
  /** @type {Map<string, number>} */
  const lines = new Map();
  let line = 1;
  let passed = 0;
  for (const [place, index] of [...starts].sort((one, other) => one[1] - other[1])) {
    for (let at = text.indexOf("\n", passed); at !== -1 && at < index; at = text.indexOf("\n", at + 1)) {
      line += 1;
      passed = at + 1;
    }
    lines.set(place, line);
  }
  return lines;
}

/** The line of a place, or of the nearest one around it. @param {Map<string, number>} lines @param {string} place */
export function lineOf(lines, place) {
  for (let at = place; at; at = at.slice(0, at.lastIndexOf("/"))) {
    const line = lines.get(at);
    if (line !== undefined) return line;
  }
  return 1;
}
