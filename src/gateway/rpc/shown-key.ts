const MOST = 64;

/** A key of a map in the path of a field: quoted, and cut where it is long. */
export function shownKey(key: string): string {
  return JSON.stringify(key.length > MOST ? `${key.slice(0, MOST)}…` : key);
}
