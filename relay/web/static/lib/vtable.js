// A grid of any length that draws only the rows on the screen: fixed row height, one row in the tab order, moved through by keys. And what it
// shows in the live view: the newest 10,000 rows, which can stand still on the screen while more come in.
import { html, useEffect, useLayoutEffect, useRef, useState } from "./ui.js";

/**
 * @template R
 * @typedef {{key: string, label: any, width: string, title?: string, class?: string, render: (row: R) => any}} Column
 * `width` is a track of a CSS grid.
 */
/**
 * @template R
 * @typedef {{label: string, columns: Column<R>[], count: number, rowAt: (index: number) => R, keyOf: (row: R) => string,
 *   indexOf: (key: string) => number, active: string | null, onActive: (key: string) => void, onOpen: (row: R) => void,
 *   opened?: string | null, rowClass?: (row: R) => string, onTop?: (isAtTop: boolean) => void, rowPx?: number,
 *   version?: number, scrollKey?: unknown}} Props
 * `active` is the key of the row in the tab order: it keeps its event while rows move. `version` changes with any row; a new
 * `scrollKey` scrolls to the top.
 */

const OVERSCAN = 5;

/** @template R @param {Props<R>} props */
export function VTable({ label, columns, count, rowAt, keyOf, indexOf, active, onActive, onOpen, opened, rowClass, onTop, rowPx = 28, scrollKey }) {
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const [view, setView] = useState({ top: 0, height: 600 });
  const wantsFocus = useRef(false);

  useLayoutEffect(() => {
    const element = /** @type {HTMLElement} */ (box.current);
    const measure = () => setView({ top: element.scrollTop, height: element.clientHeight });
    const observer = new ResizeObserver(measure);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => void (box.current && (box.current.scrollTop = 0)), [scrollKey]);

  const onScroll = () => {
    const element = /** @type {HTMLElement} */ (box.current);
    const top = element.scrollTop;
    // Only when other rows come into view is there something to draw.
    if (Math.floor(top / rowPx) !== Math.floor(view.top / rowPx)) setView({ top, height: element.clientHeight });
    onTop?.(top < rowPx);
  };

  /** @param {number} index */
  const reveal = (index) => {
    const element = /** @type {HTMLElement} */ (box.current);
    const top = index * rowPx;
    const room = element.clientHeight - rowPx;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + rowPx > element.scrollTop + room) element.scrollTop = top + rowPx - room;
  };

  /** @param {number} index */
  const go = (index) => {
    if (!count) return;
    const to = Math.max(0, Math.min(count - 1, index));
    wantsFocus.current = true;
    onActive(keyOf(rowAt(to)));
    reveal(to);
  };

  const at = active === null ? -1 : indexOf(active);
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const page = Math.max(1, Math.floor(view.height / rowPx) - 2);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, PageDown: at + page, PageUp: at - page, Home: 0, End: count - 1 }[event.key];
    if (to !== undefined) go(to);
    else if (event.key === "Enter" && at >= 0) onOpen(rowAt(at));
    else return;
    event.preventDefault();
  };

  useEffect(() => {
    if (!wantsFocus.current) return;
    wantsFocus.current = false;
    /** @type {HTMLElement | null | undefined} */ (box.current?.querySelector('[role="row"][tabindex="0"]'))?.focus({ preventScroll: true });
  }, [active]);

  const first = Math.max(0, Math.min(Math.floor(view.top / rowPx) - OVERSCAN, count - 1));
  const last = Math.min(count, Math.ceil((view.top + view.height) / rowPx) + OVERSCAN);
  const rows = [];
  const tabbed = at >= first && at < last ? at : first;
  for (let index = first; index < last; index += 1) {
    const row = rowAt(index);
    const key = keyOf(row);
    rows.push(
      html`<${GridRow} key=${key} row=${row} index=${index} columns=${columns} look=${rowClass?.(row) ?? ""} isTabbed=${index === tabbed} isOpen=${key === opened} onOpen=${onOpen} onActive=${onActive} id=${key} />`,
    );
  }
  return html`<div class="vt" role="grid" aria-label=${label} aria-rowcount=${count + 1} aria-colcount=${columns.length} ref=${box} onScroll=${onScroll} onKeyDown=${onKeyDown}
    style=${{ "--cols": columns.map((column) => column.width).join(" "), "--row-px": `${rowPx}px` }}>
    <div class="vt-head" role="rowgroup"><div class="vt-row" role="row" aria-rowindex="1">
      ${columns.map((column) => html`<div key=${column.key} class="vt-cell ${column.class ?? ""}" role="columnheader" title=${column.title}>${column.label}</div>`)}
    </div></div>
    <div class="vt-body" role="rowgroup" style=${{ height: `${count * rowPx}px` }}>
      <div class="vt-rows" role="presentation" style=${{ transform: `translateY(${first * rowPx}px)` }}>${rows}</div>
    </div>
  </div>`;
}

/** @type {WeakMap<object, {row: unknown, node: any, mark: string, columns: unknown}>} */
const drawn = new WeakMap();

/** Rows that did not change keep the markup they have: in a fast stream only the new ones are made. @param {any} props */
function GridRow({ row, index, columns, look, isTabbed, isOpen, onOpen, onActive, id }) {
  const mark = `${index} ${look} ${isTabbed} ${isOpen}`;
  const before = drawn.get(row);
  if (before && before.mark === mark && before.columns === columns) return before.node;
  const cells =
    before && before.columns === columns
      ? before.node.props.children
      : columns.map((/** @type {Column<any>} */ column) => html`<div key=${column.key} class="vt-cell ${column.class ?? ""}" role="gridcell">${column.render(row)}</div>`);
  const node = html`<div class="vt-row ${look}" role="row" aria-rowindex=${index + 2} aria-selected=${isOpen} tabindex=${isTabbed ? 0 : -1}
    onClick=${() => (onActive(id), onOpen(row))} onFocus=${() => onActive(id)}>${cells}</div>`;
  drawn.set(row, { row, node, mark, columns });
  return node;
}

/** @typedef {import("./live.js").Row} Row */

/** How many rows a window keeps. */
export const KEPT = 10_000;

/** The rows of the live view, oldest first inside, newest first for the grid. */
export class Rows {
  /** @type {Row[]} */
  all = [];
  /** How many of the oldest are shown; the rest waits for a person to come back to the top. */
  end = 0;
  isFrozen = false;
  /** Newest row by event, for patches and for what is selected. @type {Map<string, Row>} */
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

  /** @param {Row[]} rows by rising `seq` */
  replace(rows) {
    this.all = [];
    this.byId = new Map();
    this.end = 0;
    this.isFrozen = false;
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
