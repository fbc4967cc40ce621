import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import test from "node:test";
import { FilterError, parse, quoted } from "../../relay/web/static/lib/filter.js";

const cases = JSON.parse(readFileSync(new URL("../data/filter_cases.json", import.meta.url), "utf8"));

for (const { text, ast, error, at } of cases)
  test(`${error ? "refuses" : "reads"} ${JSON.stringify(text.slice(0, 80))}`, () => {
    if (ast) assert.deepEqual(parse(text), ast);
    else assert.throws(() => parse(text), (thrown) => thrown instanceof FilterError && thrown.message === error && thrown.at === at);
  });

test("a quoted value reads back as itself", () => {
  for (const value of ["plain", "two words", 'say "hi"', "a,b", "back\\slash", ">5"])
    assert.deepEqual(parse(`event:${quoted(value)}`).all, [{ f: "event", op: "eq", v: value }]);
});
