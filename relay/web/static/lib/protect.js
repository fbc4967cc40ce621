// What is done with sensitive fields, and what should be: worked out of the inventory of `GET privacy`. Pure.

/** @typedef {{at: string, how: string}} Deed `at`: "source:web" or "destination:crm" */
/**
 * @typedef {{source: string, event: string, path: string, color: string, matcher: string, decided: string, first_s: number, last_s: number, count: number,
 *   masked: boolean, sample: any, done: Deed[]}} Field
 * @typedef {{at: string, how: string, entry: string, place: {file: string, line: number} | null}} Rule
 * @typedef {{inventory: Field[], inbox: Field[], matchers: {name: string, color: string, keys: string[], similar: boolean, pattern: string, origin: "standard" | "file"}[],
 *   rules: Rule[], reach: Record<string, string[]>}} Told
 */

/**
 * Where a red field is plain: on relay's own disk, and at destinations. What its source leaves out or changes is plain nowhere.
 * @param {Field} field @param {Record<string, string[]>} reach @returns {{stored: boolean, sentTo: string[]}}
 */
export function plainness(field, reach) {
  if (field.color !== "red" || field.done.some((deed) => deed.at.startsWith("source:"))) return { stored: false, sentTo: [] };
  const safe = new Set(field.done.map((deed) => deed.at));
  return { stored: true, sentTo: (reach[field.source] ?? []).filter((slug) => !safe.has(`destination:${slug}`)) };
}

/** @param {Field} field @param {Record<string, string[]>} reach */
export function isPlain(field, reach) {
  const { stored, sentTo } = plainness(field, reach);
  return stored || sentTo.length > 0;
}

/** "source:web" as its parts. @param {string} at @returns {[noun: "source" | "destination", slug: string]} */
export function ownerOf(at) {
  const cut = at.indexOf(":");
  return [/** @type {"source" | "destination"} */ (at.slice(0, cut)), at.slice(cut + 1)];
}

/** The privacy table of an owner with one more entry; null: it encrypts already, and a page does not know the public key. @param {Rule[]} rules @param {string} at @param {string} how @param {string} entry */
export function tableWith(rules, at, how, entry) {
  /** @type {Record<string, string[]>} */
  const table = {};
  for (const rule of rules) if (rule.at === at && !(rule.entry === entry)) (table[rule.how] ??= []).push(rule.entry);
  if (table.encrypt) return null;
  (table[how] ??= []).push(entry);
  return table;
}
