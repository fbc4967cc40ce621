import assert from "node:assert/strict";
import test from "node:test";
import { suggestions } from "../../relay/web/static/lib/filter.js";

const cases = [
  ["", 0, []],
  ["ty", 0, ["type:"]],
  ["source:web st", 11, ["state:"]],
  ["state:d", 6, ["delivered", "dead", "discarded"]],
  ["-state:dead,re", 12, ["retry"]],
  ["plan:", 5, ["violated", "ok"]],
  ['event:"ty', 0, []],
  ["state:dead", 6, []],
];
for (const [text, from, words] of cases)
  test(`after ${JSON.stringify(text)}`, () => {
    const found = suggestions(text);
    assert.deepEqual(found.words, words);
    if (words.length) assert.equal(found.from, from);
  });
