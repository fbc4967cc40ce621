// The top bar: search, connection, alerts, colours, who is signed in; and the help overlay.
import { ApiError, get } from "./api.js";
import { count } from "./format.js";
import { isOn, shortcuts, store, stored, switchKeys, useKeys } from "./keys.js";
import { Dialog, Menu, attempt } from "./kit.js";
import { connection, nextTry, retryNow, stats } from "./live.js";
import { hrefs, navigate } from "./router.js";
import { logout, session } from "./session.js";
import { html, Icon, useEffect, useRef, useState } from "./ui.js";

/** Finds an event by its id or its message id; everything else is a filter of the live view. @param {string} text */
async function find(text) {
  if (/^[er]\d+$/.test(text)) return navigate(hrefs.event(text));
  if (!/[\s:"]/.test(text)) {
    try {
      const { events } = await get("events", { query: { message_id: text } });
      if (events.length) return navigate(hrefs.event(events[0].event_id));
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
    }
  }
  return navigate(hrefs.live(text));
}

function Search() {
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));
  useKeys([{ keys: "/", label: "Search, or filter", act: () => input.current?.select() }], []);
  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const text = input.current?.value.trim();
    if (!text || !input.current) return;
    input.current.value = "";
    input.current.blur();
    find(text);
  };
  return html`<form class="search" role="search" onSubmit=${submit}>
    <${Icon} name="search" size=${14} />
    <input class="input" ref=${input} type="search" aria-label="Find an event by its id, or filter the live view" placeholder="Event id, message id or filter" autocomplete="off" spellcheck=${false}
      onKeyDown=${(/** @type {KeyboardEvent} */ event) => event.key === "Escape" && input.current?.blur()} />
    ${isOn.value && html`<kbd aria-hidden="true">/</kbd>`}
  </form>`;
}

/** Live, reconnecting in n s, or refused. */
function Connection() {
  const [, setNow] = useState(0);
  const state = connection.value;
  useEffect(() => {
    if (state !== "waiting") return undefined;
    const timer = setInterval(() => setNow(Date.now()), 500);
    return () => clearInterval(timer);
  }, [state]);
  if (state === "live") {
    return html`<span class="connection ok" title="Connected: figures and events arrive as they happen"><span class="dot beat"></span>live</span>`;
  }
  const wait = Math.max(0, Math.ceil((nextTry.value - Date.now()) / 1000));
  const text = state === "waiting" ? `reconnecting in ${wait} s` : state === "refused" ? "signed out" : "connecting";
  return html`<button type="button" class="connection warn" onClick=${retryNow} title="Try again now"><span class="dot"></span>${text}</button>`;
}

function Bell() {
  const firing = stats.value?.alerts ?? 0;
  const said = firing ? `Alerts: ${count(firing)} firing` : "Alerts: none firing";
  return html`<a class="btn ghost icon bell" href="/ui/alerts" title=${said} aria-label=${said}><${Icon} name="alerts" />${firing > 0 && html`<span class="count bad" aria-hidden="true">${firing > 99 ? "99+" : firing}</span>`}</a>`;
}

const THEMES = [
  { value: "system", label: "As the system", icon: "system" },
  { value: "light", label: "Light", icon: "sun" },
  { value: "dark", label: "Dark", icon: "moon" },
];

function ThemeMenu() {
  const [chosen, setChosen] = useState(stored("relay.theme") ?? "system");
  const now = THEMES.find((each) => each.value === chosen) ?? THEMES[0];
  /** @param {string} value */
  const choose = (value) => {
    store("relay.theme", value);
    setChosen(value);
    document.dispatchEvent(new Event("relay:theme-saved"));
  };
  return html`<${Menu} class="btn ghost icon" title="Colours" label=${html`<${Icon} name=${now.icon} />`}
    items=${THEMES.map((each) => ({ label: each.label, isOn: each.value === chosen, act: () => choose(each.value) }))} />`;
}

function Account() {
  const who = session.value;
  if (!who) return null;
  const items = [
    { label: `Signed in as ${who.name} (${who.role})`, disabled: true, act: () => {} },
    null,
    { label: "Sign out", icon: "leave", act: () => attempt(logout, "Signed out") },
  ];
  return html`<${Menu} class="btn ghost icon" title="Account" items=${items} label=${html`<span class="avatar" aria-hidden="true">${(who.name || "?")[0].toUpperCase()}</span>`} />`;
}

/** @param {{onHelp: () => void}} props */
export function Bar({ onHelp }) {
  return html`<header class="topbar">
    <${Search} />
    <span class="grow"></span>
    <${Connection} />
    <${Bell} />
    <${ThemeMenu} />
    <button type="button" class="btn ghost icon" title="Keyboard and help (?)" aria-label="Keyboard and help" onClick=${onHelp}><${Icon} name="help" /></button>
    <${Account} />
  </header>`;
}

/** What the keyboard can do on this page. @param {{onClose: () => void}} props */
export function Help({ onClose }) {
  const seen = new Map(shortcuts.value.map((one) => [one.keys, one.label]));
  const general = [...seen].filter(([keys]) => keys.startsWith("g ") || keys === "?");
  const here = [...seen].filter(([keys]) => !keys.startsWith("g ") && keys !== "?");
  const list = (/** @type {[string, string][]} */ pairs) =>
    html`<dl class="kv keys">${pairs.map(([keys, label]) => [html`<dt>${keys.split(" ").map((key) => (key === "or" ? " or " : html`<kbd>${key}</kbd> `))}</dt>`, html`<dd>${label}</dd>`])}</dl>`;
  return html`<${Dialog} title="Keyboard" onClose=${onClose}>
    <div class="cols-2">
      <section class="stack"><h3>On this page</h3>${list(here)}</section>
      <section class="stack"><h3>Everywhere</h3>${list(general)}</section>
    </div>
    <label class="check"><input type="checkbox" checked=${isOn.value} onChange=${() => switchKeys(!isOn.value)} />Single keys act as shortcuts</label>
  </${Dialog}>`;
}
