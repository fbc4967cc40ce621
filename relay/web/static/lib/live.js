// The websocket `relay.live.v1`: one for the whole UI. Reconnects by itself, resumes where it was, and acknowledges a frame of rows
// only after it was drawn, so that relay always knows how far behind this window is.
import { signal } from "../vendor/signals.mjs";

/** @typedef {{slow_client: number, rate_limited: number, total: number}} Drops */
/**
 * @typedef {{seq: number, event_id: string, message_id: string, at: string, source: string, type: string, name: string | null,
 *   user_id: string | null, anonymous_id: string | null, bytes: number, verdict: string, code: string | null, plan: number | null,
 *   to: Record<string, string>, fields?: Record<string, unknown>}} Row
 * @typedef {{event_id: string} & Partial<Row>} Patch
 * @typedef {{rate: number, backlog: number, oldest_s: number | null, retry: number, dead: number, state: string, success: number | null}} DestStats
 * @typedef {{at: string, window_s?: number, in_rate: number, sources: Record<string, number>, dest: Record<string, DestStats>, alerts?: number}} Stats
 * @typedef {{onSnapshot: (rows: Row[], gap: boolean, resumed: boolean) => void, onRows: (rows: Row[]) => void,
 *   onPatch: (rows: Patch[]) => void, onDrops?: (drops: Drops) => void,
 *   onPaused?: (waiting: number) => void, onError?: (error: {code: string, text: string, at?: number}) => void}} Listener
 */

/** @type {Drops} */
const NO_DROPS = { slow_client: 0, rate_limited: 0, total: 0 };
const PROTOCOL = "relay.live.v1";
const DELAYS_MS = [500, 1000, 2000, 4000, 8000, 15_000];
const HIDDEN_PAUSE_MS = 60_000;

/** "connecting", "live", "waiting" (until the next try), "refused" (signing in is needed), "off". */
export const connection = signal("off");
/** When the next try comes, in milliseconds since 1970; 0 while connected. */
export const nextTry = signal(0);
/** The last figures, once a second. */
export const stats = signal(/** @type {Stats | null} */ (null));
/** The last `hello`. */
export const hello = signal(/** @type {{epoch: string, seq: number, version: string, ring: number, max_rate: number, role: string} | null} */ (null));
/** Counts every alert that opened or closed, so that who shows alerts can ask again. */
export const alertNews = signal(0);

class Socket {
  /** @type {WebSocket | null} */
  ws = null;
  tries = 0;
  timer = 0;
  hiddenTimer = 0;
  lastId = 0;
  isWanted = false;
  isHiddenPause = false;
  /** @type {Map<number, Subscription>} */
  subscriptions = new Map();

  open() {
    this.isWanted = true;
    if (this.ws || document.visibilityState === "hidden") return;
    clearTimeout(this.timer);
    connection.value = "connecting";
    nextTry.value = 0;
    const url = `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/ui/api/live`;
    const ws = new WebSocket(url, PROTOCOL);
    this.ws = ws;
    ws.onmessage = (event) => this.receive(JSON.parse(event.data));
    ws.onclose = (event) => this.closed(ws, event.code);
  }

  close() {
    this.isWanted = false;
    clearTimeout(this.timer);
    this.ws?.close(1000);
    this.ws = null;
    connection.value = "off";
    stats.value = null;
  }

  /** @param {WebSocket} ws @param {number} code */
  closed(ws, code) {
    if (this.ws !== ws) return;
    this.ws = null;
    if (!this.isWanted) return;
    if (code === 4401 || code === 4403) {
      connection.value = "refused";
      return;
    }
    const delay = DELAYS_MS[Math.min(this.tries, DELAYS_MS.length - 1)] * (1 + Math.random() / 2);
    this.tries += 1;
    connection.value = "waiting";
    nextTry.value = Date.now() + delay;
    this.timer = setTimeout(() => this.open(), delay);
  }

  /** Do not wait for the next try. */
  retryNow() {
    if (this.isWanted && !this.ws && connection.value !== "refused") this.open();
  }

  /** @param {object} message */
  send(message) {
    if (this.ws?.readyState === WebSocket.OPEN) this.ws.send(JSON.stringify(message));
  }

  /** @param {any} message */
  receive(message) {
    if (message.t === "hello") {
      hello.value = message;
      this.tries = 0;
      connection.value = "live";
      for (const subscription of this.subscriptions.values()) subscription.start();
    } else if (message.t === "stats") stats.value = message;
    else if (message.t === "alert") alertNews.value += 1;
    else if (message.t === "bye") this.timer = 0;
    else this.subscriptions.get(message.id)?.receive(message);
  }

