// "Send to…": what one destination would get of this event. A dry run first; the real send is a second, labelled button.
import { get, path, post } from "./api.js";
import { ErrorBox, Dialog, Skeleton, toast } from "./kit.js";
import { titleOf } from "./story.js";
import { Link, Request } from "./timeline.js";
import { html, Icon, useEffect, useState } from "./ui.js";

/** @param {{story: import("./story.js").Story, destination: string, onClose: () => void}} props `destination`: the one that is chosen first */
export function SendDialog({ story, destination, onClose }) {
  const [slug, setSlug] = useState(destination);
  const [known, setKnown] = useState(/** @type {{slug: string, name: string}[]} */ ([]));
  const [run, setRun] = useState(/** @type {{planned: import("./story.js").Planned[], stages: import("./story.js").Stage[]} | null} */ (null));
  const [error, setError] = useState(/** @type {any} */ (null));
  const [isBusy, setBusy] = useState(false);

  useEffect(() => void get("destinations").then((answer) => setKnown(answer.destinations), () => {}), []);
  useEffect(() => {
    const abort = new AbortController();
    setRun(null);
    setError(null);
    post(path("events", story.event_id, "send"), { destination: slug, dry_run: true }, { signal: abort.signal }).then(setRun, (thrown) => abort.signal.aborted || setError(thrown));
    return () => abort.abort();
  }, [slug]);

  const send = async () => {
    setBusy(true);
    try {
      await post(path("events", story.event_id, "send"), { destination: slug, dry_run: false });
      toast(`Sent to ${slug}; the timeline shows how it went`);
      onClose();
    } catch (thrown) {
      setError(thrown);
      setBusy(false);
    }
  };
  const options = known.length ? known : [{ slug, name: slug }];
  const dropped = run?.stages.find((stage) => stage.outcome === "dropped" || stage.outcome === "refused");
  const canSend = run !== null && run.planned.some((each) => !each.problem);
  return html`<${Dialog} title="Send ${titleOf(story)} to…" isWide=${true} onClose=${onClose} foot=${html`<span class="grow small muted">Nothing is sent before you press the button.</span>
      <button type="button" class="btn" onClick=${onClose}>Close</button>
      <button type="button" class="btn primary" disabled=${!canSend || isBusy} onClick=${send}><${Icon} name="send" size=${14} />Send for real</button>`}>
    <div class="field"><label for="send-to">Destination</label>
      <select id="send-to" class="select" value=${slug} onChange=${(/** @type {any} */ event) => setSlug(event.target.value)}>${options.map((each) => html`<option key=${each.slug} value=${each.slug}>${each.name}</option>`)}</select></div>
    <h3>Dry run</h3>
    ${error && html`<${ErrorBox} error=${error} title="This did not work" />`}
    ${!run && !error && html`<${Skeleton} rows=${4} />`}
    ${run &&
    html`<p class="branch-chain">${run.stages.map((stage, index) => html`<${Link} key=${index} stage=${stage} />`)}</p>
      ${dropped && html`<div class="notice warn"><${Icon} name="warn" /><div><strong>${slug} would not get it.</strong> <p>${dropped.text ?? dropped.meaning} ${dropped.code && html`<code>${dropped.code}</code>`}</p></div></div>`}
      ${!dropped && !run.planned.length && html`<div class="notice info"><${Icon} name="info" /><span>No mapping of ${slug} takes this event.</span></div>`}
      ${run.planned.map((planned, index) => html`<${Request} key=${index} planned=${planned} />`)}`}
  </${Dialog}>`;
}
