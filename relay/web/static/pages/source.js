// One source: whether its events arrive, what is refused and why, what it sends, and how to set it up.
import { path } from "../lib/api.js";
import { Chart, Legend } from "../lib/chart.js";
import { ago, compact, count, cut, fullTime, percent, PERIODS, plural, rate, visible } from "../lib/format.js";
import { likelySdk, SDKS } from "../lib/install.js";
import { CopyButton, Empty, Kv, Periods, Pill, Segmented, Tabs, Time, View } from "../lib/kit.js";
import { stats } from "../lib/live.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { Stats } from "../lib/figures.js";
import { html, Icon, useMemo, useRef } from "../lib/ui.js";
import { ruleCount, SourceRules } from "./rules.js";
import { SchemaTab } from "./source_schema.js";
import { flowOf } from "./sources.js";

/**
 * @typedef {import("./sources.js").Source & {period: string, destinations: string[], series: number[][], codes: {code: string, count: number, meaning: string}[],
 *   events: {type: string, name: string, count: number, first_s: number, last_s: number}[],
 *   libraries: {name: string, version: string, count: number, last_s: number}[], tracking_url: string, settings_url: string} & import("./rules.js").Rules} Detail
 */

/** @param {Record<string, string>} params */
export const title = (params) => `${params.slug} · Sources`;
const KEY = "YOUR_WRITE_KEY";

/** @param {{params: Record<string, string>, query: Record<string, string>}} props */
export default function Page({ params, query }) {
  const period = query.period ?? "24h";
  const poll = usePoll(path("sources", params.slug), { query: { period } });
  return html`<div class="page">
    <nav class="trail" aria-label="Where this is"><a href="/ui/sources">Sources</a><${Icon} name="right" size=${12} /><span class="muted">${visible(params.slug)}</span></nav>
    ${poll.error?.status === 404
      ? html`<section class="card"><${Empty} icon="sources" title="There is no source of this name"><a class="btn" href="/ui/sources">All sources</a></${Empty}></section>`
      : html`<${View} poll=${poll} rows=${12}>${(/** @type {Detail} */ source) => html`<${Body} source=${{ ...source, rate: stats.value?.sources[source.slug] ?? source.rate }} period=${period} query=${query} />`}</${View}>`}
  </div>`;
}

/** @param {{source: Detail, period: string, query: Record<string, string>}} props */
function Body({ source, period, query }) {
  const flow = flowOf(source);
  const wasWaiting = useRef(source.last_event_s === null);
  const tab = query.tab ?? (source.last_event_s === null ? "setup" : "events");
  const tabs = [
    { id: "events", label: "Events", count: source.events.length || null },
    { id: "schema", label: "Schema" },
    { id: "codes", label: "Rejected and blocked", count: source.codes.length || null },
    { id: "sdks", label: "SDKs seen", count: source.libraries.length || null },
    { id: "rules", label: "Transformations", count: ruleCount(source) || null },
    { id: "setup", label: "Set-up" },
  ];
  const came = source.accepted + source.rejected + source.blocked;
  return html`<div class="page-head">
      <div class="page-title"><h1 class="name ellipsis">${visible(source.name)}</h1><${Pill} tone=${flow.tone} title=${flow.text}><${Icon} name=${flow.icon} size=${11} />${flow.word}</${Pill}></div><span class="grow"></span>
      <${Periods} value=${period} onChange=${(/** @type {string} */ value) => setQuery({ period: value === "24h" ? null : value })} />
      <a class="btn" href=${hrefs.live(`source:${source.slug}`)}><${Icon} name="live" size=${14} />Live</a></div>
    ${wasWaiting.current && html`<${FirstEvent} source=${source} />`}
    <${Stats} items=${[
      { label: "Rate", value: rate(source.rate), sub: "over the last minute" },
      { label: "Accepted", value: compact(source.accepted), title: count(source.accepted), sub: came ? `${percent(source.accepted / came)} of what came` : "nothing came" },
      { label: "Rejected", value: compact(source.rejected), tone: source.rejected ? "bad" : undefined, sub: "at the door" },
      { label: "Blocked", value: compact(source.blocked), tone: source.blocked ? "warn" : undefined, sub: "by plan or schema" },
      { label: "Duplicates", value: compact(source.duplicates), sub: "left out" },
      { label: "Last event", value: source.last_event_s === null ? "never" : ago(source.last_event_s), title: fullTime(source.last_event_s), isQuiet: source.last_event_s === null, sub: source.destinations.length ? `to ${plural(source.destinations.length, "destination")}` : html`<span class="tone-warn">to no destination</span>` },
    ]} />
    ${source.last_event_s !== null && html`<${Volume} source=${source} />`}
    <${Tabs} label="Parts of this source" tabs=${tabs} value=${tab} onChange=${(/** @type {string} */ id) => setQuery({ tab: id, rule: null, q: null, sort: null, open: null })}>
      ${tab === "schema" ? html`<${SchemaTab} slug=${source.slug} query=${query} />` : tab === "rules" ? html`<${SourceRules} source=${source} query=${query} />` : tab === "codes" ? html`<${Codes} source=${source} />` : tab === "sdks" ? html`<${Libraries} source=${source} />` : tab === "setup" ? html`<${Setup} source=${source} sdk=${query.sdk} />` : html`<${Events} source=${source} />`}
    </${Tabs}>`;
}

