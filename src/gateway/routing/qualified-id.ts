/** An id that says its subsystem: `<subsystem>~<id>`, each percent-encoded so that neither holds a `~`. */
export interface QualifiedId {
  readonly subsystemId: string;
  readonly id: string;
}

const ENCODED = /^[A-Za-z0-9._-]+$/;

export function formatQualifiedId({ subsystemId, id }: QualifiedId): string {
  return `${subsystemId}~${encode(id)}`;
}

/** undefined for a bare id: one without `~`, or whose parts are none that `formatQualifiedId` makes. */
export function parseQualifiedId(text: string): QualifiedId | undefined {
  const tilde = text.indexOf('~');
  if (tilde < 1 || !ENCODED.test(text.slice(0, tilde))) return undefined;
  const encoded = text.slice(tilde + 1);
  const id = decode(encoded);
  if (id === undefined || id === '' || encode(id) !== encoded) return undefined;
  return { subsystemId: text.slice(0, tilde), id };
}

function encode(id: string): string {
  // `encodeURIComponent` leaves `~` as it is, and throws at half of a surrogate pair, which UTF-8 cannot hold either.
  return encodeURIComponent(id.toWellFormed()).replaceAll('~', '%7E');
}

function decode(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch (error) {
    if (error instanceof URIError) return undefined;
    throw error;
  }
}
