// What outlives a reload. Where the browser keeps nothing for us, memory has to do.

function open(name) {
  try {
    const area = window[name];
    area.setItem("chat:probe", "1");
    area.removeItem("chat:probe");
    return area;
  } catch {
    const map = new Map();
    return {
      getItem: (key) => map.get(key) ?? null,
      setItem: (key, value) => map.set(key, value),
      removeItem: (key) => map.delete(key),
      key: (index) => [...map.keys()][index] ?? null,
      get length() { return map.size; },
    };
  }
}

const everyTab = open("localStorage");
const thisTab = open("sessionStorage");

function read(area, key) {
  try {
    return JSON.parse(area.getItem(key));
  } catch {
    return null;
  }
}

function write(area, key, value) {
  try {
    if (value === undefined || value === null) area.removeItem(key);
    else area.setItem(key, JSON.stringify(value));
    return true;
  } catch {
    return false;   // the quota is used up
  }
}

function keysOf(prefix) {
  const keys = [];
  for (let index = 0; index < everyTab.length; index += 1) {
    const key = everyTab.key(index);
    if (key.startsWith(prefix)) keys.push(key);
  }
  return keys;
}

/** Who uses this tab: `{id, name}`, or who used the browser last. */
export const who = {
  get: () => read(thisTab, "chat:me") ?? read(everyTab, "chat:last"),
  set(me) {
    write(thisTab, "chat:me", me);
    write(everyTab, "chat:last", me);
  },
  forget() { this.set(null); },
};

/** The shelf of one account. Its unsent messages have a key each, so that two tabs never
    overwrite each other's. */
export class Shelf {
  constructor(id) {
    this.prefix = `chat:${id}:`;
  }

  get(name) { return read(everyTab, this.prefix + name); }
  set(name, value) { return write(everyTab, this.prefix + name, value); }

  unsent() {
    return keysOf(`${this.prefix}out:`).map((key) => read(everyTab, key)).filter(Boolean)
      .sort((a, b) => a.order - b.order);
  }

  keepUnsent(entry) { return this.set(`out:${entry.cid}`, entry); }
  dropUnsent(cid) { this.set(`out:${cid}`, null); }

  /** Forget everything of this account. */
  clear() {
    for (const key of keysOf(this.prefix)) everyTab.removeItem(key);
  }
}
