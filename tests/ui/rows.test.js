import assert from "node:assert/strict";
import test from "node:test";
import { KEPT, Rows } from "../../relay/web/static/lib/vtable.js";

const row = (seq, more = {}) => ({ seq, event_id: `e${seq}`, to: {}, ...more });
const made = (...seqs) => {
  const rows = new Rows();
  rows.replace(seqs.map((seq) => row(seq)));
  return rows;
};
const shown = (rows) => Array.from({ length: rows.count }, (_, index) => rows.at(index).seq);

test("the newest is on top", () => assert.deepEqual(shown(made(1, 2, 3)), [3, 2, 1]));

test("a row that came to match late goes to its place, and never doubles", () => {
  const rows = made(1, 3, 5);
  rows.add([row(4), row(3, { name: "again" }), row(6)]);
  assert.deepEqual(shown(rows), [6, 5, 4, 3, 1]);
  assert.equal(rows.at(3).name, "again");
});

test("rows below zero are older history", () => {
  const rows = new Rows();
  rows.replace([row(-2), row(-1), row(0), row(1)]);
  assert.deepEqual(shown(rows), [1, 0, -1, -2]);
  assert.equal(rows.indexOf("e-2"), 3);
});

test("a frozen view stands still and counts what waits", () => {
  const rows = made(1, 2);
  rows.freeze();
  rows.add([row(3), row(4)]);
  assert.deepEqual([shown(rows), rows.waiting, rows.indexOf("e4")], [[2, 1], 2, -1]);
  rows.thaw();
  assert.deepEqual([shown(rows), rows.waiting], [[4, 3, 2, 1], 0]);
});

test("a patch makes a new row and keeps the states it does not name", () => {
  const rows = new Rows();
  rows.replace([row(1, { to: { a: "delivered", b: "pending" } })]);
  const before = rows.at(0);
  rows.patch([{ event_id: "e1", to: { b: "dead" } }, { event_id: "e99", to: { b: "dead" } }]);
  assert.deepEqual(rows.at(0).to, { a: "delivered", b: "dead" });
  assert.notEqual(rows.at(0), before);
});

test("it never keeps more than its limit, and forgets the oldest first", () => {
  const rows = made();
  for (let seq = 0; seq < KEPT + 500; seq += 500) rows.add(Array.from({ length: 500 }, (_, index) => row(seq + index)));
  assert.equal(rows.all.length, KEPT);
  assert.equal(rows.byId.size, KEPT);
  assert.equal(rows.at(KEPT - 1).seq, 500);
});
