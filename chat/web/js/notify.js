// The system's notifications, where they are allowed.

/** `granted`, `denied`, `default` (not asked yet) or `none` (not to be had on this page). */
export function notifications() {
  return "Notification" in window && isSecureContext ? Notification.permission : "none";
}

export async function askToNotify() {
  if (notifications() === "default") await Notification.requestPermission();
}

/** Tell of a message; a newer one of the same conversation takes the older one's place. */
export function notify(key, title, text, onclick) {
  if (notifications() !== "granted") return;
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
