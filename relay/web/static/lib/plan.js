// What tracking plans say, in words: rules, their fields, the places of a change. Pure.

/**
 * @typedef {Record<string, any>} Schema
 * @typedef {{type: string, key: string, version: number}} Identity
 * @typedef {Identity & {jsonSchema: Schema, why: string, owner: string, destinations: string[], seen_24h: number, last_seen_s: number | null, violations_24h: number}} Rule
 * @typedef {{slug: string, name: string, file: string, sources: string[], violations_24h: number, editable: boolean}} Head
 * @typedef {Head & {rules: Rule[], version: number}} Plan
 * @typedef {{path: string, before: unknown, after: unknown}} Change
 * @typedef {{added: Identity[], removed: Identity[], changed: (Identity & {changes: Change[]})[]}} Diff
 * @typedef {{path: string, name: string, depth: number, type: string, isRequired: boolean, limits: string[], text: string}} Field
 * `limits`: what the values are held to, such as "one of EUR, USD"; `depth`: how far it lies within other fields.
 */

/** @type {Record<string, string>} */
const WHOLE = { IDENTIFY: "Identify calls", GROUP: "Group calls", PAGE: "Page calls", SCREEN: "Screen calls", COMMON: "Every event" };
/** A track rule that holds for these calls. @type {Record<string, string>} */
const VIEWED = { page: "Page Viewed", screen: "Screen Viewed" };
/** @type {[string, (value: any) => string][]} */
const LIMITS = [
  ["const", (value) => `always ${plain(value)}`],
  ["enum", (value) => `one of ${value.map(plain).join(", ")}`],
  ["minimum", (value) => `at least ${value}`],
  ["exclusiveMinimum", (value) => `more than ${value}`],
  ["maximum", (value) => `at most ${value}`],
  ["exclusiveMaximum", (value) => `less than ${value}`],
  ["multipleOf", (value) => `a multiple of ${value}`],
  ["minLength", (value) => `at least ${value} characters`],
  ["maxLength", (value) => `at most ${value} characters`],
  ["pattern", (value) => `matches ${value}`],
  ["format", (value) => `a ${value}`],
  ["minItems", (value) => `at least ${value} items`],
  ["maxItems", (value) => `at most ${value} items`],
  ["uniqueItems", (value) => (value ? "no item twice" : "")],
];

/** @param {unknown} value */
function plain(value) {
  return typeof value === "string" ? value || '""' : JSON.stringify(value);
}

/** @param {unknown} value @returns {value is Schema} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a rule is called: the event, or what it holds for. @param {{type: string, key: string}} rule */
export function ruleName(rule) {
  return rule.key || WHOLE[rule.type] || rule.type;
}

/** One text for a rule, for the address. @param {Identity} rule */
export function ruleId(rule) {
  return `${rule.type} ${rule.version}${rule.key ? ` ${rule.key}` : ""}`;
}

/** The rule that speaks about a field of events of a type and name; the one for every event where no other does. @template {Identity & {jsonSchema: Schema}} R @param {R[]} rules @param {{type: string, event: string, field?: string}} about @returns {R | undefined} */
export function ruleOf(rules, { type, event, field = "" }) {
  const kind = type.toUpperCase();
  const own = rules.find((rule) => rule.type === kind && (!rule.key || rule.key === event)) ?? rules.find((rule) => rule.type === "TRACK" && rule.key === VIEWED[type]);
  const common = rules.find((rule) => rule.type === "COMMON");
  if (!own || !common || !field || speaksOf(own.jsonSchema, field)) return own ?? common;
  return speaksOf(common.jsonSchema, field) ? common : own;
}

/** @param {Schema} schema @param {string} field */
function speaksOf(schema, field) {
  const root = field.split(".")[0];
  return root in (schema.properties ?? {}) || (schema.required ?? []).includes(root);
}

/** "string", "number or null", "list of string". @param {Schema} schema @returns {string} */
export function typeOf(schema) {
  const types = [schema.type ?? []].flat();
  const said = types.map((/** @type {string} */ type) => (type === "array" ? listOf(schema.items) : type));
  if (!said.length) return schema.properties ? "object" : schema.items ? listOf(schema.items) : "";
  return said.join(" or ");
}

/** @param {unknown} items */
function listOf(items) {
  const inner = isObject(items) ? typeOf(items) : "";
  return inner ? `list of ${inner}` : "list";
}

/** What the values of a field are held to. @param {Schema} schema @returns {string[]} */
export function limitsOf(schema) {
  const own = LIMITS.filter(([name]) => name in schema).map(([name, said]) => said(schema[name]));
  const held = [...own, ...(isObject(schema.items) ? limitsOf(schema.items).map((each) => `each ${each}`) : []), schema.additionalProperties === false ? "no other fields" : ""];
  return held.filter(Boolean);
}

/** The fields that a rule speaks of, as a table has them: what lies within another comes after it. @param {Schema} schema @param {string} [above] @param {number} [depth] @returns {Field[]} */
export function fieldsOf(schema, above = "", depth = 0) {
  const parts = isObject(schema.properties) ? schema.properties : {};
  const required = Array.isArray(schema.required) ? schema.required : [];
  const named = Object.entries(parts).filter(([, part]) => isObject(part));
  const only = required.filter((name) => !(name in parts)).map((name) => [name, {}]);
  return [...named, ...only].flatMap(([name, part]) => {
    const path = above ? `${above}.${name}` : name;
    const row = { path, name, depth, type: typeOf(part), isRequired: required.includes(name), limits: limitsOf(part), text: typeof part.description === "string" ? part.description : "" };
    const inner = isObject(part.items) && isObject(part.items.properties) ? fieldsOf(part.items, `${path}[]`, depth + 1) : [];
    return [row, ...fieldsOf(part, path, depth + 1), ...inner];
  });
}

/** The place of a change, as people name it: "jsonSchema.properties.properties.properties.total.type" -> "properties.total: type". @param {string} path */
export function placeOf(path) {
  const keys = path.replace(/^jsonSchema\.?/, "").split(".").filter(Boolean);
  let field = "";
  let at = 0;
  while (at < keys.length) {
    if (keys[at] === "properties" && at + 1 < keys.length) {
      field = field ? `${field}.${keys[at + 1]}` : keys[at + 1];
      at += 2;
    } else if (keys[at] === "items") {
      field += "[]";
      at += 1;
    } else break;
  }
  return [field, keys.slice(at).join(".")].filter(Boolean).join(": ") || path;
}

/** Whether a diff tells of anything. @param {Diff} diff */
export function differs(diff) {
  return diff.added.length + diff.removed.length + diff.changed.length > 0;
}

/** The rules as the editor shows them and the API takes them. @param {Rule[]} rules */
export function textOf(rules) {
  return JSON.stringify({ rules: rules.map(({ type, key, version, jsonSchema }) => ({ type, ...(key ? { key } : {}), version, jsonSchema })) }, null, 2);
}
