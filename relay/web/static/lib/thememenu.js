// Light, dark or as the system: chosen in the top bar, kept in this browser.
import { store, stored } from "./keys.js";
import { Menu } from "./kit.js";
import { html, Icon, useState } from "./ui.js";

const THEMES = [
  { value: "system", label: "As the system", icon: "system" },
  { value: "light", label: "Light", icon: "sun" },
  { value: "dark", label: "Dark", icon: "moon" },
];

export function ThemeMenu() {
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
