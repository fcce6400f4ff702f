// The system's notifications, where they are allowed.

/** `granted`, `denied`, `default` (not asked yet) or `none` (not to be had on this page). */
export function notifications() {
  return "Notification" in window && isSecureContext ? Notification.permission : "none";
}

export async function askToNotify() {
  if (notifications() === "default") await Notification.requestPermission();
}

const GATHER = 300;   // ms; to ask for the permission takes longer than a message
const waiting = new Map();
let timer = 0;

/** Tell of a message; a newer one of the same conversation takes the older one's place. */
export function notify(key, title, text, onclick) {
  waiting.set(key, { title, text, onclick });
  timer ||= setTimeout(showAll, GATHER);
}

function showAll() {
  timer = 0;
  if (notifications() === "granted") waiting.forEach(show);
  waiting.clear();
}

function show({ title, text, onclick }, key) {
  try {
    const shown = new Notification(title, { body: text.slice(0, 200), tag: key, icon: "icon.svg" });
    shown.onclick = () => {
      window.focus();
      shown.close();
      onclick();
    };
  } catch {
    // Some phones allow notifications to service workers only.
  }
}
