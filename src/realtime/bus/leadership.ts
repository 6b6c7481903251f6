/** Port: whether this process is the one that leads. Won and lost any number of times. */
export interface Leadership {
  readonly isLeader: boolean;
  /** Tells each change, never within the call. Returns what ends it. */
  onChange(listener: (isLeader: boolean) => void): () => void;
}

/** Injection token. */
export const LEADERSHIP = Symbol('leadership');

/** A process that shares its duties with no other. */
export const alwaysLeader: Leadership = { isLeader: true, onChange: () => () => undefined };
