/** Ids are `<epoch>.<sequence>` (DESIGN 5). The longest that can be ours; more is not even looked at. */
const MAX_LENGTH = 64;
const FORM = /^([0-9a-f]{1,32})\.([1-9]\d{0,15})$/;

export function formatEventId(epoch: string, sequence: number): string {
  return `${epoch}.${sequence}`;
}

/** The sequence of an id of this epoch; `undefined` for whatever else a client sends, and for 0, which resumes nothing. */
export function parseEventId(text: string | undefined, epoch: string): number | undefined {
  if (text === undefined || text.length > MAX_LENGTH) return undefined;
  const [, itsEpoch, digits] = FORM.exec(text) ?? [];
  const sequence = Number(digits);
  return itsEpoch === epoch && Number.isSafeInteger(sequence) ? sequence : undefined;
}
