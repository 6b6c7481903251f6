import type { Subsystem } from '../registry/subsystem-directory.js';
import { formatQualifiedId } from './qualified-id.js';

/** An id as an answer shows it: bare, unless the request was qualified or it is ambiguous. */
export function shownId(
  owned: { readonly subsystem: Subsystem; readonly qualified: boolean },
  id: string,
  isAmbiguous: boolean,
): string {
  return owned.qualified || isAmbiguous ? formatQualifiedId({ subsystemId: owned.subsystem.id, id }) : id;
}
