import assert from "node:assert/strict";
import test from "node:test";
import { snippet } from "../../relay/web/static/lib/snippets.js";

const URL = "https://in.example";
const ORDER = { type: "track", event: "Order Completed", userId: "u1", messageId: "m1", receivedAt: "x", properties: { revenue: 39.95, gift: true, note: null }, context: { ip: "203.0.113.7" } };

test("Analytics.js", () => {
  assert.equal(snippet("browser", ORDER, URL), 'analytics.track("Order Completed", {\n  revenue: 39.95,\n  gift: true,\n  note: null\n});');
  assert.equal(snippet("browser", { type: "identify", userId: "u1", traits: { plan: "pro" } }, URL), 'analytics.identify("u1", {\n  plan: "pro"\n});');
  assert.equal(snippet("browser", { type: "page", name: "Home" }, URL), 'analytics.page("Home");');
  assert.equal(snippet("browser", { type: "alias", userId: "new", previousId: "old" }, URL), 'analytics.alias("new", "old");');
});

test("Python has its own words for nothing and true", () => {
  const text = snippet("python", ORDER, URL);
  assert.match(text, /user_id="u1",/);
  assert.match(text, /"gift": True,/);
  assert.match(text, /"note": None,/);
  assert.doesNotMatch(text, /message_id/);
});

test("Node asks this relay and leaves out what the SDK makes", () => {
  const text = snippet("node", ORDER, URL);
  assert.match(text, /host: "https:\/\/in\.example"/);
  assert.doesNotMatch(text, /receivedAt|messageId|context/);
});

test("a quote in the content does not end the argument of curl", () => {
  const text = snippet("curl", { ...ORDER, event: "it's" }, URL);
  assert.match(text, /it'\\''s/);
  assert.match(text, /"\$WRITE_KEY:"/);
  assert.doesNotMatch(text, /receivedAt/);
});
