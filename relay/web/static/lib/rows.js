// The rows of the live view: at most 10,000, oldest first; what is on the screen can stand still while more come in. Pure.

/** @typedef {import("./live.js").Row} Row */
/** @typedef {Row & {gapBefore?: boolean}} Shown `gapBefore`: between the row below and this one events are missing */

export const KEPT = 10_000;

export class Rows {
  /** @type {Shown[]} */
  all = [];
  /** How many of the oldest are shown; the rest waits for a person to come back to the top. */
  end = 0;
  isFrozen = false;
  /** Newest row by event, for patches and for what is selected. @type {Map<string, Shown>} */
  byId = new Map();

  get waiting() {
    return this.all.length - this.end;
  }

  get count() {
    return this.end;
  }

  /** The newest shown is 0. @param {number} index */
  at(index) {
    return this.all[this.end - 1 - index];
  }

  /** @param {string} eventId @returns {number} place from the top, or -1 */
  indexOf(eventId) {
    const row = this.byId.get(eventId);
    if (!row) return -1;
    const index = this.placeOf(row.seq);
    return index < this.end ? this.end - 1 - index : -1;
  }

  /** @param {Row[]} rows by rising `seq` @param {boolean} isGap whether something is missing before the first */
  replace(rows, isGap) {
    this.all = [];
    this.byId = new Map();
    this.end = 0;
    this.isFrozen = false;
    if (isGap && rows.length) rows = [/** @type {Shown} */ ({ ...rows[0], gapBefore: true }), ...rows.slice(1)];
    this.add(rows);
  }

  /** @param {Row[]} rows mostly newer than what is here; one that came to match only now belongs further down */
  add(rows) {
    for (const row of rows) {
      if (row.seq > (this.all.at(-1)?.seq ?? -Infinity)) this.all.push(row);
      else {
        const index = this.placeOf(row.seq);
        const isHere = this.all[index].seq === row.seq;
        this.all.splice(index, isHere ? 1 : 0, row);
        if (!isHere && index < this.end) this.end += 1;
      }
      this.byId.set(row.event_id, row);
    }
    const over = this.all.length - KEPT;
    if (over > 0) {
      for (const row of this.all.splice(0, over)) this.byId.delete(row.event_id);
      this.end = Math.max(0, this.end - over);
    }
    if (!this.isFrozen) this.end = this.all.length;
  }

  /** @param {import("./live.js").Patch[]} patches */
  patch(patches) {
    for (const patch of patches) {
      const row = this.byId.get(patch.event_id);
      if (!row) continue;
      const index = this.placeOf(row.seq);
      const next = { ...row, ...patch, to: { ...row.to, ...patch.to } };
      this.all[index] = next;
      this.byId.set(patch.event_id, next);
    }
  }

  /** @param {number} seq */
  placeOf(seq) {
    let [low, high] = [0, this.all.length - 1];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.all[middle].seq < seq) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  freeze() {
    this.isFrozen = true;
  }

  thaw() {
    this.isFrozen = false;
    this.end = this.all.length;
  }

  clear() {
    this.all = [];
    this.byId = new Map();
    this.end = 0;
    this.isFrozen = false;
  }
}
