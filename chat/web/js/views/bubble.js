// One message on the screen.

import { h, icon } from "../dom.js";
import { avatar, coloured, dayOf, fullTime, sameDay, timeOf } from "../format.js";
import { explain, t } from "../i18n.js";
import { button } from "./parts.js";

const TOGETHER = 5 * 60000;   // messages of one person within this many ms share a face
const LINK = /\bhttps?:\/\/[^\s<>"“”]*[^\s<>"“”.,;:!?()[\]{}'，。；：！？（）]/giu;
const ONLY_PICTURES = /^(?:[\p{Extended_Pictographic}\p{Emoji_Modifier}\u200d\ufe0f]\s?){1,6}$/u;

function* withLinks(text) {
  let end = 0;
  for (const match of text.matchAll(LINK)) {
    if (match.index > end) yield text.slice(end, match.index);
    yield h("a", { href: match[0], target: "_blank", rel: "noopener noreferrer" }, match[0]);
    end = match.index + match[0].length;
  }
  if (end < text.length) yield text.slice(end);
}

/** What of a message depends on its place: whether a day, a face or the unread line begins. */
export function placeOf(message, before, fresh) {
  const day = !before || !sameDay(before.at, message.at);
  const line = message.key === fresh;
  const first = day || line || message.gap || Boolean(before.event) || before.id !== message.id
    || message.at - before.at > TOGETHER;
  return { day, line, first };
}

function meta(message) {
  return h("span", { class: "meta" },
    h("time", { dateTime: new Date(message.at).toISOString(), title: fullTime(message.at) },
      timeOf(message.at)),
    message.mark && icon(message.mark, t(`mark.${message.mark}`)));
}

/** The list item; `acts` has `retry(message)` and `discard(message)`. */
export function bubble(message, { day, line, first }, inGroup, acts) {
  const side = message.mine ? "mine" : "theirs";
  const item = h("li", { class: `item ${message.event ? "event" : side}${first ? " first" : ""}` });
  if (message.gap) item.append(h("div", { class: "between" }, h("span", {}, t("room.gap"))));
  if (day) item.append(h("div", { class: "between day" }, h("span", {}, dayOf(message.at))));
  if (line) item.append(h("div", { class: "between fresh" }, h("span", {}, t("room.fresh"))));
  if (message.event) {
    item.append(h("div", { class: "between" }, h("span", {}, t(`event.${message.event}`, { name: message.name }))));
    return item;
  }
  const face = inGroup && !message.mine;
  const pictures = ONLY_PICTURES.test(message.text);
  item.append(h("div", { class: "line" },
    face && (first ? avatar(`u${message.id}`, message.name) : h("span", { class: "no-avatar" })),
    h("div", { class: `bubble${pictures ? " pictures" : ""}` },
      face && first && coloured(h("div", { class: "who", dir: "auto" }, message.name), `u${message.id}`),
      h("span", { class: "text", dir: "auto" }, ...withLinks(message.text)), meta(message))));
  if (message.mark === "failed") {
    item.append(h("div", { class: "failed" },
      h("span", {}, t("failed", { why: explain({ errno: message.errno }) })),
      button(t("retry"), () => acts.retry(message), { kind: "link" }),
      button(t("discard"), () => acts.discard(message), { kind: "link" })));
  }
  return item;
}
