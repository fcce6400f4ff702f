// JSON whose ids survive: an id may be as large as 2^63-1, a Number is exact only to 2^53.
// In this page every id is a string of digits; it becomes one when it comes in, and stands
// unquoted again when it goes out.

const LONG_NUMBER = /\d{16}/;
const STRING_OR_NUMBER = /"[^"\\]*(?:\\[^][^"\\]*)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;
const ID_FIELDS = new Set(["id", "toid", "groupid", "friendid", "userid", "after", "before", "seq"]);
const DIGITS = /^\d{1,19}$/;

/** The object in `text`; whole numbers of 16 digits and more come as strings. */
export function parse(text) {
  if (LONG_NUMBER.test(text)) {
    text = text.replace(STRING_OR_NUMBER, (token) =>
      token.length >= 16 && /^\d+$/.test(token) ? `"${token}"` : token);
  }
  return JSON.parse(text);
}

/** A flat request as JSON, its ids as numbers. */
export function stringify(message) {
  const parts = [];
  for (const [field, value] of Object.entries(message)) {
    if (value === undefined) continue;
    const raw = ID_FIELDS.has(field) && typeof value === "string" && DIGITS.test(value);
    parts.push(`${JSON.stringify(field)}:${raw ? value : JSON.stringify(value)}`);
  }
  return `{${parts.join(",")}}`;
}

/** An id in one form, whatever it came as. */
export const idOf = (value) => String(value ?? "");
