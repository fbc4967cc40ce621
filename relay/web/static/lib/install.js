// How to send to a source, for each SDK: what a person pastes into their own code. Pure.

/** @typedef {{id: string, label: string, where: string, text: (key: string, url: string) => string}} Sdk `where`: where the text belongs */

/** @param {string} value */
const quoted = (value) => JSON.stringify(value);

/** @type {Sdk[]} */
export const SDKS = [
  {
    id: "browser",
    label: "Analytics.js",
    where: "npm install @segment/analytics-next",
    text: (key, url) => `import { AnalyticsBrowser } from "@segment/analytics-next";

const analytics = AnalyticsBrowser.load({
  writeKey: ${quoted(key)},
  cdnURL: ${quoted(url)},
});

analytics.page();
analytics.track("Order Completed", { revenue: 39.95, currency: "EUR" });`,
  },
  {
    id: "node",
    label: "Node",
    where: "npm install @segment/analytics-node",
    text: (key, url) => `import { Analytics } from "@segment/analytics-node";

const analytics = new Analytics({
  writeKey: ${quoted(key)},
  host: ${quoted(url)},
});

analytics.track({
  userId: "user-1",
  event: "Order Completed",
  properties: { revenue: 39.95 },
});
await analytics.closeAndFlush();`,
  },
  {
    id: "python",
    label: "Python",
    where: "pip install segment-analytics-python",
    text: (key, url) => `import segment.analytics as analytics

analytics.write_key = ${quoted(key)}
analytics.host = ${quoted(url)}

analytics.track("user-1", "Order Completed", {"revenue": 39.95})
analytics.flush()`,
  },
  {
    id: "swift",
    label: "iOS",
    where: "Swift package github.com/segmentio/analytics-swift",
    text: (key, url) => `import Segment

let configuration = Configuration(writeKey: ${quoted(key)})
    .apiHost(${quoted(`${hostOf(url)}/v1`)})
    .cdnHost(${quoted(`${hostOf(url)}/v1`)})
    .trackApplicationLifecycleEvents(true)
let analytics = Analytics(configuration: configuration)

analytics.track(name: "Order Completed", properties: ["revenue": 39.95])`,
  },
  {
    id: "curl",
    label: "curl",
    where: "a terminal",
    text: (key, url) => `curl ${url}/v1/track -u '${key}:' \\
  -H 'Content-Type: application/json' \\
  -d '{"userId": "user-1", "event": "Order Completed", "properties": {"revenue": 39.95}}'`,
  },
];

/** @param {string} url */
function hostOf(url) {
  return url.replace(/^https?:\/\//, "");
}

/** Which SDK a source most likely uses: by the library that most of its events name, else by its own name. @param {string} library "" when none was seen @param {string} name */
export function likelySdk(library, name) {
  const text = (library || name).toLowerCase();
  if (/swift|ios|iphone/.test(text)) return "swift";
  if (/python/.test(text)) return "python";
  if (/node/.test(text)) return "node";
  return /server|backend|curl|http/.test(text) ? "curl" : "browser";
}
