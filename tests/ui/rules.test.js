import assert from "node:assert/strict";
import test from "node:test";
import { deedsOf, STARTS } from "../../relay/web/static/lib/ruletext.js";
import { isPlain, ownerOf, plainness, tableWith } from "../../relay/web/static/lib/protect.js";
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

const FIELD = { source: "web", event: "", path: "traits.password", color: "red", matcher: "password", decided: "", first_s: 0, last_s: 0, count: 1, masked: true, sample: null };
const REACH = { web: ["crm", "ads"] };

test("a red field is plain where nothing is done with it", () => {
  const done = (/** @type {string[]} */ ...at) => ({ ...FIELD, done: at.map((each) => ({ at: each, how: "mask" })) });
  assert.deepEqual(plainness(done(), REACH), { stored: true, sentTo: ["crm", "ads"] });
  assert.deepEqual(plainness(done("destination:crm"), REACH), { stored: true, sentTo: ["ads"] });
  assert.deepEqual(plainness(done("source:web"), REACH), { stored: false, sentTo: [] });
  assert.equal(isPlain({ ...done(), color: "yellow" }, REACH), false);
});

test("a field joins the rules that its place has, and takes the place of what was said of it", () => {
  const rules = [
    { at: "source:web", how: "hash", entry: "email", place: null },
    { at: "source:web", how: "mask", entry: "traits.password", place: null },
    { at: "destination:crm", how: "encrypt", entry: "email", place: null },
  ];
  assert.deepEqual(tableWith(rules, "source:web", "block", "traits.password"), { hash: ["email"], block: ["traits.password"] });
  assert.equal(tableWith(rules, "destination:crm", "mask", "traits.password"), null);
  assert.deepEqual(ownerOf("destination:a:b"), ["destination", "a:b"]);
});
