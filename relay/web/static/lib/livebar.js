// What stands above and below the live grid: the filter with its mistakes and its saved texts, the columns, the polite status line.
import { FilterError, parse, ROOTS, suggestions } from "./filter.js";
import { count, rate } from "./format.js";
import { store, stored } from "./keys.js";
import { Dialog, Menu } from "./kit.js";
import { setQuery } from "./router.js";
import { html, Icon, useEffect, useId, useRef, useState } from "./ui.js";

const SAVED = "relay.filters";
const PINNED = "relay.pins";
const PINS_MAX = 10;
const TYPED_MS = 350;

/** @param {string} name @returns {string[]} */
function list(name) {
  try {
    const value = JSON.parse(stored(name) ?? "[]");
    return Array.isArray(value) ? value.filter((each) => typeof each === "string") : [];
  } catch {
    return [];
  }
}

/** The pinned columns of this browser. */
export function usePins() {
  const [pins, setPins] = useState(() => list(PINNED));
  /** @param {string[]} next */
  const keep = (next) => {
    store(PINNED, JSON.stringify(next));
    setPins(next);
  };
  return {
    pins,
    addPin: (/** @type {string} */ path) => pins.includes(path) || keep([...pins, path].slice(-PINS_MAX)),
    removePin: (/** @type {string} */ path) => keep(pins.filter((each) => each !== path)),
  };
}

/** Pinned columns: a list to take from and add to. @param {{pins: string[], onAdd: (path: string) => void, onRemove: (path: string) => void}} props */
export function Pins({ pins, onAdd, onRemove }) {
  const [isAsking, setAsking] = useState(false);
  const [path, setPath] = useState("");
  const isPath = ROOTS.some((root) => path.startsWith(`${root}.`) && path.length > root.length + 1);
  /** @param {Event} event */
  const submit = (event) => {
    event.preventDefault();
    if (!isPath) return;
    onAdd(path);
    setPath("");
    setAsking(false);
  };
  const items = [
    ...pins.map((each) => ({ label: html`<span class="mono">${each}</span>`, isOn: true, act: () => onRemove(each) })),
    ...(pins.length ? [null] : []),
    { label: "Pin a column…", icon: "plus", act: () => setAsking(true) },
  ];
  return html`<${Menu} class="btn icon" title="Columns" label=${html`<${Icon} name="columns" />`} items=${items} />
    ${isAsking && html`<${Dialog} title="Pin a column" onClose=${() => setAsking(false)}
      foot=${html`<button type="button" class="btn" onClick=${() => setAsking(false)}>Cancel</button><button type="submit" form="pin" class="btn primary" disabled=${!isPath}>Pin</button>`}>
      <form id="pin" class="field" onSubmit=${submit}><label for="pin-path">Path in the event</label>
        <input id="pin-path" data-first class="input mono" value=${path} placeholder="properties.revenue" autocomplete="off" spellcheck=${false} onInput=${(/** @type {any} */ event) => setPath(event.target.value.trim())} />
        <span class="hint">Starts with ${ROOTS.join(", ")}. At most ${PINS_MAX} columns; they are kept in this browser.</span></form>
    </${Dialog}>`}`;
}

