// Everything at a glance: what comes in, where it goes, and what a person should look at first.
import { ago, compact, count, percent, PERIODS, plural, rate, visible } from "../lib/format.js";
import { healthOf, toneOfShare, waits } from "../lib/health.js";
import { path, post } from "../lib/api.js";
import { attempt, Empty, Periods, Pill, View } from "../lib/kit.js";
import { stats } from "../lib/live.js";
import { usePoll } from "../lib/poll.js";
import { hrefs, setQuery } from "../lib/router.js";
import { may } from "../lib/session.js";
import { FlowLines, flowHeight, flowPad, Spark, Stats } from "../lib/figures.js";
import { html, Icon, useState } from "../lib/ui.js";

/** @typedef {import("../lib/health.js").Destination} Destination */
/** @typedef {{slug: string, name: string, rate: number, accepted: number, rejected: number, blocked: number, duplicates: number, last_event_s: number | null, spark: number[]}} Source */
/**
 * @typedef {{healthy: boolean, in_rate: number, out_rate: number, oldest_s: number, dead_24h: number, blocked_rate: number, period: string,
 *   sources: Source[], destinations: Destination[], edges: {source: string, destination: string}[], attention: {level: string, text: string, href: string}[]}} Overview
 */

export const title = "Overview";
const SIDE_MAX = 12;
const SIDE_CUT = 10;

/** @param {{query: Record<string, string>}} props */
export default function Page({ query }) {
  const period = query.period ?? "1h";
  const poll = usePoll("overview", { query: { period } });
  return html`<div class="page">
    <div class="page-head"><div class="page-title"><h1>Overview</h1>${poll.data && html`<${Beacon} told=${poll.data} />`}</div><span class="grow"></span>
      <${Periods} value=${period} onChange=${(/** @type {string} */ to) => setQuery({ period: to === "1h" ? null : to })} /></div>
    <${View} poll=${poll} rows=${10}>${(/** @type {Overview} */ told) => html`<${Body} told=${fresh(told)} period=${period} onChange=${poll.reload} />`}</${View}>
  </div>`;
}

/** The polled answer with the newest rates of the socket, which come every second. @param {Overview} told @returns {Overview} */
function fresh(told) {
  const now = stats.value;
  if (!now?.window_s) return told;
  return {
    ...told,
    in_rate: now.in_rate,
    sources: told.sources.map((one) => ({ ...one, rate: now.sources[one.slug] ?? one.rate })),
    destinations: told.destinations.map((one) => ({ ...one, rate: now.dest[one.slug]?.rate ?? one.rate, pending: now.dest[one.slug]?.backlog ?? one.pending })),
  };
}

/** @param {{told: Overview}} props */
function Beacon({ told }) {
  const isBad = !told.healthy;
  const isWarned = told.attention.some((each) => each.level === "bad");
  const tone = isBad ? "bad" : isWarned ? "warn" : "ok";
  return html`<${Pill} tone=${tone}><span class="dot ${tone}"></span>${isBad ? "not healthy" : isWarned ? "needs attention" : "healthy"}</${Pill}>`;
}

/** @param {{told: Overview, period: string, onChange: () => void}} props */
function Body({ told, period, onChange }) {
  if (!told.sources.length || !told.destinations.length) return html`<${Blank} told=${told} />`;
  const oldest = waits(told.oldest_s);
  const refused = told.sources.reduce((sum, one) => sum + one.rejected, 0);
  const accepted = told.sources.reduce((sum, one) => sum + one.accepted, 0);
  return html`<${Stats} items=${[
      { label: "In", value: rate(told.in_rate), sub: `${compact(accepted)} in the ${PERIODS[period] ?? period}`, title: `${count(accepted)} events` },
      { label: "Out", value: rate(told.out_rate), sub: `to ${plural(told.destinations.filter((one) => one.enabled).length, "destination")}` },
      { label: "Oldest waiting", value: oldest || "–", sub: `${compact(told.destinations.reduce((sum, one) => sum + one.pending, 0))} events wait`, isQuiet: !oldest },
      { label: "Dead, 24 h", value: count(told.dead_24h), tone: told.dead_24h ? "bad" : undefined, sub: told.dead_24h ? "can be sent again" : "none given up" },
      { label: "Rejected", value: compact(refused), tone: refused ? "warn" : undefined, sub: `blocked ${rate(told.blocked_rate)}` },
    ]} />
    ${told.attention.length > 0 && html`<${Attention} items=${told.attention} />`}
    ${told.sources.every((one) => one.last_event_s === null) && html`<${First} source=${told.sources[0]} />`}
    <${Picture} told=${told} onChange=${onChange} />`;
}

