// How times, names and faces look.

import { h } from "./dom.js";
import { locale, t } from "./i18n.js";

const clock = new Intl.DateTimeFormat(locale, { hour: "numeric", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
const dayAndMonth = new Intl.DateTimeFormat(locale, { day: "numeric", month: "long" });
const shortDay = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
const withYear = new Intl.DateTimeFormat(locale, { year: "numeric", month: "short", day: "numeric" });
const full = new Intl.DateTimeFormat(locale, { dateStyle: "full", timeStyle: "short" });
const DAY = 86400000;

const midnight = (at) => new Date(at).setHours(0, 0, 0, 0);
const daysAgo = (at) => Math.round((midnight(Date.now()) - midnight(at)) / DAY);

export const timeOf = (at) => clock.format(at);
export const fullTime = (at) => full.format(at);
export const sameDay = (one, other) => midnight(one) === midnight(other);

/** For the line between two days. */
export function dayOf(at) {
  const ago = daysAgo(at);
  if (ago === 0) return t("today");
  if (ago === 1) return t("yesterday");
  if (ago > 1 && ago < 7) return weekday.format(at);
  return ago < 300 && ago >= 0 ? dayAndMonth.format(at) : withYear.format(at);
}

/** For the list of conversations: as short as it can be. */
export function whenOf(at) {
  const ago = daysAgo(at);
  if (ago <= 0) return timeOf(at);
  if (ago === 1) return t("yesterday");
  if (ago < 7) return weekday.format(at);
  return ago < 300 ? shortDay.format(at) : withYear.format(at);
}

const segmenter = Intl.Segmenter && new Intl.Segmenter(locale);
const firstSign = (word) => (segmenter ? [...segmenter.segment(word)][0]?.segment : [...word][0]) ?? "";

function initialsOf(name) {
  const words = name.trim().split(/\s+/u).filter(Boolean);
  if (!words.length) return "#";
  const signs = words.length > 1 ? [words[0], words.at(-1)] : [words[0]];
  return signs.map(firstSign).join("").toLocaleUpperCase(locale);
}

function hueOf(key) {
  let hash = 2166136261;
  for (const sign of key) hash = Math.imul(hash ^ sign.codePointAt(0), 16777619) >>> 0;
  return (hash % 24) * 15;
}

/** Give an element the colour of a person ("u12") or group ("g3"); it never changes. */
export function coloured(element, key) {
  element.style.setProperty("--hue", hueOf(key));
  return element;
}

/** A face made of initials. */
export function avatar(key, name, online) {
  const face = coloured(h("span", { class: `avatar avatar-${key[0]}`, "aria-hidden": "true" },
    initialsOf(name)), key);
  if (online) face.append(h("span", { class: "dot" }));
  return face;
}
