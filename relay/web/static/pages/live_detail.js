// One event beside the live grid: its content, the code that makes it, its way, and what relay changed in it.
import { bytes, lines, timeMs } from "../lib/format.js";
import { quoted, ROOTS } from "../lib/filter.js";
import { JsonTree, pretty } from "../lib/json.js";
import { useKeys } from "../lib/keys.js";
import { copy, CopyButton, Empty, ErrorBox, Menu, Segmented, Skeleton, Tabs } from "../lib/kit.js";
import { usePoll } from "../lib/poll.js";
import { Blocked, remarkCount, Remarks } from "../lib/remarks.js";
import { hrefs, place, setQuery } from "../lib/router.js";
import { SendDialog } from "../lib/senddialog.js";
import { may } from "../lib/session.js";
import { LANGUAGES, snippet } from "../lib/snippets.js";
import { changesOf, titleOf, useStory } from "../lib/story.js";
import { Changes, Request, Timeline } from "../lib/timeline.js";
import { html, Icon, State, useState } from "../lib/ui.js";

/** @typedef {import("../lib/story.js").Story} Story */

/** @param {{eventId: string, onClose: () => void, onPin: (path: string) => void}} props */
export function Detail({ eventId, onClose, onPin }) {
  const poll = useStory(eventId);
  const [tab, setTab] = useState("pretty");
  const [sendTo, setSendTo] = useState("");
  const story = poll.data;
  const url = usePoll("status", { everyMs: 0 }).data?.tracking_url ?? "$RELAY_URL";
  useKeys([{ keys: "c", label: "Copy the event as JSON", act: () => story?.payload && copy(pretty(story.payload), "JSON copied") }], [story]);

  if (!story) {
    return html`<aside class="detail" aria-label="Event"><div class="detail-head"><span class="grow muted mono">${eventId}</span><${Close} onClose=${onClose} /></div>
      <div class="detail-body">${poll.error ? html`<${ErrorBox} error=${poll.error} onRetry=${poll.reload} title="This event could not be loaded" />` : poll.isSlow && html`<${Skeleton} rows=${10} />`}</div></aside>`;
  }
  const payload = story.payload;
  const copies = [
    { label: "JSON", icon: "copy", disabled: !payload, act: () => copy(JSON.stringify(payload, null, 2), "JSON copied") },
    { label: "curl", icon: "copy", disabled: !payload, act: () => copy(snippet("curl", { type: story.type, ...payload }, url), "curl copied") },
    { label: "Message id", icon: "copy", act: () => copy(story.message_id, "Message id copied") },
    { label: "Link", icon: "link", act: () => copy(location.origin + hrefs.event(story.event_id), "Link copied") },
  ];
  const changed = changesOf([...story.stages, ...story.destinations.flatMap((to) => to.stages)]).length;
  const tabs = [
    { id: "pretty", label: "Pretty" },
    { id: "raw", label: "Raw" },
    { id: "code", label: "Code" },
    { id: "timeline", label: "Timeline" },
    { id: "diff", label: "Diff", count: changed || undefined },
    ...(remarkCount(story) ? [{ id: "remarks", label: "Remarks", count: remarkCount(story) }] : []),
  ];
  return html`<aside class="detail" aria-label="Event">
    <div class="detail-head">
      <div class="grow"><h2 class="ellipsis" title=${titleOf(story)}>${titleOf(story)}</h2>
        <p class="small muted ellipsis"><span class="num">${timeMs(story.received_ms)}</span> · ${story.type} · ${story.source.name} · ${bytes(story.bytes)} ${story.verdict !== "accepted" && html`<${State} state=${story.verdict} />`}</p></div>
      <${Menu} class="btn small" label=${html`Copy <${Icon} name="down" size=${12} />`} items=${copies} />
      ${story.destinations.length > 0 && may("operator") && html`<${Menu} class="btn small" label=${html`Send to… <${Icon} name="down" size=${12} />`} items=${story.destinations.map((to) => ({ label: to.name, icon: "send", act: () => setSendTo(to.slug) }))} />`}
      <a class="btn ghost icon small" href=${hrefs.event(story.event_id)} title="Open as a page" aria-label="Open as a page"><${Icon} name="external" size=${14} /></a>
      <${Close} onClose=${onClose} />
    </div>
    ${story.verdict === "blocked" && html`<div class="detail-note"><${Blocked} story=${story} /></div>`}
    <${Tabs} class="detail-tabs" label="Views of the event" tabs=${tabs} value=${tab} onChange=${setTab}>
      ${tab === "timeline" ? html`<${Timeline} story=${story} onChange=${poll.reload} />` : tab === "diff" ? html`<${Diff} story=${story} />` : tab === "remarks" ? html`<${Remarks} story=${story} />` : payload ? html`<${Content} tab=${tab} story=${story} payload=${payload} url=${url} onPin=${onPin} />` : html`<${NoPayload} story=${story} />`}
    </${Tabs}>
    ${sendTo && html`<${SendDialog} story=${story} destination=${sendTo} onClose=${() => setSendTo("")} />`}
  </aside>`;
}