/** @type {Record<string, {icon: string, said: string}>} */
const LEVELS = { bad: { icon: "warn", said: "Problem" }, warn: { icon: "warn", said: "Warning" }, info: { icon: "info", said: "Note" } };

/** @param {{items: Overview["attention"]}} props */
function Attention({ items }) {
  return html`<section class="card" aria-label="Needs attention">
    <div class="card-head"><h2>Needs attention</h2><span class="count">${items.length}</span></div>
    <ul class="attention">${items.map(
      (item) => html`<li key=${item.text}><a class=${item.level === "info" ? "info" : item.level} href=${item.href}>
        <${Icon} name=${LEVELS[item.level]?.icon ?? "info"} /><span class="sr-only">${LEVELS[item.level]?.said ?? item.level}:</span>
        <span class="grow wrap">${visible(item.text)}</span><span class="go row small">Open<${Icon} name="right" size=${14} /></span></a></li>`,
    )}</ul>
  </section>`;
}

/** Of a long side the busiest, after those in trouble. @template {{rate: number, slug: string}} T @param {T[]} all @param {(one: T) => boolean} isLoud @returns {T[]} */
function shown(all, isLoud) {
  if (all.length <= SIDE_MAX) return all;
  return [...all].sort((one, other) => Number(isLoud(other)) - Number(isLoud(one)) || other.rate - one.rate).slice(0, SIDE_CUT);
}

/** @param {{told: Overview, onChange: () => void}} props */
function Picture({ told, onChange }) {
  const [at, setAt] = useState(/** @type {string | null} */ (null));
  const sources = shown(told.sources, (one) => one.rejected > 0);
  const destinations = shown(told.destinations, (one) => healthOf(one).tone !== "ok");
  const more = { left: told.sources.length - sources.length, right: told.destinations.length - destinations.length };
  const height = flowHeight(sources.length + Number(more.left > 0), destinations.length + Number(more.right > 0));
  const isDim = (/** @type {string} */ id) => at !== null && at !== id && !told.edges.some((edge) => (`s ${edge.source}` === at && `d ${edge.destination}` === id) || (`d ${edge.destination}` === at && `s ${edge.source}` === id));
  const point = (/** @type {string} */ id) => ({ onMouseEnter: () => setAt(id), onMouseLeave: () => setAt(null), onFocusIn: () => setAt(id), onFocusOut: () => setAt(null) });
  const left = sources.map((one) => ({ id: one.slug, rate: one.rate, tone: one.rate > 0.005 ? "accent" : "off", isDim: isDim(`s ${one.slug}`) }));
  const right = destinations.map((one) => ({ id: one.slug, rate: one.rate, tone: healthOf(one).tone, isDim: isDim(`d ${one.slug}`) }));
  return html`<section class="card" aria-label="Flow of events">
    <div class="flowmap">
      <div class="flow-side left" role="table" aria-label="Sources">
        <div class="flow-head" role="row"><span class="cell c-name" role="columnheader">Sources</span><span class="cell c-spark" role="columnheader"><span class="sr-only">Shape</span></span><span class="cell c-rate" role="columnheader">events/s</span></div>
        <div class="flow-pad" role="presentation" style=${{ height: `${flowPad(sources.length + Number(more.left > 0), height)}px` }}></div>
        ${sources.map((one, index) => html`<div key=${one.slug} role="row" class="flow-row ${left[index].tone} ${left[index].isDim ? "is-dim" : ""}" ...${point(`s ${one.slug}`)}>
          <span class="cell c-name" role="cell"><a class="flow-name ellipsis" href=${hrefs.source(one.slug)}>${visible(one.name)}</a><span class="small muted ellipsis">${one.last_event_s === null ? "no event yet" : one.rate > 0.005 ? `${compact(one.accepted)} events` : `last ${ago(one.last_event_s)}`}</span></span>
          <span class="cell c-spark" role="cell"><${Spark} values=${one.spark} width=${56} /></span>
          <span class="cell c-rate num strong" role="cell">${rate(one.rate)}</span></div>`)}
        ${more.left > 0 && html`<div class="flow-row more" role="row"><span role="cell"><a href="/ui/sources">${more.left} more</a></span></div>`}
      </div>
      <div class="flow-mid"><${FlowLines} left=${left} right=${right} />
        <div class="hub"><strong>pipeline</strong><span class="num muted">${told.blocked_rate ? `blocked ${rate(told.blocked_rate)}` : rate(told.in_rate)}</span></div></div>
      <div class="flow-side right" role="table" aria-label="Destinations">
        <div class="flow-head" role="row"><span class="cell c-name" role="columnheader">Destinations</span><span class="cell c-spark" role="columnheader"><span class="sr-only">Shape</span></span><span class="cell c-rate" role="columnheader">events/s</span>
          <span class="cell c-success" role="columnheader">success</span><span class="cell c-wait" role="columnheader">waiting</span><span class="cell c-act" role="columnheader">state</span></div>
        <div class="flow-pad" role="presentation" style=${{ height: `${flowPad(destinations.length + Number(more.right > 0), height)}px` }}></div>
        ${destinations.map((one, index) => html`<div key=${one.slug} role="row" class="flow-row ${right[index].tone} ${right[index].isDim ? "is-dim" : ""}" ...${point(`d ${one.slug}`)}><${Target} to=${one} onChange=${onChange} /></div>`)}
        ${more.right > 0 && html`<div class="flow-row more" role="row"><span role="cell"><a href="/ui/destinations">${more.right} more</a></span></div>`}
      </div>
    </div>
  </section>`;
}

