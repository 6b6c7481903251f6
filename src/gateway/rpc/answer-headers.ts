import type { AnswerNote, SubsystemFailure } from '../routing/answer.js';

export const FAILED_SUBSYSTEMS_HEADER = 'crowsnest-failed-subsystems';
export const POLLED_SUBSYSTEMS_HEADER = 'crowsnest-polled-subsystems';
export const NOTES_HEADER = 'crowsnest-notes';

export interface Reservations {
  readonly failures?: readonly SubsystemFailure[];
  readonly notes?: readonly AnswerNote[];
  readonly polled?: readonly string[];
}

/** Says whose part is missing, as `billing;timeout, shipping;unreachable`, ids percent-encoded, and what else holds. */
export function setReservations(
  headers: Pick<Headers, 'set'>,
  { failures = [], notes = [], polled = [] }: Reservations,
): void {
  if (failures.length > 0) {
    const named = failures.map(({ subsystemId, reason }) => `${encodeURIComponent(subsystemId)};${reason}`);
    headers.set(FAILED_SUBSYSTEMS_HEADER, named.join(', '));
  }
  if (polled.length > 0) headers.set(POLLED_SUBSYSTEMS_HEADER, polled.map(encodeURIComponent).join(', '));
  if (notes.length > 0) headers.set(NOTES_HEADER, notes.join(', '));
}
