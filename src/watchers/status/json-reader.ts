/** Readers over raw JSON of an API server. A wrong or missing value reads as the neutral one; nothing here throws. */
export type JsonObject = Readonly<Record<string, unknown>>;

const EMPTY: JsonObject = Object.freeze({});

export function readObject(value: unknown): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : EMPTY;
}

/** The objects of a list; anything else in it is left out. */
export function readObjects(value: unknown): readonly JsonObject[] {
  return Array.isArray(value) ? value.map(readObject).filter((each) => each !== EMPTY) : [];
}

export function readStrings(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string').map((each) => cut(each, 253)) : [];
}

/** A non-empty string of at most `maxLength` characters, else null. */
export function readText(value: unknown, maxLength = 253): string | null {
  return typeof value === 'string' && value !== '' ? cut(value, maxLength) : null;
}

/** A whole number >= 0, else null. */
export function readCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** Milliseconds since the epoch of an RFC 3339 time, else null. */
export function readTime(value: unknown): number | null {
  const time = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(time) ? null : time;
}

/** A flat map of strings, as labels are; null when it is empty. At most 64 entries are kept. */
export function readStringMap(value: unknown): Readonly<Record<string, string>> | null {
  const entries = Object.entries(readObject(value)).filter(([, text]) => typeof text === 'string');
  if (entries.length === 0) return null;
  return Object.fromEntries(entries.slice(0, 64).map(([key, text]) => [cut(key, 317), cut(String(text), 63)]));
}

/** A message for people. Validation errors echo the refused value, which may be confidential: only the value is left out. */
export function readMessage(value: unknown, maxLength = 240): string | null {
  const text = readText(value, 4_096);
  if (text === null) return null;
  return cut(text.replaceAll(/Invalid value: ("(?:[^"\\]|\\.)*"|\{.*\}|\S+)/gs, 'Invalid value'), maxLength);
}

function cut(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  // Copied, because a slice would keep the whole text alive behind it.
  return `${Buffer.from(text.slice(0, maxLength - 1)).toString()}…`;
}
