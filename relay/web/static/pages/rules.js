// The rules of a source or a destination as cards to read; each can be tried with a change before anybody edits the file.
import { count, PERIODS, plural, visible } from "../lib/format.js";
import { Empty, Kv, Pill } from "../lib/kit.js";
import { hrefs, setQuery } from "../lib/router.js";
import { deedsOf } from "../lib/ruletext.js";
import { may } from "../lib/session.js";
import { html, Icon } from "../lib/ui.js";
import { RuleEditor } from "./rule_editor.js";

/** @typedef {{file: string, line: number}} Place */
/** @typedef {{id: string, rule: Record<string, any>, place: Place | null}} Told */
/** @typedef {{how: string, entry: string}} Protects */
/** What the API tells of both. @typedef {{transformations: Told[], privacy: Protects[], origin: Place | null}} Rules */
/**
 * Whose rules they are. `sources`: whose events they meet.
 * @typedef {{noun: "source" | "destination", slug: string, name: string, sources: string[], filters: Told[], transformations: Told[], privacy: Protects[], origin: Place | null}} Owner
 */
/** @typedef {import("./destination.js").Detail} Destination */

const HOWS = /** @type {Record<string, string>} */ ({ block: "Leaves out", mask: "Masks", hash: "Hashes", encrypt: "Encrypts" });
const REASONS = /** @type {[string, string][]} */ ([
  ["FILTERED_BY_RULES", "by filters and transformations"],
  ["FILTERED_BY_END_USER_CONSENT", "for want of consent"],
  ["FILTERED_BY_INTEGRATIONS_OBJECT", "by the event's integrations"],
  ["INTERNAL", "because a rule failed"],
  ["FAILED_DATA_ENCRYPTION", "because a field could not be encrypted"],
]);

/** How many rules there are: for the tab. @param {{filters?: Told[], transformations: Told[], privacy: Protects[], consent_categories?: string[], sync_exclude?: string[]}} of */
export function ruleCount(of) {
  return (of.filters?.length ?? 0) + of.transformations.length + (of.privacy.length ? 1 : 0) + (of.consent_categories?.length ? 1 : 0) + (of.sync_exclude?.length ? 1 : 0);
}

/** @param {{to: Destination, query: Record<string, string>}} props */
export function DestinationRules({ to, query }) {
  const owner = /** @type {Owner} */ ({ noun: "destination", slug: to.slug, name: to.name, sources: to.sources, filters: to.filters, transformations: to.transformations, privacy: to.privacy, origin: to.origin });
  return html`<${Rules} owner=${owner} asked=${query.rule} canFilter=${!to.keeps_all}>
    <${Stopped} to=${to} />
    ${to.consent_categories.length > 0 && html`<${Card} title="Consent" note="checked first"><p>Gets an event only when its user agreed to ${list(to.consent_categories)}. An event that says nothing about consent passes.</p></${Card}>`}
    ${to.sync_exclude.length > 0 && html`<${Card} title="Selective sync"><p>Does not get ${list(to.sync_exclude)}.</p></${Card}>`}
  </${Rules}>`;
}

/** @param {{source: {slug: string, name: string} & Rules, query: Record<string, string>}} props */
export function SourceRules({ source, query }) {
  const owner = /** @type {Owner} */ ({ noun: "source", slug: source.slug, name: source.name, sources: [source.slug], filters: [], transformations: source.transformations, privacy: source.privacy, origin: source.origin });
  return html`<${Rules} owner=${owner} asked=${query.rule} canFilter=${false} />`;
}

/** @param {{owner: Owner, asked: string | undefined, canFilter: boolean, children?: any}} props `asked`: the rule that is tried: "filter-0", "transformation-new" */
function Rules({ owner, asked = "", canFilter, children }) {
  const [kind, id] = asked.split("-");
  if ((kind === "filter" || kind === "transformation") && may("operator")) {
    const told = owner[kind === "filter" ? "filters" : "transformations"].find((each) => each.id === id) ?? null;
    if (told || id === "new") return html`<${RuleEditor} key=${asked} owner=${owner} kind=${kind} told=${told} onClose=${() => setQuery({ rule: null })} />`;
  }
  const isEmpty = !owner.filters.length && !owner.transformations.length && !owner.privacy.length;
  return html`<div class="stack gap-4">
    ${children}
    ${may("operator") && html`<div class="row between flow"><p class="muted">${owner.noun === "source" ? "They meet each event of this source before anything else, for all destinations." : "Filters come first, then transformations, then the mappings and privacy."}</p>
      <span class="row">${canFilter && html`<${Try} href="filter-new" label="Try a new filter" />`}<${Try} href="transformation-new" label="Try a new transformation" /></span></div>`}
    ${isEmpty && html`<section class="card"><${Empty} icon="filter" title=${owner.noun === "source" ? "Every event goes on as it came" : "No filters and no transformations"}><p>${owner.noun === "source" ? "A transformation renames, corrects, hashes or drops events of a source; try one on real events first." : "Everything that a mapping takes is sent. Try a rule on real events before you write it into the file."}</p></${Empty}></section>`}
    ${owner.filters.map((each) => html`<${RuleCard} key=${`f${each.id}`} kind="filter" told=${each} />`)}
    ${owner.transformations.map((each) => html`<${RuleCard} key=${`t${each.id}`} kind="transformation" told=${each} />`)}
    ${owner.privacy.length > 0 && html`<${Privacy} owner=${owner} />`}
  </div>`;
}

