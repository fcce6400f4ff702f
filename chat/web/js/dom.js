// Building the page. Text becomes text nodes and nothing else: no markup is ever parsed.

const SVG = "http://www.w3.org/2000/svg";

/** An element. `props`: `class`, `on` (listeners by event), `data`; the rest are properties
    where the element has them and attributes otherwise. Children: nodes, strings, null. */
export function h(tag, props = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === null || value === undefined || value === false) continue;
    if (name === "class") element.className = value;
    else if (name === "on") {
      for (const [event, hear] of Object.entries(value)) element.addEventListener(event, hear);
    } else if (name === "data") Object.assign(element.dataset, value);
    else if (name in element && !name.startsWith("aria")) element[name] = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat().filter((child) => child !== null && child !== undefined
    && child !== false));
  return element;
}

// 24 by 24, strokes only.
const PATHS = {
  chats: ["M4 5.5h16v11H9.5L5 20v-3.5H4z"],
  people: ["M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z", "M4.5 20c.6-3.6 3.6-5.5 7.5-5.5s6.9 1.9 7.5 5.5"],
  groups: ["M9 11.5a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7z", "M2.5 19.5c.5-3.2 3.1-5 6.5-5s6 1.8 6.5 5",
    "M16 4.8a3.5 3.5 0 0 1 0 6.4", "M18 14.9c1.9.7 3.2 2.3 3.5 4.6"],
  search: ["M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14z", "M16.2 16.2 20.5 20.5"],
  send: ["M5 12 4 4.5 20.5 12 4 19.5 5 12z", "M5 12h7"],
  back: ["M15 5l-7 7 7 7"],
  down: ["M6 10l6 6 6-6"],
  more: ["M12 6v.01", "M12 12v.01", "M12 18v.01"],
  plus: ["M12 5v14", "M5 12h14"],
  join: ["M10 17l5-5-5-5", "M15 12H3", "M14 4h6v16h-6"],
  close: ["M6 6l12 12", "M18 6 6 18"],
  copy: ["M9 9h11v11H9z", "M5 15H4V4h11v1"],
  eye: ["M2.5 12S6 5.5 12 5.5 21.5 12 21.5 12 18 18.5 12 18.5 2.5 12 2.5 12z",
    "M12 15a3 3 0 1 0 0-6 3 3 0 0 0 0 6z"],
  bell: ["M6 10a6 6 0 0 1 12 0c0 5 2 6.5 2 6.5H4S6 15 6 10z", "M10 20a2.2 2.2 0 0 0 4 0"],
  key: ["M14.5 13.5a4.5 4.5 0 1 0-4-4L4 16v4h4v-2.5h2.5V15z", "M15.5 8.5v.01"],
  devices: ["M3 5h13v9H3z", "M7 18h5", "M18 9h3v10h-5v-2"],
  bin: ["M5 7h14", "M9.5 7V4.5h5V7", "M7 7l1 13h8l1-13"],
  exit: ["M10 4H4v16h6", "M15 8l4 4-4 4", "M19 12H9"],
  forbid: ["M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17z", "M6 6l12 12"],
  friend: ["M10 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8z", "M3 20c.6-3.6 3.3-5.5 7-5.5 1 0 2 .1 2.8.4",
    "M18 14v6", "M15 17h6"],
  sending: ["M12 20a8 8 0 1 0 0-16 8 8 0 0 0 0 16z", "M12 8v4l2.5 2"],
  stored: ["M5 12.5l4.5 4.5L19 7.5"],
  pushed: ["M4 12.5l4.5 4.5L18 7.5", "M20.5 17v.01"],
  delivered: ["M2 12.5 6.5 17 15 8", "M11 15.5l1.5 1.5L22 7.5"],
  failed: ["M12 20.5a8.5 8.5 0 1 0 0-17 8.5 8.5 0 0 0 0 17z", "M12 7.5v5.5", "M12 16.5v.01"],
};
PATHS.read = PATHS.delivered;

export function icon(name, label) {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", `icon icon-${name}`);
  if (label) {
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    const title = document.createElementNS(SVG, "title");
    title.textContent = label;
    svg.append(title);
  } else {
    svg.setAttribute("aria-hidden", "true");
  }
  for (const d of PATHS[name]) {
    const path = document.createElementNS(SVG, "path");
    path.setAttribute("d", d);
    svg.append(path);
  }
  return svg;
}

/** Make the children of `parent` those of `items`, touching only what differs.
    `make(item, old)` answers with the node for an item; it may be the old one. */
export function reconcile(parent, items, keyOf, make) {
  const nodes = parent.nodesByKey ?? new Map();
  const next = new Map();
  let cursor = parent.firstChild;
  for (const item of items) {
    const key = keyOf(item);
    const old = nodes.get(key);
    const node = make(item, old);
    if (old && old !== node) {
      if (cursor === old) cursor = old.nextSibling;
      old.remove();
    }
    next.set(key, node);
    if (node === cursor) cursor = cursor.nextSibling;
    else parent.insertBefore(node, cursor);
  }
  while (cursor) {
    const following = cursor.nextSibling;
    cursor.remove();
    cursor = following;
  }
  parent.nodesByKey = next;
}

/** `work` once before the next picture, however often it is asked for. */
export function perFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => {
      asked = false;
      work();
    });
  };
}