/** @param {{to: Destination, onChange: () => void}} props */
function Target({ to, onChange }) {
  const health = healthOf(to);
  const resume = async () => {
    await attempt(() => post(`${path("destinations", to.slug)}/resume`), `${to.name} goes on`);
    onChange();
  };
  const canResume = may("operator") && (to.state === "held" || to.state === "breaker_open");
  return html`<span class="cell c-name" role="cell"><a class="flow-name ellipsis" href=${hrefs.destination(to.slug)}>${visible(to.name)}</a><span class="small muted ellipsis">${to.type}${to.dead ? html` · <span class="tone-bad">${compact(to.dead)} dead</span>` : ""}</span></span>
    <span class="cell c-spark" role="cell"><${Spark} values=${to.spark} width=${60} tone=${health.tone === "ok" ? "accent" : health.tone} /></span>
    <span class="cell c-rate num strong" role="cell">${rate(to.rate)}</span>
    <span class="cell c-success num tone-${toneOfShare(to.success)}" role="cell">${percent(to.success)}</span>
    <span class="cell c-wait num" role="cell" title=${to.pending ? `${count(to.pending)} events, the oldest for ${waits(to.oldest_s) || "a moment"}` : "Nothing waits"}>${to.pending ? html`${compact(to.pending)}<span class="small muted">${waits(to.oldest_s)}</span>` : html`<span class="muted">0</span>`}</span>
    <span class="cell c-act" role="cell">${canResume ? html`<button type="button" class="btn small" title=${health.text} onClick=${resume}><${Icon} name="play" size=${12} />Resume</button>` : html`<${Pill} tone=${health.tone} title=${health.text}>${health.word}</${Pill}>`}</span>`;
}

/** Everything is set up, and nothing has come. @param {{source: Source}} props */
function First({ source }) {
  return html`<div class="notice info" role="status"><span class="dot info beat"></span><div class="grow"><strong>Waiting for the first event…</strong> <span class="muted">The code for your app, and a line to try it at once, are on the page of the source.</span></div>
    <a class="btn primary" href="${hrefs.source(source.slug)}?tab=setup">Set up ${visible(source.name)}</a></div>`;
}

/** Nothing is configured yet. @param {{told: Overview}} props */
function Blank({ told }) {
  const what = told.sources.length ? "destination" : "source";
  const text = told.sources.length
    ? `[[destination]]\nslug = "backend"\ntype = "webhook"\nsources = ["${told.sources[0].slug}"]\n\n[destination.settings]\nurl = "\${EVENTS_URL}"`
    : '[[source]]\nslug = "web"\nname = "Website"\nwrite_key = "wk_web"';
  return html`<section class="card"><${Empty} icon=${`${what}s`} title="No ${what} yet"><p>Add one to the configuration, then reload with <code>relay reload</code> or SIGHUP.</p><pre class="code">${text}</pre></${Empty}></section>`;
}
