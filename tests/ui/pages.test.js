import assert from "node:assert/strict";
import test from "node:test";
import { amount, backtest, isMuted } from "../../relay/web/static/lib/alerting.js";
import { healthOf, toneOfShare, waits } from "../../relay/web/static/lib/health.js";
import { likelySdk, SDKS } from "../../relay/web/static/lib/install.js";
import { wire } from "../../relay/web/static/lib/wire.js";

const running = { state: "running", held_by: null, success: 1 };

test("the worst of a destination is its word", () => {
  const words = [
    [{ ...running, state: "disabled", success: 0 }, "off"],
    [{ ...running, state: "held", held_by: "user" }, "on hold"],
    [{ ...running, state: "held", held_by: "relay" }, "held"],
    [{ ...running, state: "breaker_open", success: 0 }, "not answering"],
    [{ ...running, success: 0.49 }, "failing"],
    [{ ...running, success: 0.94 }, "degraded"],
    [{ ...running, success: null }, "running"],
    [running, "running"],
  ];
  for (const [to, word] of words) assert.equal(healthOf(to).word, word);
  assert.deepEqual([null, 0, 0.5, 0.95, 1].map(toneOfShare), ["off", "bad", "warn", "ok", "ok"]);
});

test("what has only just come does not wait", () => {
  const now_s = Date.now() / 1000;
  assert.deepEqual([0, null, now_s, now_s - 90].map(waits), ["", "", "", "1 min 30 s"]);
});

test("alerts speak in their unit", () => {
  assert.deepEqual([amount(0.95, "share"), amount(0.055, "share"), amount(900, "s"), amount(1, "events"), amount(12, "restarts"), amount(1, ""), amount(null, "s")], ["95 %", "5.5 %", "15 min", "1 event", "12 restarts", "", ""]);
  assert.ok(isMuted({ muted_until_s: 11 }, 10) && !isMuted({ muted_until_s: 10 }, 10) && !isMuted({ muted_until_s: null }, 10));
});

test("a back-test says whether it was reckoned or seen", () => {
  const told = (count, basis) => backtest({ backtest: { days: 7, count, basis } });
  assert.equal(told(0, "counts"), "would not have fired in 7 days");
  assert.equal(told(3, "counts"), "would have fired 3 times in 7 days");
  assert.equal(told(1, "history"), "fired once in 7 days");
});

test("every SDK is given the key and the address", () => {
  for (const sdk of SDKS) {
    const text = sdk.text("wk_1", "http://127.0.0.1:8000");
    assert.ok(text.includes("wk_1") && text.includes("127.0.0.1:8000"), sdk.id);
  }
  assert.deepEqual([likelySdk("analytics-swift", "web"), likelySdk("", "iOS app"), likelySdk("", "Web shop"), likelySdk("analytics-python", "")], ["swift", "swift", "browser", "python"]);
});

test("a request reads as it went over the wire, whatever was kept", () => {
  assert.equal(wire({ method: "POST", url: "http://x/y", headers: { a: "b" }, body: '{"c":1}' }), 'POST http://x/y\na: b\n\n{\n  "c": 1\n}');
  assert.equal(wire({ status: 500, body: "<b>\u202e" }), "HTTP 500\n\n<b>\\u202e");
  assert.deepEqual([wire(null), wire(undefined), wire("plain"), wire({ status: 204 })], ["", "", "plain", "HTTP 204"]);
});