/** @param {{onClose: () => void}} props */
function Close({ onClose }) {
  return html`<button type="button" class="btn ghost icon small" title="Close (esc)" aria-label="Close the event" onClick=${onClose}><${Icon} name="close" size=${14} /></button>`;
}

/** @param {{story: Story}} props */
function NoPayload({ story }) {
  const text = story.verdict === "suppressed" ? "Events of suppressed users are not kept." : "Your role shows the way of an event, not its content.";
  return html`<${Empty} title="No content to show"><p>${text}</p></${Empty}>`;
}

/** @param {{tab: string, story: Story, payload: Record<string, any>, url: string, onPin: (path: string) => void}} props */
function Content({ tab, story, payload, url, onPin }) {
  const [language, setLanguage] = useState("browser");
  if (tab === "pretty") return html`<${JsonTree} value=${payload} openDepth=${2} onPin=${onPin} onFilter=${filterBy} />`;
  const text = tab === "raw" ? pretty(payload) : lines(snippet(language, { type: story.type, ...payload }, url));
  return html`<div class="stack">
    ${tab === "code" && html`<${Segmented} label="Language" options=${LANGUAGES.map((each) => ({ value: each.id, label: each.label }))} value=${language} onChange=${setLanguage} />`}
    <div class="code-box"><pre class="code" tabindex="0">${text}</pre><${CopyButton} text=${text} /></div>
  </div>`;
}

/** One more term for the filter. @param {string} path @param {unknown} value */
function filterBy(path, value) {
  const root = path.split(".")[0];
  const text = typeof value === "string" ? quoted(value) : String(value);
  const term = ROOTS.includes(root) ? `${path}:${text}` : path === "userId" || path === "anonymousId" ? `user:${text}` : path === "event" || path === "name" ? `event:${text}` : path === "type" ? `type:${text}` : text;
  setQuery({ q: [place.value.query.q, term].filter(Boolean).join(" ") });
}

/** Received, after the pipeline, and as sent. @param {{story: Story}} props */
function Diff({ story }) {
  const sides = [{ name: "Source side", stages: story.stages }, ...story.destinations.map((to) => ({ name: to.name, stages: to.stages }))];
  const changed = sides.map((side) => ({ ...side, stages: side.stages.filter((stage) => stage.changes?.length) })).filter((side) => side.stages.length);
  return html`<div class="stack loose">
    <section class="stack"><h3>From received to stored and routed</h3>
      ${changed.length ? changed.map((side) => html`<div key=${side.name} class="stack tight"><p class="small muted">${side.name}</p>
        ${side.stages.map((stage, index) => html`<div key=${index} class="stack tight"><p><strong>${stage.stage.replaceAll("_", " ")}</strong> ${stage.text && html`<span class="muted">${stage.text}</span>`}</p><${Changes} changes=${stage.changes} /></div>`)}</div>`) : html`<p class="muted">Nothing was changed on the way.</p>`}
    </section>
    <section class="stack"><h3>As sent</h3>
      ${story.destinations.flatMap((to) => (to.planned ?? []).map((planned, index) => html`<div key=${`${to.slug}${index}`}><p class="small muted">${to.name}</p><${Request} planned=${planned} /></div>`))}
      ${story.destinations.every((to) => !to.planned?.length) && html`<p class="muted">No destination is sent a request for this event.</p>`}
    </section>
  </div>`;
}
