export type SealFailure = 'malformed' | 'unknown-key' | 'tampered';

/** Something sealed cannot be opened. Names the key at most, never the content. */
export class SealError extends Error {
  constructor(
    readonly failure: SealFailure,
    message: string,
    /** Of the key that sealed it, where that can be read. */
    readonly keyId?: string,
  ) {
    super(message);
    this.name = 'SealError';
  }
}