/** @param {{href: string, label: string, isSmall?: boolean}} props */
function Try({ href, label, isSmall = false }) {
  return html`<button type="button" class="btn ${isSmall ? "small" : ""}" onClick=${() => setQuery({ rule: href })}><${Icon} name=${isSmall ? "play" : "plus"} size=${14} />${label}</button>`;
}

/** @param {{kind: "filter" | "transformation", told: Told}} props */
function RuleCard({ kind, told }) {
  const { rule } = told;
  const isOn = rule.enabled !== false;
  const number = Number(told.id) + 1;
  const title = visible(rule.title || rule.name || "");
  return html`<section class="card ${isOn ? "" : "is-off"}" aria-label=${`${kind} ${number}`}><div class="card-head"><span class="count rule-kind">${kind} ${number}</span><h2 class="name ellipsis">${title}</h2>
      ${!isOn && html`<${Pill}>off</${Pill}>`}<span class="row"><${Where} place=${told.place} />${may("operator") && html`<${Try} isSmall=${true} href=${`${kind}-${told.id}`} label="Try a change" />`}</span></div>
    <div class="card-body"><${Kv} items=${[
      ["When", html`<code class="trigger">${visible(rule.if || "all")}</code>`],
      ["Then", html`<ul class="deeds">${deedsOf(kind, rule).map((deed, index) => html`<li key=${index}>${deed.does}${deed.what && html` <code>${visible(deed.what)}</code>`}</li>`)}</ul>`],
    ]} /></div></section>`;
}

/** @param {{place: Place | null}} props */
function Where({ place }) {
  return place && html`<span class="muted small mono nowrap" title="${visible(place.file)}, line ${place.line}">${visible(place.file.split("/").at(-1) ?? "")}:${place.line}</span>`;
}

/** @param {{title: string, note?: string, children?: any}} props */
function Card({ title, note, children }) {
  return html`<section class="card"><div class="card-head"><h2>${title}</h2>${note && html`<span class="muted small">${note}</span>`}</div><div class="card-body">${children}</div></section>`;
}

/** @param {{owner: Owner}} props */
function Privacy({ owner }) {
  const hows = Object.keys(HOWS).filter((how) => owner.privacy.some((each) => each.how === how));
  return html`<${Card} title="Privacy" note=${owner.noun === "source" ? "before anything is stored" : "just before it is sent"}>
    <${Kv} items=${hows.map((how) => [HOWS[how], list(owner.privacy.filter((each) => each.how === how).map((each) => each.entry))])} />
    <p class="small muted privacy-more"><a href="/ui/privacy">All sensitive fields</a></p></${Card}>`;
}

/** @param {string[]} names */
function list(names) {
  return html`<span class="chips">${names.map((each) => html`<code key=${each}>${visible(each)}</code> `)}</span>`;
}

/** What was kept from a destination in the period, by reason. @param {{to: Destination}} props */
function Stopped({ to }) {
  const codes = to.funnel.by_code.filtered_at_destination ?? [];
  const known = REASONS.map(([code, words]) => ({ code, words, number: codes.find((each) => each.code === code)?.count ?? 0 })).filter((each) => each.number > 0);
  if (!known.length) return html`<p class="muted">In the ${PERIODS[to.period] ?? to.period} no rule has kept an event from ${visible(to.name)}.</p>`;
  return html`<div class="notice"><${Icon} name="filter" /><div class="grow">In the ${PERIODS[to.period] ?? to.period} ${plural(sum(known), "event")} ${sum(known) === 1 ? "was" : "were"} kept back: ${known.map((each, index) => html`${index > 0 && ", "}<strong class="num">${count(each.number)}</strong> ${each.words}`)}.</div>
    <a class="btn small" href=${hrefs.live(`to:${to.slug} state:filtered`)}>See them live</a></div>`;
}

/** @param {{number: number}[]} known */
function sum(known) {
  return known.reduce((total, each) => total + each.number, 0);
}