/** Waits, and turns green by itself. @param {{source: Detail}} props */
function FirstEvent({ source }) {
  const isHere = source.last_event_s !== null;
  return html`<div class="notice ${isHere ? "ok" : "info"} first-event" role="status"><span class="dot ${isHere ? "ok" : "info beat"}"></span><div class="grow">
    ${isHere ? html`<strong>The first event has arrived.</strong> ${source.accepted > 0 && html`<span class="muted">${count(source.accepted)} accepted so far.</span>`}` : html`<strong>Waiting for the first event…</strong> <span class="muted">Send one as shown below; this line turns green by itself.</span>`}
    ${!isHere && source.rejected > 0 && html`<p class="tone-bad">${count(source.rejected)} came but were rejected: see “Rejected and blocked”.</p>`}</div>
    ${isHere && html`<a class="btn small" href=${hrefs.live(`source:${source.slug}`)}>See it live</a>`}</div>`;
}

/** @param {{source: Detail}} props */
function Volume({ source }) {
  const { series } = source;
  const last = series.at(-1)?.join() ?? "";
  const times = useMemo(() => series.map((point) => point[0]), [last, source.period, series.length]);
  const drawn = useMemo(() => [{ label: "accepted", tone: "accent", values: series.map((point) => point[1]) }, { label: "rejected", tone: "bad", values: series.map((point) => point[2]) }], [series]);
  return html`<section class="card"><div class="card-head"><h2>Events</h2><${Legend} items=${[{ label: "accepted", tone: "accent", value: compact(source.accepted) }, { label: "rejected", tone: "bad", value: compact(source.rejected) }]} /></div>
    <div class="chart-pad"><${Chart} kind="bars" height=${180} times=${times} lines=${drawn} format=${count} axisFormat=${compact} label=${`Events in the ${PERIODS[source.period]}: ${count(source.accepted)} accepted, ${count(source.rejected)} rejected.`} /></div></section>`;
}

