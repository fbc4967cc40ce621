import assert from "node:assert/strict";
import test from "node:test";
import { ago, bytes, compact, count, countdown, cut, lines, ms, percent, plural, rate, seconds, visible } from "../../relay/web/static/lib/format.js";

test("numbers that are not known are a dash, and zero is a number", () => {
  for (const format of [count, compact, rate, percent, bytes, ms, seconds]) {
    assert.equal(format(null), "–");
    assert.notEqual(format(0), "–");
  }
});

test("a share is 100 % or 0 % only when it is exact", () => {
  assert.deepEqual([1, 0.99999, 0.998, 0.5, 0.00001, 0].map(percent), ["100 %", "99.9 %", "99.8 %", "50.0 %", "0.1 %", "0 %"]);
});

test("rates are never rounded down to nothing", () => {
  assert.deepEqual([0, 0.004, 0.05, 41.23, 999.94].map(rate), ["0/s", "0.01/s", "0.05/s", "41.2/s", "999.9/s"]);
});

test("durations in words", () => {
  assert.deepEqual([0, 3, 59, 61, 600, 3600, 7800, 90_000].map(seconds), ["0 s", "3 s", "59 s", "1 min 1 s", "10 min", "1 h", "2 h 10 min", "1 d 1 h"]);
  assert.deepEqual([0.25, 84.4, 1400].map(ms), ["0.25 ms", "84 ms", "1.4 s"]);
  assert.deepEqual([41.2, 3661, -5].map(countdown), ["00:42", "1:01:01", "00:00"]);
  assert.deepEqual([99.5, 40, 0].map((at) => ago(at, 100)), ["just now", "1 min ago", "1 min ago"]);
  assert.equal(ago(null), "never");
});

test("sizes", () => assert.deepEqual([812, 1536, 5 * 2 ** 30].map(bytes), ["812 B", "1.5 KiB", "5.0 GiB"]));

test("what cannot be seen is written as an escape, so that no text poses as another", () => {
  assert.equal(visible("a\u202eb\u0000c\u200bd\ufeff\n"), "a\\u202eb\\u0000c\\u200bd\\ufeff\\n");
  assert.equal(visible("\ud800 é 日本 🙂"), "\\ud800 é 日本 🙂");
  assert.equal(visible("<img src=x onerror=alert(1)>"), "<img src=x onerror=alert(1)>");
  assert.equal(visible(null), "");
  assert.equal(lines("a\u202e\nb"), "a\\u202e\nb");
});

test("small words", () => {
  assert.deepEqual([plural(1, "event"), plural(2, "event"), cut("abcdef", 3), cut("abc", 3)], ["1 event", "2 events", "abc…", "abc"]);
});
