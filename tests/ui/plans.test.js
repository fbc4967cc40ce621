import assert from "node:assert/strict";
import test from "node:test";
import { lineOf, readJson } from "../../relay/web/static/lib/jsontext.js";
import { fieldsOf, placeOf, ruleId, ruleName, ruleOf, textOf, typeOf } from "../../relay/web/static/lib/plan.js";

const order = { type: "TRACK", key: "Order Completed", version: 1, jsonSchema: { properties: { properties: { type: "object", required: ["total", "id"], properties: { total: { type: "number", minimum: 0 }, items: { type: "array", items: { type: "object", properties: { sku: { type: ["string", "null"] } } } } } } } } };
const common = { type: "COMMON", key: "", version: 1, jsonSchema: { properties: { context: { required: ["locale"] } } } };
const viewed = { type: "TRACK", key: "Page Viewed", version: 2, jsonSchema: {} };

test("the fields of a rule stand in the order of the schema, what lies within another after it", () => {
  const told = fieldsOf(order.jsonSchema).map((one) => [one.path, one.type, one.isRequired, one.depth]);
  assert.deepEqual(told, [
    ["properties", "object", false, 0],
    ["properties.total", "number", true, 1],
    ["properties.items", "list of object", false, 1],
    ["properties.items[].sku", "string or null", false, 2],
    ["properties.id", "", true, 1],
  ]);
  assert.deepEqual(fieldsOf(order.jsonSchema)[1].limits, ["at least 0"]);
  assert.deepEqual(fieldsOf({ properties: { a: { enum: ["x", 1, ""] }, b: { items: { pattern: "^a" } }, c: true } }).map((one) => one.limits), [['one of x, 1, ""'], ["each matches ^a"]]);
  assert.deepEqual([typeOf({}), typeOf({ properties: {} }), typeOf({ items: { type: "string" } })], ["", "object", "list of string"]);
});

test("a field that breaks the plan finds the rule that speaks of it", () => {
  const rules = [common, viewed, order];
  assert.equal(ruleOf(rules, { type: "track", event: "Order Completed", field: "properties.total" }), order);
  assert.equal(ruleOf(rules, { type: "track", event: "Order Completed", field: "context.locale" }), common);
  assert.equal(ruleOf(rules, { type: "track", event: "Order Completed" }), order);
  assert.equal(ruleOf(rules, { type: "page", event: "Home" }), viewed);
  assert.equal(ruleOf(rules, { type: "alias", event: "" }), common);
  assert.equal(ruleOf([order], { type: "track", event: "Other" }), undefined);
  assert.deepEqual([ruleName(common), ruleName(order), ruleId(common), ruleId(viewed)], ["Every event", "Order Completed", "COMMON 1", "TRACK 2 Page Viewed"]);
});

test("the place of a change is a field and a keyword", () => {
  const places = {
    "jsonSchema.properties.properties.properties.total.type": "properties.total: type",
    "jsonSchema.properties.properties.properties.items.items.properties.sku": "properties.items[].sku",
    "jsonSchema.properties.traits.required": "traits: required",
    "jsonSchema.x-owner": "x-owner",
    jsonSchema: "jsonSchema",
  };
  for (const [path, place] of Object.entries(places)) assert.equal(placeOf(path), place);
});

test("what the editor shows reads back as it was", () => {
  const { value, problem, lines } = readJson(textOf([order, common].map((one) => ({ ...one, why: "", owner: "", destinations: [], seen_24h: 0, last_seen_s: null, violations_24h: 0 }))));
  assert.equal(problem, null);
  assert.deepEqual(value.rules[0], order);
  assert.deepEqual(Object.keys(value.rules[1]), ["type", "version", "jsonSchema"]);
  assert.equal(lines.get("/rules/0/key"), 5);
  assert.equal(lineOf(lines, "/rules/0/key/none/of/these"), 5);
  assert.equal(lineOf(lines, "/nowhere"), 1);
});

test("a mistake has its line and its reason", () => {
  const mistakes = [
    ['{"a": 1,\n "b" 2}', 2, /colon/],
    ['{"a": 1\n "b": 2}', 1, /comma/],
    ['{\n"a": 1,\n}', 3, /comma too many/],
    ["[1,\n2,\n]", 3, /comma too many/],
    ["{'a': 1}", 1, /double quotes/],
    ['{"a": \'x\'}', 1, /double quotes/],
    ['{"a": 1,\n"a": 2}', 2, /twice/],
    ['{"a": "x\ny"}', 1, /no end/],
    ['{"a": 01}', 1, /comma/],
    ["[", 1, /too early/],
    ["[1", 1, /before its \]/],
    ["", 1, /too early/],
    ["{} {}", 1, /nothing may follow/],
    ["[".repeat(300), 1, /too deep/],
  ];
  for (const [text, line, message] of mistakes) {
    const { problem } = readJson(text);
    assert.ok(problem, text);
    assert.equal(problem.line, line, text);
    assert.match(problem.message, message);
  }
});

test("what JSON.parse takes is taken, and nothing else", () => {
  const texts = ['{"a~/b": [1, -0.5e3, true, false, null, "\\u00e9\\n"]}', " [ ] ", '"x"', "12", "nul", "[1 2]", '{"a":}', "+1", "1.", '"\\x"', "{,}", "[,]", "\u00a0[]", '{"__proto__": {"a": 1}}'];
  for (const text of texts) {
    const { value, problem } = readJson(text);
    let wanted;
    try {
      wanted = JSON.parse(text);
    } catch {
      assert.ok(problem, text);
      continue;
    }
    assert.deepEqual([problem, value], [null, wanted], text);
  }
  assert.equal(readJson('{"a~/b": 1}').lines.get("/a~0~1b"), 1);
});