/** @param {{source: Detail}} props */
function Events({ source }) {
  if (!source.events.length) return html`<section class="card"><${Empty} icon="live" title="No events in this period"><button type="button" class="btn" onClick=${() => setQuery({ tab: "setup" })}>How to send one</button></${Empty}></section>`;
  const most = Math.max(...source.events.map((each) => each.count));
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Event</th><th>Type</th><th><span class="sr-only">Share</span></th><th class="num">Count</th><th class="num">First</th><th class="num">Last</th></tr></thead>
    <tbody>${source.events.map((each) => {
      const name = visible(each.name);
      const filter = `source:${source.slug} type:${each.type}${each.name && each.type === "track" ? ` event:${JSON.stringify(each.name)}` : ""}`;
      return html`<tr key=${`${each.type} ${each.name}`}><td class="lead wrap"><a class="strong name" href=${hrefs.live(filter)} title="See them live">${cut(name, 160) || `${each.type} calls`}</a></td><td class="muted">${each.type}</td>
        <td class="share"><span class="bar"><span class="bar-part accent" style=${{ width: `${(each.count / most) * 100}%` }}></span></span></td><td class="num strong">${count(each.count)}</td><td class="num muted"><${Time} at_s=${each.first_s} /></td><td class="num"><${Time} at_s=${each.last_s} /></td></tr>`;
    })}</tbody></table></div><p class="card-foot muted small">From the stored events of this period, at most the newest 20,000.</p></section>`;
}

/** @param {{source: Detail}} props */
function Codes({ source }) {
  if (!source.codes.length) return html`<section class="card"><${Empty} icon="check" title="Nothing was rejected or blocked in this period"><p>When a message is refused, its reason is counted here.</p></${Empty}></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>Code</th><th>Meaning</th><th class="num">Count</th><th class="tight"><span class="sr-only">Open</span></th></tr></thead>
    <tbody>${source.codes.map((each) => {
      const verdict = each.code === "duplicate" ? "duplicate" : each.code === "suppressed" ? "suppressed" : "rejected";
      return html`<tr key=${each.code}><td class="tight"><code>${visible(each.code)}</code></td><td class="wrap">${visible(each.meaning)}</td><td class="num strong">${count(each.count)}</td><td class="tight"><a class="btn small" href=${hrefs.live(`source:${source.slug} verdict:${verdict} code:${each.code}`)}>See them</a></td></tr>`;
    })}</tbody></table></div></section>`;
}

/** @param {{source: Detail}} props */
function Libraries({ source }) {
  if (!source.libraries.length) return html`<section class="card"><${Empty} icon="info" title="No SDK was seen in this period"><p>Events name their SDK in <code>context.library</code>.</p></${Empty}></section>`;
  return html`<section class="card"><div class="table-wrap"><table class="table"><thead><tr><th>SDK</th><th>Version</th><th class="num">Events</th><th class="num">Last</th></tr></thead>
    <tbody>${source.libraries.map((each) => html`<tr key=${`${each.name} ${each.version}`}><td class="lead strong wrap name">${cut(visible(each.name), 120)}</td><td class="mono">${cut(visible(each.version), 60)}</td><td class="num">${count(each.count)}</td><td class="num"><${Time} at_s=${each.last_s} /></td></tr>`)}</tbody></table></div></section>`;
}

/** @param {{source: Detail, sdk: string | undefined}} props */
function Setup({ source, sdk }) {
  const chosen = SDKS.find((each) => each.id === sdk) ?? SDKS.find((each) => each.id === likelySdk(source.libraries[0]?.name ?? "", `${source.slug} ${source.name}`)) ?? SDKS[0];
  const key = source.write_keys?.[0] ?? KEY;
  const text = chosen.text(key, source.tracking_url);
  const place = source.origin ? `${source.origin.file}:${source.origin.line}` : "";
  return html`<div class="cols-side setup">
    <section class="card"><div class="card-head"><h2>Send events</h2><${Segmented} label="SDK" options=${SDKS.map((each) => ({ value: each.id, label: each.label }))} value=${chosen.id} onChange=${(/** @type {string} */ id) => setQuery({ sdk: id, tab: "setup" })} /></div>
      <div class="card-body stack"><p class="muted">${chosen.where}</p><div class="code-box"><pre class="code" tabindex="0">${text}</pre><${CopyButton} text=${text} label="Copy the code" /></div>
      ${may("operator") && html`<p class="muted small">To exchange the write key, list both in <code>write_keys</code>, move your apps over, then take the old one out.</p>`}
      ${!may("operator") && html`<p class="muted small">Write keys are shown to operators; put yours in the place of <code>${KEY}</code>.</p>`}</div></section>
    <section class="card"><div class="card-head"><h2>This source</h2></div><div class="card-body"><${Kv} items=${[
      ["Slug", html`<code>${source.slug}</code>`],
      may("operator") && ["Write key", html`<span class="stack near">${(source.write_keys ?? []).map((each) => html`<span key=${each} class="row key"><code>${visible(each)}</code><${CopyButton} text=${each} label="Copy the write key" what="Write key copied" /></span>`)}</span>`],
      ["Sends to", html`<span class="row key"><code>${source.tracking_url}</code><${CopyButton} text=${source.tracking_url} label="Copy the address" /></span>`],
      ["SDK settings", html`<a class="wrap small" href=${source.settings_url} target="_blank" rel="noreferrer">${source.settings_url}</a>`],
      ["Goes to", source.destinations.length ? html`<span class="row flow-wrap">${source.destinations.map((each) => html`<a key=${each} href=${hrefs.destination(each)}>${visible(each)}</a>`)}</span>` : html`<span class="muted">no destination</span>`],
      place && ["Set in", html`<code>${visible(place)}</code>`],
    ]} /></div></section></div>`;
}
