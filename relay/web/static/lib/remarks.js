// What relay has to say about an event's content: where it breaks its plan, and what the specs would write otherwise.
import { visible } from "./format.js";
import { hrefs } from "./router.js";
import { html, Icon } from "./ui.js";

/** @typedef {import("./story.js").Story} Story */

/** Codes of what the source's own settings stop; the others are the plan's. */
const OF_SCHEMA = ["event_setting"];

/** Why no destination gets it, first of all. @param {{story: Story}} props */
export function Blocked({ story }) {
  if (story.verdict !== "blocked") return null;
  const ofSchema = OF_SCHEMA.includes(story.code ?? "") || !story.plan;
  return html`<div class="notice warn" role="status"><${Icon} name="warn" /><div class="grow"><strong>No destination gets this event:</strong> ${visible(story.meaning ?? "")} <code>${story.code}</code>${story.advice && html`<p class="muted small">${visible(story.advice)}</p>`}</div>
    <a class="btn small" href=${ofSchema ? `${hrefs.source(story.source.slug)}?tab=schema` : hrefs.plan(story.plan ?? "", story.code === "unplanned" ? { tab: "unplanned" } : { tab: "rules", event: story.name ?? "", type: story.type })}>${ofSchema ? "Open the schema" : "Open the plan"}</a></div>`;
}

/** How many remarks there are. @param {Story} story */
export function remarkCount(story) {
  return (story.violations?.length ?? 0) + (story.hints?.length ?? 0) + (story.is_unplanned ? 1 : 0);
}

/** @param {{story: Story}} props */
export function Remarks({ story }) {
  const { violations = [], hints = [], plan } = story;
  if (!remarkCount(story)) return null;
  return html`<ul class="remarks">
    ${story.is_unplanned && html`<li class="warn"><${Icon} name="plans" size=${14} /><div class="grow"><p><strong>Not planned</strong></p><p class="muted">The plan has no rule for this event.</p></div>
      ${plan && html`<a class="small nowrap" href=${hrefs.plan(plan, { tab: "unplanned", group: `${story.type} ${story.name ?? ""}`.trim() })}>Open the plan</a>`}</li>`}
    ${violations.map((one, index) => html`<li key=${`v${index}`} class="warn"><${Icon} name="warn" size=${14} /><div class="grow"><p><code class="name">${visible(one.field) || "the event"}</code> <span class="small tone-warn">${one.type.toLowerCase()}</span></p><p class="muted wrap">${visible(one.description)}</p></div>
      ${plan && html`<a class="small nowrap" href=${hrefs.plan(plan, { tab: "rules", event: story.name ?? "", type: story.type, field: one.field })}>Open the rule</a>`}</li>`)}
    ${hints.map((one, index) => html`<li key=${`h${index}`} class="off"><${Icon} name="info" size=${14} /><div class="grow"><p class="wrap">${visible(one.text)}</p>${one.path && html`<p class="muted small"><code class="name">${visible(one.path)}</code></p>`}</div></li>`)}
  </ul>`;
}
