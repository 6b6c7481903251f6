import { KubernetesApiError } from '../../kubernetes/kubernetes-api.js';

/** What to do after a failed list or watch. */
export type Remedy =
  /** Watch again from the same resource version. */
  | 'resume'
  /** What is known may have a gap: list again. */
  | 'relist'
  /** The rights do not reach: tell, and ask again slowly. */
  | 'forbidden'
  /** The credential is refused: ask again at the backoff's pace, whether or not the server answers. */
  | 'unauthorized';

export interface WatchFailure {
  readonly remedy: Remedy;
  /** The API server was not reached: a probe can tell when it is back. */
  readonly unreachable: boolean;
  readonly retryAfterMs: number | null;
  readonly message: string;
}

/** The server closed a watch at once and without a word, as it does for versions that it cannot serve. */
export class ShortWatch extends Error {
  constructor() {
    super('the API server ended the watch at once without an event');
    this.name = 'ShortWatch';
  }
}

/** An object that has no identity. Skipping it would hide a change, so the list is read again. */
export class UnreadableObject extends Error {
  constructor(kind: string) {
    super(`the API server sent a ${kind} without uid, name or resource version`);
    this.name = 'UnreadableObject';
  }
}

export function classifyFailure(error: unknown): WatchFailure {
  const message = error instanceof Error ? error.message : String(error);
  if (!(error instanceof KubernetesApiError)) {
    return { remedy: 'relist', unreachable: false, retryAfterMs: null, message };
  }
  return {
    ...remedyFor(error),
    retryAfterMs: error.options.retryAfterMs ?? null,
    message,
  };
}

function remedyFor(error: KubernetesApiError): Pick<WatchFailure, 'remedy' | 'unreachable'> {
  if (isVersionTooLarge(error)) return { remedy: 'relist', unreachable: false };
  switch (error.failure) {
    case 'dns':
    case 'refused':
    case 'tls':
    case 'timeout':
    case 'egress':
    case 'cut':
      return { remedy: 'resume', unreachable: true };
    case 'too-many-requests':
      return { remedy: 'resume', unreachable: false };
    case 'unauthorized':
      return { remedy: 'unauthorized', unreachable: false };
    case 'forbidden':
    case 'not-found':
      return { remedy: 'forbidden', unreachable: false };
    default:
      return { remedy: 'relist', unreachable: false };
  }
}

/** The server has not reached our version: it may have lost it. Before 1.18.6 only the message says so. */
function isVersionTooLarge({ message, options }: KubernetesApiError): boolean {
  const named = options.causes?.some(({ reason }) => reason === 'ResourceVersionTooLarge') ?? false;
  return named || /too large resource version/i.test(message);
}
