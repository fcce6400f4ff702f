// The pieces that several views are built of.

import { h, icon } from "../dom.js";
import { explain, t } from "../i18n.js";
import { Refusal } from "../protocol.js";

export function button(label, onclick, { kind = "", symbol, type = "button" } = {}) {
  return h("button", { class: `button ${kind}`, type, on: onclick ? { click: onclick } : {} },
    symbol && icon(symbol), h("span", {}, label));
}

export function iconButton(symbol, label, onclick, kind = "") {
  return h("button", { class: `icon-button ${kind}`, type: "button", title: label,
    "aria-label": label, on: { click: onclick } }, icon(symbol));
}

let fields = 0;

/** A labelled input; the label floats above it. Answers with {row, input}. */
export function field(label, { hint, ...props } = {}) {
  const id = `field-${fields += 1}`;
  const input = h("input", { id, type: "text", ...props,
    "aria-describedby": hint ? `${id}-hint` : null });
  const row = h("div", { class: "field" }, h("label", { htmlFor: id }, label), input,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint));
  return { row, input };
}

/** A password with a button that shows it. */
export function passwordField(label, autocomplete) {
  const { row, input } = field(label, { type: "password", autocomplete, required: true, maxLength: 1024 });
  const eye = iconButton("eye", t("login.show"), () => {
    input.type = input.type === "password" ? "text" : "password";
    const name = input.type === "password" ? t("login.show") : t("login.hide");
    eye.title = name;
    eye.setAttribute("aria-label", name);
    eye.setAttribute("aria-pressed", String(input.type === "text"));
  });
  row.classList.add("with-button");
  row.append(eye);
  return { row, input };
}

/** A form that does `submit` once at a time and says what went wrong below its fields. */
export function form(rows, submitLabel, submit, explained = explain) {
  const problem = h("p", { class: "problem", role: "alert" });
  const go = button(submitLabel, null, { kind: "primary wide", type: "submit" });
  const element = h("form", { class: "form", noValidate: true, on: {
    async submit(event) {
      event.preventDefault();
      if (go.disabled) return;
      go.disabled = true;
      go.classList.add("busy");
      problem.textContent = "";
      try {
        await submit();
      } catch (failure) {
        if (!(failure instanceof Refusal)) throw failure;
        problem.textContent = explained(failure);
      } finally {
        go.disabled = false;
        go.classList.remove("busy");
      }
    },
  } }, ...rows, problem, go);
  return element;
}

/** A dialog over the page; closed by Escape, its button, or a click beside it. */
export function dialog(title, ...content) {
  const heading = h("h2", { id: `dialog-${fields += 1}` }, title);
  const element = h("dialog", { class: "dialog", "aria-labelledby": heading.id, on: {
    close: () => element.remove(),
    click: (event) => { if (event.target === element) element.close(); },
  } }, h("div", { class: "dialog-body" },
    h("header", {}, heading, iconButton("close", t("close"), () => element.close())), ...content));
  document.body.append(element);
  element.showModal();
  element.querySelector("input")?.focus();
  return element;
}

/** Ask whether to do something; resolves to a bool. */
export function sure(text, label) {
  return new Promise((resolve) => {
    const yes = button(label, () => { resolve(true); box.close(); }, { kind: "danger" });
    const box = dialog(text, h("div", { class: "choices" },
      button(t("cancel"), () => box.close()), yes));
    box.classList.add("small");
    box.addEventListener("close", () => resolve(false));
    yes.focus();
  });
}

const toasts = h("div", { class: "toasts", role: "status" });

/** Say something in passing. */
export function toast(text) {
  // A dialog is above everything else on the page, so the words go into the one that is open.
  (document.querySelector("dialog[open]") ?? document.body).append(toasts);
  const line = h("p", { class: "toast" }, text);
  toasts.append(line);
  setTimeout(() => line.remove(), 4000);
}

/** Do something that may be refused; the refusal is said in passing. Answers whether it worked. */
export async function attempt(work) {
  try {
    await work();
    return true;
  } catch (problem) {
    if (!(problem instanceof Refusal)) throw problem;
    toast(explain(problem));
    return false;
  }
}

/** A part of the page that is loaded when it is asked for; throws Refusal. */
export async function part(loading) {
  try {
    return await loading;
  } catch {
    throw new Refusal(0, "a part of the page could not be loaded");
  }
}

const live = h("div", { class: "unseen", role: "log", "aria-live": "polite" });

/** Tell a screen reader what just came. */
export function announce(text) {
  if (!live.isConnected) document.body.append(live);
  live.append(h("p", {}, text));
  while (live.childElementCount > 5) live.firstChild.remove();
}

export function emptyState(symbol, title, text, ...actions) {
  return h("div", { class: "empty" }, h("div", { class: "empty-mark" }, icon(symbol)),
    h("h3", {}, title), h("p", {}, text), ...actions);
}

/** A number that can be taken along. */
export function numberTag(id) {
  return h("button", { class: "number", type: "button", title: t("copy"), on: {
    async click() {
      try {
        await navigator.clipboard.writeText(id);
        toast(t("copied"));
      } catch {
        getSelection().selectAllChildren(this.querySelector("b"));
      }
    },
  } }, h("b", {}, id), icon("copy"));
}

/** Up and down move between the rows of a list. */
export function arrowKeys(list) {
  list.addEventListener("keydown", (event) => {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    const rows = [...list.querySelectorAll(".row")];
    const at = rows.indexOf(document.activeElement);
    if (!step || at < 0) return;
    event.preventDefault();
    rows[at + step]?.focus();
  });
}
