// What a filter or a transformation does, in words; and rules to begin with. Pure.
import { percent } from "./format.js";

/** @typedef {Record<string, any>} Rule keys as in a file: `if`, `actions`, `propertyRenames` ... */
/** @typedef {{does: string, what?: string}} Deed `what`: the fields or values, to be set in the fixed-width font */

/** @param {"filter" | "transformation"} kind @param {Rule} rule @returns {Deed[]} */
export function deedsOf(kind, rule) {
  return kind === "filter" ? list(rule.actions).map(action) : changes(rule);
}

/** @param {any} one @returns {Deed} */
function action(one) {
  if (one.type === "DROP") return { does: "The event does not go there" };
  if (one.type === "SAMPLE") return one.path ? { does: `Keeps ${percent(one.percent)}, decided by`, what: one.path } : { does: `Keeps ${percent(one.percent)} of the events` };
  if (one.type === "DROP_PROPERTIES") return { does: "Leaves out", what: paths(one.fields) };
  if (one.type === "ALLOW_PROPERTIES") return { does: "Keeps only", what: paths(one.fields) };
  return { does: String(one.type) };
}

/** @param {Rule} rule @returns {Deed[]} */
function changes(rule) {
  const hashing = rule.hashPropertiesConfiguration;
  return [
    ...(rule.drop ? [{ does: "Drops the event" }] : []),
    ...(rule.newEventName ? [{ does: "Names the event", what: rule.newEventName }] : []),
    ...list(rule.propertyRenames).map((one) => ({ does: "Renames", what: `${one.oldName} → ${one.newName}` })),
    ...list(rule.propertyValueTransformations).map((one) => ({ does: "Sets", what: `${list(one.propertyPaths).join(", ")} = ${JSON.stringify(one.propertyValue)}` })),
    ...list(rule.fqlDefinedProperties).map((one) => ({ does: "Computes", what: `${one.propertyName} = ${one.fql}` })),
    ...(rule.allowProperties ? [{ does: "Keeps only", what: rule.allowProperties.join(", ") || "nothing in properties and traits" }] : []),
    ...(hashing ? [{ does: `Hashes (${hashing.algorithm ?? "SHA256"}${hashing.key ? ", with a key" : ""})`, what: list(hashing.paths).join(", ") }] : []),
  ];
}

/** @param {any} value @returns {any[]} */
function list(value) {
  return Array.isArray(value) ? value : [];
}

/** @param {Record<string, string[]>} fields */
function paths(fields) {
  return Object.entries(fields ?? {}).flatMap(([path, keys]) => (keys.length ? keys.map((key) => (path ? `${path}.${key}` : key)) : [`nothing in ${path || "the event"}`])).join(", ");
}

/** What the actions of a new rule can be: put into what is written already. @type {Record<"filter" | "transformation", {label: string, value: any}[]>} */
export const STARTS = {
  filter: [
    { label: "Drop the event", value: { type: "DROP" } },
    { label: "Keep a sample of the users", value: { type: "SAMPLE", percent: 0.1, path: "userId" } },
    { label: "Leave out fields", value: { type: "DROP_PROPERTIES", fields: { context: ["ip"], properties: ["coupon"] } } },
    { label: "Keep only some fields", value: { type: "ALLOW_PROPERTIES", fields: { properties: ["revenue", "currency"] } } },
  ],
  transformation: [
    { label: "Rename the event", value: { newEventName: "Order Completed" } },
    { label: "Rename a property", value: { propertyRenames: [{ oldName: "properties.sum", newName: "properties.revenue" }] } },
    { label: "Set a value", value: { propertyValueTransformations: [{ propertyPaths: ["properties.channel"], propertyValue: "web" }] } },
    { label: "Compute a property", value: { fqlDefinedProperties: [{ fql: "lowercase(properties.code)", propertyName: "properties.code" }] } },
    { label: "Keep only some properties", value: { allowProperties: ["properties.revenue"] } },
    { label: "Hash fields", value: { hashPropertiesConfiguration: { algorithm: "SHA256", paths: ["traits.email"] } } },
    { label: "Drop the event", value: { drop: true } },
  ],
};
