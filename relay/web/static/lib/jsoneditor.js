// A text field for JSON: numbered lines, mistakes at their line, the keyboard as in an editor. What the text means is up to the page.
import { cut, visible } from "./format.js";
import { html, Icon, useId, useLayoutEffect, useMemo, useRef } from "./ui.js";

/** @typedef {import("./jsontext.js").Problem} Problem */

/** As --sheet-row in plans.css. */
const ROW_PX = 20;
const ABOVE_ROWS = 4;

/**
 * `line`: the first that is shown; `onSave`: Ctrl or Cmd with S; `onCheck`: with Enter. Tab goes to the next control, as everywhere.
 * @param {{text: string, label: string, problems: Problem[], line?: number, isReadOnly?: boolean, onInput: (text: string) => void, onSave?: () => void, onCheck?: () => void}} props
 */
export function JsonEditor({ text, label, problems, line = 1, isReadOnly = false, onInput, onSave, onCheck }) {
  const id = useId();
  const box = useRef(/** @type {HTMLElement | null} */ (null));
  const field = useRef(/** @type {HTMLTextAreaElement | null} */ (null));
  const rows = useMemo(() => text.split("\n"), [text]);
  const numbers = useMemo(() => Array.from({ length: rows.length }, (_, index) => index + 1).join("\n"), [rows.length]);
  const widest = useMemo(() => rows.reduce((most, row) => Math.max(most, row.length), 0), [rows]);
  const notes = notesOf(problems);
  const show = (/** @type {number} */ wanted) => box.current?.scrollTo({ top: Math.max(0, (wanted - ABOVE_ROWS) * ROW_PX) });
  useLayoutEffect(() => {
    if (line > 1) show(line);
  }, [line]);

  /** @param {number} wanted */
  const go = (wanted) => {
    const start = rows.slice(0, wanted - 1).reduce((sum, row) => sum + row.length + 1, 0);
    field.current?.focus({ preventScroll: true });
    field.current?.setSelectionRange(start, start + (rows[wanted - 1]?.length ?? 0));
    show(wanted);
  };
  /** @param {KeyboardEvent} event */
  const press = (event) => {
    const isCommand = event.ctrlKey || event.metaKey;
    if (isCommand && event.key === "s") onSave?.();
    else if (isCommand && event.key === "Enter") onCheck?.();
    else if (event.key === "Enter" && !isCommand && !event.shiftKey && !event.altKey && !isReadOnly) document.execCommand("insertText", false, `\n${indentAfter(field.current)}`);
    else return;
    event.preventDefault();
  };
  return html`<div class="sheet-frame">
    <div class="sheet ${problems.length ? "has-problems" : ""}" ref=${box}>
      <div class="sheet-in">
        <pre class="sheet-lines num" aria-hidden="true">${numbers}</pre>
        <div class="sheet-text" style=${{ minWidth: `calc(${widest + 4}ch + 24px)` }}>
          ${[...notes].map(([at, note]) => html`<div key=${at} class="sheet-mark" aria-hidden="true" style=${{ top: `${(at - 1) * ROW_PX}px` }}><span class="sheet-note" style=${{ left: `calc(${(rows[at - 1] ?? "").length + 2}ch + 12px)` }}>${cut(visible(note), 160)}</span></div>`)}
          <textarea ref=${field} class="sheet-field" wrap="off" spellcheck=${false} autocomplete="off" autocapitalize="off" rows=${rows.length} aria-label=${label} aria-invalid=${problems.length > 0} aria-describedby=${problems.length ? id : undefined}
            readOnly=${isReadOnly} value=${text} onInput=${(/** @type {any} */ event) => onInput(event.target.value)} onKeyDown=${press}></textarea>
        </div>
      </div>
    </div>
    ${problems.length > 0 && html`<div id=${id} class="sheet-problems" role="alert"><ul>${problems.map((one, index) => html`<li key=${index}><span class="tone-bad"><${Icon} name="warn" size=${14} /></span><button type="button" class="link num" onClick=${() => go(one.line)}>line ${one.line}</button>
      <span class="grow wrap">${visible(one.message)}${one.remedy && html` <span class="muted">– ${visible(one.remedy)}</span>`}</span></li>`)}</ul></div>`}
  </div>`;
}

/** What is wrong on each line, in one text. @param {Problem[]} problems */
function notesOf(problems) {
  /** @type {Map<number, string>} */
  const notes = new Map();
  for (const { line, message } of problems) notes.set(line, notes.has(line) ? `${notes.get(line)}; ${message}` : message);
  return notes;
}

/** As deep as the line before, and deeper after a bracket. @param {HTMLTextAreaElement | null} field */
function indentAfter(field) {
  const before = field?.value.slice(0, field.selectionStart) ?? "";
  const line = before.slice(before.lastIndexOf("\n") + 1);
  return (/^[ \t]*/.exec(line)?.[0] ?? "") + (/[{[]\s*$/.test(line) ? "  " : "");
}
