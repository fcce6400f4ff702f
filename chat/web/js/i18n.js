// The page's own words, in the browser's language.

const chosen = navigator.languages.find((tag) => /^(en|zh)\b/i.test(tag)) ?? "en";

/** "en" or "zh". */
export const language = chosen.toLowerCase().startsWith("zh") ? "zh" : "en";

/** For the browser's own formatting of dates and numbers. */
export const locale = chosen;

const { words } = await (language === "zh" ? import("./lang/zh.js") : import("./lang/en.js"));
const plural = new Intl.PluralRules(locale);

/** The text of `key` with `{name}` filled in; `n` chooses between one and many. */
export function t(key, fill = {}) {
  let text = words[key] ?? key;
  if (typeof text === "object") text = text[plural.select(fill.n)] ?? text.other;
  return text.replace(/\{(\w+)\}/g, (whole, name) => fill[name] ?? whole);
}

/** What a Refusal means to a person. */
export function explain(problem) {
  if (problem.errno === 107 && problem.retryAfter) {
    return t("errno.107", { n: Math.ceil(problem.retryAfter) });
  }
  return words[`errno.${problem.errno}`] ? t(`errno.${problem.errno}`, { n: 1 }) : problem.message;
}
