export const TAMPERINGS = [
  'row_not_authentic',
  'rows_missing',
  'rows_added',
  'rows_replaced',
  'segment_missing',
  'segment_changed',
  'segment_unlinked',
  'tail_missing',
  'head_changed',
  'anchor_changed',
  'key_unknown',
] as const;

/**
 * What verification can find.
 *
 * - `row_not_authentic`: a row was changed, or never written by the service.
 * - `rows_missing`, `rows_added`, `rows_replaced`: a segment has other rows than were sealed.
 * - `segment_missing`, `segment_changed`, `segment_unlinked`: the chain has a gap, or another segment in it.
 * - `tail_missing`: newer segments existed.
 * - `head_changed`, `anchor_changed`: where the chain ends or begins was changed.
 * - `key_unknown`: sealed with a key that is not in CROWSNEST_SEALING_KEY any more; nothing can be said.
 */
export type Tampering = (typeof TAMPERINGS)[number];

export interface Finding {
  /** null: rows that are not sealed yet. */
  readonly segment: number | null;
  readonly problem: Tampering;
  /** Of rows that are not authentic, where known; at most 5. */
  readonly rowIds: readonly string[];
}

const MAX_FINDINGS = 100;

/** What was found, first things first; beyond 100 it is counted only. */
export class Findings {
  readonly list: Finding[] = [];
  count = 0;

  add(segment: number | null, problem: Tampering, rowIds: readonly string[] = []): void {
    this.count += 1;
    if (this.list.length < MAX_FINDINGS) this.list.push({ segment, problem, rowIds });
  }
}