  hide() {
    if (document.visibilityState === "hidden") {
      this.hiddenTimer = setTimeout(() => {
        this.isHiddenPause = true;
        for (const one of this.subscriptions.values()) if (!one.isPaused) this.send({ t: "pause", id: one.id });
      }, HIDDEN_PAUSE_MS);
      return;
    }
    clearTimeout(this.hiddenTimer);
    if (this.isHiddenPause) for (const one of this.subscriptions.values()) if (!one.isPaused) this.send({ t: "resume", id: one.id });
    this.isHiddenPause = false;
    if (this.ws) return;
    if (connection.value === "off") this.isWanted && this.open();
    else this.retryNow();
  }
}

const socket = new Socket();

/** @param {Drops} a @param {Drops} b @returns {Drops} */
function added(a, b) {
  return { slow_client: a.slow_client + b.slow_client, rate_limited: a.rate_limited + b.rate_limited, total: a.total + b.total };
}

class Subscription {
  isPaused = false;
  isResuming = false;
  /** Up to where rows came in, and of which life of relay. @type {number | null} */
  seq = null;
  epoch = "";
  /** Dropped before the connection was lost, and now; the server counts from each connection. */
  before = NO_DROPS;
  dropped = NO_DROPS;

  /** @param {number} id @param {object} filter @param {number} limit @param {string[]} fields @param {Listener} listener */
  constructor(id, filter, limit, fields, listener) {
    this.id = id;
    this.filter = filter;
    this.limit = limit;
    this.fields = fields;
    this.listener = listener;
  }

  /** Ask for rows; after a lost connection only for those that are new, when relay still has them. */
  start() {
    const resume = this.seq === null ? undefined : { epoch: this.epoch, seq: this.seq };
    this.isResuming = resume !== undefined;
    this.before = this.dropped;
    socket.send({ t: "subscribe", id: this.id, filter: this.filter, limit: this.limit, fields: this.fields, resume });
    if (this.isPaused || socket.isHiddenPause) socket.send({ t: "pause", id: this.id });
  }

  /** @param {any} message */
  receive(message) {
    const { listener } = this;
    if (message.t === "rows") {
      this.seq = Math.max(this.seq ?? message.seq, message.seq);
      listener.onRows(message.rows);
      afterDrawing(() => socket.send({ t: "ack", seq: message.seq }));
    } else if (message.t === "snapshot") {
      const isAdded = this.isResuming && !message.gap;
      const from = isAdded ? this.seq : null;
      this.seq = Math.max(from ?? hello.value?.seq ?? 0, ...message.rows.slice(-1).map((/** @type {Row} */ row) => row.seq));
      this.epoch = hello.value?.epoch ?? "";
      this.isResuming = false;
      listener.onSnapshot(message.rows, message.gap, isAdded);
    } else if (message.t === "patch") listener.onPatch(message.rows);
    else if (message.t === "drops") {
      this.dropped = added(this.before, message);
      listener.onDrops?.(this.dropped);
    }
    else if (message.t === "paused") listener.onPaused?.(message.waiting);
    else if (message.t === "error") listener.onError?.(message);
  }

  /** Another filter; a fresh snapshot follows. @param {object} filter */
  setFilter(filter) {
    this.filter = filter;
    this.isResuming = false;
    socket.send({ t: "filter", id: this.id, filter });
  }

  /** Other fields per row; a fresh snapshot follows. @param {string[]} fields */
  setFields(fields) {
    this.fields = fields;
    socket.send({ t: "unsubscribe", id: this.id });
    socket.subscriptions.delete(this.id);
    this.id = socket.lastId += 1;
    socket.subscriptions.set(this.id, this);
    this.seq = null;
    if (connection.value === "live") this.start();
  }

  pause() {
    this.isPaused = true;
    socket.send({ t: "pause", id: this.id });
  }

  resume() {
    this.isPaused = false;
    socket.send({ t: "resume", id: this.id });
  }

  close() {
    socket.subscriptions.delete(this.id);
    socket.send({ t: "unsubscribe", id: this.id });
  }
}

/**
 * Follow the events that match. Close the subscription when its page goes.
 * @param {{filter: object, limit?: number, fields?: string[]} & Listener} wanted
 */
export function subscribe({ filter, limit = 500, fields = ["plan", "to"], ...listener }) {
  const subscription = new Subscription((socket.lastId += 1), filter, limit, fields, listener);
  socket.subscriptions.set(subscription.id, subscription);
  if (connection.value === "live") subscription.start();
  return subscription;
}

/** Connect, and stay connected. */
export function connect() {
  socket.open();
}

export function disconnect() {
  socket.close();
}

/** Try again at once. */
export function retryNow() {
  socket.retryNow();
}

/** After the frame that shows what was just rendered; a hidden window draws none. @param {() => void} act */
function afterDrawing(act) {
  if (document.visibilityState === "hidden") setTimeout(act, 0);
  else requestAnimationFrame(() => setTimeout(act, 0));
}

addEventListener("online", () => socket.retryNow());
document.addEventListener("visibilitychange", () => socket.hide());
