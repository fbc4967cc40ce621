// The door: a one-time link, or a token. The code of a link stands in the fragment, which no server or log ever sees.
import { ApiError } from "../lib/api.js";
import { navigate } from "../lib/router.js";
import { login } from "../lib/session.js";
import { html, Icon, useEffect, useRef, useState } from "../lib/ui.js";

export const title = "Sign in";

export default function Page() {
  const [error, setError] = useState("");
  const [isBusy, setBusy] = useState(false);
  const input = useRef(/** @type {HTMLInputElement | null} */ (null));

  /** @param {{token: string} | {link: string}} proof */
  const enter = async (proof) => {
    setBusy(true);
    setError("");
    try {
      await login(proof);
      if (location.pathname.startsWith("/ui/login")) navigate("/ui", { replace: true });
    } catch (thrown) {
      const isLink = "link" in proof && thrown instanceof ApiError && thrown.status === 401;
      setError(isLink ? "This link was used already, or is older than 10 minutes." : thrown instanceof Error ? thrown.message : String(thrown));
      input.current?.select();
    }
    setBusy(false);
  };

  useEffect(() => {
    document.title = "Sign in · relay";
    const code = location.pathname.startsWith("/ui/login") ? location.hash.slice(1) : "";
    if (!code) {
      input.current?.focus();
      return;
    }
    history.replaceState(null, "", "/ui/login");
    enter({ link: code });
  }, []);

  /** @param {SubmitEvent} event */
  const submit = (event) => {
    event.preventDefault();
    const token = input.current?.value.trim();
    if (token) enter({ token });
    else setError("Enter a token.");
  };

  return html`<main class="door">
    <form class="door-card" onSubmit=${submit}>
      <div class="door-brand"><img src="/favicon.svg" width="40" height="40" alt="" /><div><h1>Sign in to relay</h1><p class="muted">With a token of this relay, or its one-time link.</p></div></div>
      <div class="field">
        <label for="token">Token</label>
        <input class="input mono" id="token" ref=${input} type="password" autocomplete="current-password" spellcheck=${false} aria-invalid=${error !== ""} aria-describedby="token-note" />
        <div id="token-note" aria-live="polite">${error ? html`<span class="field-error">${error}</span>` : html`<span class="hint">It was shown once, when it was made.</span>`}</div>
      </div>
      <button class="btn primary" disabled=${isBusy}>${isBusy ? "Signing in…" : "Sign in"}</button>
      <div class="door-help small muted"><${Icon} name="info" size=${14} /><p>No token at hand? On the machine that runs relay, <code>relay token new --name me --role admin</code> makes one.</p></div>
    </form>
  </main>`;
}
