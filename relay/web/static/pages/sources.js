// All sources: what comes in from where, and with which key.
import { ago, compact, count, rate, visible } from "../lib/format.js";
import { CopyButton, Empty, Pill, Time, View } from "../lib/kit.js";
import { stats } from "../lib/live.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, navigate, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { Spark } from "../lib/figures.js";
import { html, Icon } from "../lib/ui.js";

/**
 * @typedef {{slug: string, name: string, enabled: boolean, write_keys?: string[], origin: {file: string, line: number} | null, rate: number, accepted: number,
 *   rejected: number, blocked: number, duplicates: number, last_event_s: number | null, spark: number[]}} Source
 */

export const title = "Sources";
const SILENT_S = 600;

/** In one word and one colour. @param {Source} source @returns {{word: string, tone: "ok" | "warn" | "off" | "info", icon: string, text: string}} */
export function flowOf(source) {
  if (!source.enabled) return { word: "off", tone: "off", icon: "close", text: "switched off in the configuration" };
  if (source.last_event_s === null) return { word: "waiting", tone: "info", icon: "more", text: "no event has come yet" };
  if (source.rate > 0.005 || Date.now() / 1000 - source.last_event_s < SILENT_S) return { word: "receiving", tone: "ok", icon: "check", text: `the last event came ${ago(source.last_event_s)}` };
  return { word: "quiet", tone: "off", icon: "pause", text: `the last event came ${ago(source.last_event_s)}` };
}

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const poll = usePoll("sources");
  const { q = "" } = query;
  return html`<div class="page">
    <div class="page-head"><div class="page-title"><h1>Sources</h1>${poll.data && html`<span class="count">${poll.data.sources.length}</span>`}</div><span class="grow"></span>
      <input class="input list-filter" type="search" aria-label="Filter sources" placeholder="Filter by name" value=${q} onInput=${(/** @type {any} */ event) => setQuery({ q: event.target.value })} /></div>
    <${View} poll=${poll}>${(/** @type {{sources: Source[]}} */ told) => html`<${List} all=${told.sources} q=${q} />`}</${View}>
  </div>`;
}

/** @param {{all: Source[], q: string}} props */
function List({ all, q }) {
  const rates = stats.value?.sources ?? {};
  const found = all.filter((each) => `${each.slug} ${each.name}`.toLowerCase().includes(q.toLowerCase())).map((each) => ({ ...each, rate: rates[each.slug] ?? each.rate }));
  if (!all.length) {
    return html`<section class="card"><${Empty} icon="sources" title="No source yet"><p>A source is an app or a server that sends events, with a write key of its own. Add one to the configuration, then reload with <code>relay reload</code>.</p>
      <pre class="code">${'[[source]]\nslug = "web"\nname = "Website"\nwrite_key = "wk_web"'}</pre></${Empty}></section>`;
  }
  if (!found.length) return html`<section class="card"><${Empty} icon="search" title="No source matches"><button type="button" class="btn" onClick=${() => setQuery({ q: null })}>Show all ${all.length}</button></${Empty}></section>`;
  const hasKeys = may("operator");
  return html`<section class="card"><div class="table-wrap"><table class="table">
    <thead><tr><th>Source</th><th>State</th>${hasKeys && html`<th>Write key</th>`}<th class="tight shape">Last 24 h</th><th class="num">Rate</th><th class="num">Accepted</th><th class="num">Rejected</th><th class="num">Blocked</th><th class="num wide-only">Duplicates</th><th class="num">Last event</th></tr></thead>
    <tbody>${found.map((each) => html`<${Row} key=${each.slug} source=${each} hasKeys=${hasKeys} />`)}</tbody></table></div></section>`;
}

/** @param {{source: Source, hasKeys: boolean}} props */
function Row({ source, hasKeys }) {
  const flow = flowOf(source);
  const href = hrefs.source(source.slug);
  const [key] = source.write_keys ?? [];
  const go = (/** @type {any} */ event) => !event.target.closest("a, button") && navigate(href);
  return html`<tr class="click" onClick=${go}>
    <td class="lead"><a class="strong name" href=${href}>${visible(source.name)}</a><div class="small muted">${source.slug}</div></td>
    <td><${Pill} tone=${flow.tone} title=${flow.text}><${Icon} name=${flow.icon} size=${11} />${flow.word}</${Pill}></td>
    ${hasKeys && html`<td>${key ? html`<span class="row key"><code>${visible(key)}</code><${CopyButton} text=${key} label="Copy the write key of ${visible(source.name)}" what="Write key copied" />${(source.write_keys?.length ?? 0) > 1 && html`<span class="muted small">and ${(source.write_keys?.length ?? 1) - 1} more</span>`}</span>` : html`<span class="muted">none</span>`}</td>`}
    <td class="tight shape"><${Spark} values=${source.spark} width=${84} /></td>
    <td class="num strong">${rate(source.rate)}</td><td class="num" title=${count(source.accepted)}>${compact(source.accepted)}</td>
    <td class="num">${Bad(source.rejected, "bad")}</td><td class="num">${Bad(source.blocked, "warn")}</td><td class="num muted wide-only">${compact(source.duplicates)}</td>
    <td class="num"><${Time} at_s=${source.last_event_s} isAgo=${true} /></td></tr>`;
}

/** A count that is loud only when there is something. @param {number} value @param {string} tone */
function Bad(value, tone) {
  return value ? html`<span class="tone-${tone} strong" title=${count(value)}>${compact(value)}</span>` : html`<span class="muted">0</span>`;
}
