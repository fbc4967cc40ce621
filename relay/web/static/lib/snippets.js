// The call that makes the same event again, as a person would write it in their own code. Pure.

/** @typedef {Record<string, any>} Message */

export const LANGUAGES = [
  { id: "browser", label: "Analytics.js" },
  { id: "node", label: "Node" },
  { id: "python", label: "Python" },
  { id: "curl", label: "curl" },
];

const NAMED = ["track", "page", "screen"];
/** Set by the SDK or by relay, never by who makes the call. */
const MADE = ["receivedAt", "sentAt", "originalTimestamp", "messageId", "type", "channel", "version", "writeKey", "_metadata"];

/** @param {string} language @param {Message} message @param {string} url of the tracking API */
export function snippet(language, message, url) {
  if (language === "browser") return browser(message);
  if (language === "node") return node(message, url);
  return language === "python" ? python(message, url) : curl(message, url);
}

/** @param {Message} message */
function data(message) {
  return (message.type === "identify" || message.type === "group" ? message.traits : message.properties) ?? {};
}

/** @param {Message} message */
function name(message) {
  return message.type === "track" ? (message.event ?? "") : (message.name ?? "");
}

/** @param {Message} message */
function browser(message) {
  const args = [];
  const { type } = message;
  if (NAMED.includes(type)) args.push(name(message));
  if (type === "identify") args.push(message.userId ?? null);
  if (type === "group") args.push(message.groupId ?? null);
  if (type === "alias") args.push(message.userId ?? null, message.previousId ?? null);
  else if (Object.keys(data(message)).length) args.push(data(message));
  return `analytics.${type}(${args.map(js).join(", ")});`;
}

/** @param {Message} message */
function fields(message) {
  return Object.fromEntries(Object.entries(message).filter(([key]) => !MADE.includes(key) && key !== "context"));
}

/** @param {Message} message @param {string} url */
function node(message, url) {
  return [
    'import { Analytics } from "@segment/analytics-node";',
    "",
    `const analytics = new Analytics({ writeKey: process.env.WRITE_KEY, host: ${js(url)} });`,
    "",
    `analytics.${message.type}(${js(fields(message))});`,
    "await analytics.closeAndFlush();",
  ].join("\n");
}

/** @param {Message} message @param {string} url */
function python(message, url) {
  const lines = Object.entries(fields(message)).map(([key, value]) => `    ${snake(key)}=${py(value, 1)},`);
  return [
    "import os",
    "import segment.analytics as analytics",
    "",
    'analytics.write_key = os.environ["WRITE_KEY"]',
    `analytics.host = ${py(url, 0)}`,
    `analytics.${message.type}(`,
    ...lines,
    ")",
    "analytics.shutdown()",
  ].join("\n");
}

/** @param {Message} message @param {string} url */
function curl(message, url) {
  const body = JSON.stringify(Object.fromEntries(Object.entries(message).filter(([key]) => !["receivedAt", "sentAt", "messageId", "type", "writeKey"].includes(key))), null, 2);
  return `curl ${url}/v1/${message.type} -u "$WRITE_KEY:" \\\n  -H 'Content-Type: application/json' \\\n  -d '${body.replaceAll("'", "'\\''")}'`;
}

/** @param {unknown} value */
function js(value) {
  return JSON.stringify(value, null, 2).replace(/^(\s*)"([A-Za-z_$][\w$]*)":/gm, "$1$2:");
}

/** @param {unknown} value @param {number} depth @returns {string} */
function py(value, depth) {
  const inner = "    ".repeat(depth + 1);
  const outer = "    ".repeat(depth);
  if (value === null || value === undefined) return "None";
  if (typeof value === "boolean") return value ? "True" : "False";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return value.length ? `[\n${value.map((each) => `${inner}${py(each, depth + 1)},`).join("\n")}\n${outer}]` : "[]";
  const pairs = Object.entries(value);
  return pairs.length ? `{\n${pairs.map(([key, each]) => `${inner}${JSON.stringify(key)}: ${py(each, depth + 1)},`).join("\n")}\n${outer}}` : "{}";
}

/** @param {string} key */
function snake(key) {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