/** The filter: applied when typing rests or with enter, kept in the URL. @param {{q: string, input: {current: HTMLInputElement | null}, refused: string}} props */
export function Filter({ q, input, refused }) {
  const id = useId();
  const [text, setText] = useState(q);
  const [isHelp, setHelp] = useState(false);
  const [chosen, setChosen] = useState(-1);
  const [isFocused, setFocused] = useState(false);
  const [saved, setSaved] = useState(() => list(SAVED));
  const timer = useRef(0);
  useEffect(() => setText(q), [q]);

  let error = refused && text === q ? refused : "";
  let at = -1;
  try {
    parse(text);
  } catch (thrown) {
    if (thrown instanceof FilterError) [error, at] = [thrown.message, thrown.at];
  }
  const { from, words } = isFocused ? suggestions(text) : { from: 0, words: [] };

  /** @param {string} next @param {boolean} isNow */
  const apply = (next, isNow) => {
    clearTimeout(timer.current);
    const act = () => {
      try {
        parse(next);
        setQuery({ q: next.trim() });
      } catch {
        // shown below the field
      }
    };
    if (isNow) act();
    else timer.current = setTimeout(act, TYPED_MS);
  };
  /** @param {string} next */
  const type = (next) => (setText(next), setChosen(-1), apply(next, false));
  /** @param {string} word */
  const take = (word) => {
    type(text.slice(0, from) + word + (word.endsWith(":") ? "" : " "));
    input.current?.focus();
  };
  /** @param {KeyboardEvent} event */
  const onKeyDown = (event) => {
    if (event.key === "ArrowDown" && words.length) setChosen((chosen + 1) % words.length);
    else if (event.key === "ArrowUp" && words.length) setChosen((chosen + words.length) % (words.length + 1) - 1);
    else if ((event.key === "Tab" && words.length && !event.shiftKey) || (event.key === "Enter" && chosen >= 0)) take(words[Math.max(0, chosen)]);
    else if (event.key === "Enter") apply(text, true);
    else if (event.key === "Escape") chosen >= 0 ? setChosen(-1) : input.current?.blur();
    else return;
    event.preventDefault();
  };
  /** @param {string[]} next */
  const keep = (next) => (store(SAVED, JSON.stringify(next)), setSaved(next));
  const items = [
    ...saved.map((each) => ({ label: html`<span class="mono">${each}</span>`, icon: "bookmark", act: () => setQuery({ q: each }) })),
    ...(saved.length ? [null] : []),
    { label: "Save this filter", icon: "plus", disabled: !q || saved.includes(q), act: () => keep([...saved, q].slice(-20)) },
    ...(saved.includes(q) ? [{ label: "Remove this filter", icon: "trash", act: () => keep(saved.filter((each) => each !== q)) }] : []),
    { label: "How to filter", icon: "help", act: () => setHelp(true) },
  ];
  return html`<div class="search live-filter">
      <${Icon} name="search" size=${14} />
      <input class="input mono" ref=${input} role="combobox" aria-label="Filter" aria-expanded=${words.length > 0} aria-controls="${id}-list" aria-autocomplete="list" aria-invalid=${error !== "" && !words.length} aria-describedby="${id}-error"
        aria-activedescendant=${chosen >= 0 ? `${id}-${chosen}` : undefined} value=${text} placeholder="type:track source:web state:dead" autocomplete="off" spellcheck=${false}
        onInput=${(/** @type {any} */ event) => type(event.target.value)} onKeyDown=${onKeyDown} onFocus=${() => setFocused(true)} onBlur=${() => setFocused(false)} />
      ${text && html`<button type="button" class="btn ghost icon small live-x" aria-label="Clear the filter" onClick=${() => (setText(""), apply("", true))}><${Icon} name="close" size=${14} /></button>`}
      <div id="${id}-list" class="menu left" role="listbox" aria-label="Suggestions" hidden=${!words.length}>
        ${words.map((word, index) => html`<div key=${word} id="${id}-${index}" role="option" class="menu-item mono" aria-selected=${index === chosen} onMouseDown=${(/** @type {Event} */ event) => (event.preventDefault(), take(word))}>${word}</div>`)}
      </div>
      <div id="${id}-error" class="live-error" aria-live="polite" hidden=${!error || words.length > 0}>${error}${at >= 0 && html` <span class="muted">at character ${at + 1}</span>`}</div>
    </div>
    <${Menu} class="btn icon" title="Saved filters" label=${html`<${Icon} name="bookmark" />`} items=${items} />
    ${isHelp && html`<${Grammar} onClose=${() => setHelp(false)} />`}`;
}

const EXAMPLES = [
  ["type:track,page", "one of several types"],
  ['event:"Order*"', "name, * stands for any text"],
  ["user:u1", "user id or anonymous id"],
  ["to:ga4 state:dead", "given up at ga4"],
  ["verdict:rejected", "refused at the door"],
  ["plan:violated", "against its tracking plan"],
  ["has:properties.coupon", "has this property"],
  ["properties.revenue:>100", "a number above"],
  ["-source:test", "all but this source"],
  ["refund", "anywhere in the raw JSON"],
];

/** @param {{onClose: () => void}} props */
function Grammar({ onClose }) {
  return html`<${Dialog} title="How to filter" onClose=${onClose}>
    <p class="muted">Terms are joined by "and"; commas mean "or"; a minus turns a term around. The command line speaks the same language: relay tap 'type:track'.</p>
    <dl class="kv">${EXAMPLES.map(([text, said]) => [html`<dt><button type="button" class="link mono" onClick=${() => (setQuery({ q: text }), onClose())}>${text}</button></dt>`, html`<dd>${said}</dd>`])}</dl>
  </${Dialog}>`;
}

const SAID_MS = 10_000;

/** For those who do not see the grid: at most every ten seconds. @param {{perSecond: number | undefined, dropped: number}} props */
export function Bottom({ perSecond, dropped }) {
  const [said, setSaid] = useState("");
  const latest = useRef("");
  latest.current = `${rate(perSecond)}, ${count(dropped)} dropped`;
  useEffect(() => {
    const timer = setInterval(() => setSaid(latest.current), SAID_MS);
    return () => clearInterval(timer);
  }, []);
  return html`<p class="sr-only" role="status">${said}</p>`;
}
