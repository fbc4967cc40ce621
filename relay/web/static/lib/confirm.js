// Before something large: the count, typed by hand.
import { count } from "./format.js";
import { html, useId, useState } from "./ui.js";

/** Above this a person types the count. */
export const TYPE_ABOVE = 10_000;

/** @param {number} amount */
export function needsTyping(amount) {
  return amount > TYPE_ABOVE;
}

/** @param {{amount: number, onSure: (isSure: boolean) => void}} props */
export function ConfirmCount({ amount, onSure }) {
  const id = useId();
  const [text, setText] = useState("");
  /** @param {any} event */
  const change = (event) => {
    setText(event.target.value);
    onSure(event.target.value.replace(/[^\d]/g, "") === String(amount));
  };
  return html`<div class="field"><label for=${id}>These are many. Type ${count(amount)} to go on.</label>
    <input id=${id} class="input num" inputmode="numeric" autocomplete="off" value=${text} onInput=${change} /></div>`;
}
