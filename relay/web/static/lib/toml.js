// A rule as a file has it: what a person pastes under the table of its source or destination. Pure.

/** @param {string} head such as "destination.filter" @param {Record<string, unknown>} values what is undefined or null is left out */
export function tomlTable(head, values) {
  return `[[${head}]]\n${Object.entries(values)
    .filter(([, value]) => value !== undefined && value !== null)
    .map(([key, value]) => `${keyOf(key)} = ${isList(value) ? list(value) : toml(value)}\n`)
    .join("")}`;
}

/** One value on one line. @param {unknown} value @returns {string} */
export function toml(value) {
  if (typeof value === "string") return text(value);
  if (Array.isArray(value)) return `[${value.map(toml).join(", ")}]`;
  if (typeof value === "object" && value !== null) {
    const items = Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
    return items.length ? `{ ${items.map(([key, item]) => `${keyOf(key)} = ${toml(item)}`).join(", ")} }` : "{}";
  }
  return String(value);
}

/** @param {string} value */
function text(value) {
  const isPlain = /^[^'\p{Cc}]*$/u.test(value);
  return /["\\]/.test(value) && isPlain ? `'${value}'` : JSON.stringify(value).replaceAll("\u007f", "\\u007f");
}

/** @param {string} key */
function keyOf(key) {
  return /^[A-Za-z0-9_-]+$/.test(key) ? key : text(key);
}

/** Several tables, which are read more easily below each other. @param {unknown} value @returns {value is object[]} */
function isList(value) {
  return Array.isArray(value) && value.length > 1 && value.every((each) => typeof each === "object" && each !== null);
}

/** @param {object[]} tables */
function list(tables) {
  return `[\n${tables.map((each) => `  ${toml(each)},\n`).join("")}]`;
}
