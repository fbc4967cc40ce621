import assert from "node:assert/strict";
import test from "node:test";
import { deedsOf, STARTS } from "../../relay/web/static/lib/ruletext.js";
import { toml, tomlTable } from "../../relay/web/static/lib/toml.js";

test("a rule is written as a file has it", () => {
  const rule = { title: 'No "tests"', if: "event = 'Test'", enabled: undefined, actions: [{ type: "SAMPLE", percent: 0.1 }, { type: "DROP_PROPERTIES", fields: { context: ["ip"], "a.b": ["c"] } }] };
  assert.equal(
    tomlTable("destination.filter", rule),
    `[[destination.filter]]\ntitle = 'No "tests"'\nif = "event = 'Test'"\nactions = [\n  { type = "SAMPLE", percent = 0.1 },\n  { type = "DROP_PROPERTIES", fields = { context = ["ip"], "a.b" = ["c"] } },\n]\n`,
  );
});

test("texts that would end too early are escaped", () => {
  assert.equal(toml(`it's "so"`), `"it's \\"so\\""`);
  assert.equal(toml('line\nbreak "x"'), '"line\\nbreak \\"x\\""');
  assert.equal(toml("a\\.b"), "'a\\.b'");
  assert.equal(toml("\u007f"), '"\\u007f"');
  assert.equal(toml([1, 2.5, true, {}, []]), "[1, 2.5, true, {}, []]");
});

test("what a rule does is told in words", () => {
  const said = (/** @type {any} */ kind, /** @type {any} */ rule) => deedsOf(kind, rule).map((deed) => `${deed.does} ${deed.what ?? ""}`.trim());
  assert.deepEqual(said("filter", { actions: [{ type: "DROP" }, { type: "SAMPLE", percent: 0.1, path: "userId" }, { type: "ALLOW_PROPERTIES", fields: { properties: ["a", "b"], traits: [] } }] }), [
    "The event does not go there",
    "Keeps 10.0 %, decided by userId",
    "Keeps only properties.a, properties.b, nothing in traits",
  ]);
  assert.deepEqual(said("transformation", { newEventName: "B", propertyRenames: [{ oldName: "a", newName: "b" }], allowProperties: [], hashPropertiesConfiguration: { paths: ["traits.email"], key: "•••" } }), [
    "Names the event B",
    "Renames a → b",
    "Keeps only nothing in properties and traits",
    "Hashes (SHA256, with a key) traits.email",
  ]);
});

test("every rule to begin with is told in words", () => {
  for (const start of STARTS.filter) assert.equal(deedsOf("filter", { actions: [start.value] }).length, 1);
  for (const start of STARTS.transformation) assert.equal(deedsOf("transformation", start.value).length, 1);
});
