// One event as a page of its own: its way through relay, and its content beside it.
import { bytes, fullTime, iso, visible } from "../lib/format.js";
import { JsonTree, pretty } from "../lib/json.js";
import { useKeys } from "../lib/keys.js";
import { copy, CopyButton, Kv, Menu, Pill, Time, View } from "../lib/kit.js";
import { Blocked, remarkCount, Remarks } from "../lib/remarks.js";
import { hrefs } from "../lib/router.js";
import { SendDialog } from "../lib/senddialog.js";
import { may } from "../lib/session.js";
import { retryNow, titleOf, useStory } from "../lib/story.js";
import { Timeline } from "../lib/timeline.js";
import { html, Icon, State, useState } from "../lib/ui.js";

/** @param {Record<string, string>} params */
export const title = (params) => `Event ${params.id}`;

/** @param {{params: Record<string, string>}} props */
export default function Page({ params }) {
  const poll = useStory(params.id);
  const story = poll.data;
  const [sendTo, setSendTo] = useState("");
  const stuck = may("operator") ? (story?.destinations.filter((to) => to.state === "retry" || to.state === "dead") ?? []) : [];
  useKeys(
    [
      { keys: "r", label: "Retry now", act: () => story && stuck.forEach((to) => retryNow(story.event_id, to, poll.reload)) },
      { keys: "c", label: "Copy the event as JSON", act: () => story?.payload && copy(pretty(story.payload), "JSON copied") },
      { keys: "esc", label: "Back", act: () => history.back() },
    ],
    [story],
  );
  return html`<div class="page">
    <nav class="crumbs small" aria-label="Path"><a href="/ui/live">Live</a><${Icon} name="right" size=${12} /><span class="mono muted">${visible(params.id)}</span></nav>
    <${View} poll=${poll} rows=${14}>${(/** @type {import("../lib/story.js").Story} */ told) => html`
      <div class="page-head">
        <div class="page-title grow"><h1 class="ellipsis" title=${titleOf(told)}>${titleOf(told)}</h1><${Pill}>${told.type}</${Pill}><${State} state=${told.verdict} /></div>
        <${Menu} class="btn" label=${html`<${Icon} name="copy" size=${14} />Copy <${Icon} name="down" size=${12} />`} items=${[
          { label: "JSON", icon: "copy", disabled: !told.payload, act: () => copy(JSON.stringify(told.payload, null, 2), "JSON copied") },
          { label: "Message id", icon: "copy", act: () => copy(told.message_id, "Message id copied") },
          { label: "Link", icon: "link", act: () => copy(location.href, "Link copied") },
        ]} />
        ${told.destinations.length > 0 && may("operator") && html`<${Menu} class="btn" label=${html`<${Icon} name="send" size=${14} />Send to… <${Icon} name="down" size=${12} />`}
          items=${told.destinations.map((to) => ({ label: to.name, icon: "send", act: () => setSendTo(to.slug) }))} />`}
      </div>
      <${Blocked} story=${told} />
      <div class="event-cols">
        <section class="card"><div class="card-head"><h2>Timeline</h2><${Summary} story=${told} /></div><div class="card-body"><${Timeline} story=${told} onChange=${poll.reload} /></div></section>
        <div class="stack">
          ${remarkCount(told) > 0 && html`<section class="card"><div class="card-head"><h2>Remarks</h2><span class="count">${remarkCount(told)}</span></div><${Remarks} story=${told} /></section>`}
          <section class="card"><div class="card-head"><h2>Event</h2></div><div class="card-body"><${Facts} story=${told} /></div></section>
          <section class="card"><div class="card-head"><h2>Content</h2>${told.payload && html`<${CopyButton} text=${JSON.stringify(told.payload, null, 2)} label="Copy the JSON" what="JSON copied" />`}</div>
            <div class="card-body">${told.payload ? html`<${JsonTree} value=${told.payload} openDepth=${2} />` : html`<p class="muted">${told.verdict === "suppressed" ? "Events of suppressed users are not kept." : "Your role shows the way of an event, not its content."}</p>`}</div></section>
        </div>
      </div>
      ${sendTo && html`<${SendDialog} story=${told} destination=${sendTo} onClose=${() => (setSendTo(""), poll.reload())} />`}`}
    </${View}>
  </div>`;
}

/** How many destinations have it. @param {{story: import("../lib/story.js").Story}} props */
function Summary({ story }) {
  const meant = story.destinations.filter((to) => !["filtered", "skipped"].includes(to.state));
  const done = meant.filter((to) => to.state === "delivered").length;
  return meant.length ? html`<span class="muted small num">${done} of ${meant.length} delivered</span>` : null;
}

/** @param {{story: import("../lib/story.js").Story}} props */
function Facts({ story }) {
  const at_s = story.received_ms / 1000;
  const from = story.sent_from;
  return html`<${Kv} items=${[
    ["Received", html`<span title=${iso(at_s)}>${fullTime(at_s)}</span> <span class="muted">(<${Time} at_s=${at_s} />)</span>`],
    ["Source", html`<a href=${hrefs.source(story.source.slug)}>${visible(story.source.name)}</a>`],
    story.user_id && ["User", html`<a class="mono" href=${hrefs.live(`user:${JSON.stringify(story.user_id)}`)}>${visible(story.user_id)}</a>`],
    story.anonymous_id && ["Anonymous id", html`<span class="mono">${visible(story.anonymous_id)}</span>`],
    ["Message id", html`<span class="mono">${visible(story.message_id)}</span> <${CopyButton} text=${story.message_id} label="Copy the message id" />`],
    ["Event id", html`<span class="mono">${story.event_id}</span>`],
    ["Size", bytes(story.bytes)],
    from?.library && ["Library", visible(from.library)],
    from?.ip && ["Address", html`<span class="mono">${visible(from.ip)}</span>`],
    from?.user_agent && ["User agent", html`<span class="small">${visible(from.user_agent)}</span>`],
  ]} />`;
}
