import { setTimeout as sleep } from 'node:timers/promises';
import type {
  ClaimRequest,
  ClaimedJob,
  HeartbeatAnswer,
  HeartbeatEntry,
  JobFailure,
  RegisteredAgent,
  Registration,
  StartedJob,
} from './protocol.ts';

const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
const ANSWER_WITHIN_MS = 15_000;
const LOG_EVERY_MS = 60_000;

/** The platform's answer was an error: `code` is stable, the message is for people. */
export class PlatformError extends Error {
  readonly status: number;
  readonly code: string;
  readonly retryAfterMs: number;

  constructor(status: number, code: string, message: string, retryAfterMs = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }

  /** The same request may be answered otherwise later. */
  get isPassing(): boolean {
    return this.status >= 500 || this.status === 429 || this.status === 408;
  }
}

interface CallOptions {
  readonly signal: AbortSignal;
  readonly withinMs?: number;
  /** Before each attempt. */
  readonly onSend?: () => void;
}

export interface PlatformClientOptions {
  readonly credential?: string;
  readonly log?: (entry: Readonly<Record<string, unknown>>) => void;
}

/**
 * The agent's side of the HTTP API. Each call is repeated, with growing delays, while the platform is away or busy: all
 * of them may be; the first failure is logged, then one a minute. Rejects with PlatformError for an answer that will stay, and with the signal's reason.
 */
export class PlatformClient {
  private readonly url: string;
  private readonly credential: string | undefined;
  private readonly log: NonNullable<PlatformClientOptions['log']>;

  /** @throws TypeError for a URL that is not of the platform: no delay would mend it. */
  constructor(url: string, { credential, log = () => undefined }: PlatformClientOptions = {}) {
    this.url = platformUrl(url);
    this.credential = credential;
    this.log = log;
  }

  async register(registration: Registration, signal: AbortSignal): Promise<RegisteredAgent> {
    type Answer = { readonly agent: { readonly id: string }; readonly credential: string };
    const { agent, credential } = await this.persist<Answer>('/agents/register', registration, { signal });
    return { id: agent.id, credential };
  }

  async claim(request: ClaimRequest, signal: AbortSignal): Promise<ClaimedJob[]> {
    const withinMs = request.waitMs + ANSWER_WITHIN_MS;
    const { jobs } = await this.persist<{ jobs: ClaimedJob[] }>('/jobs/claim', request, { signal, withinMs });
    return jobs;
  }

  /** Not repeated: the next beat is. */
  heartbeat(jobs: readonly HeartbeatEntry[], signal: AbortSignal): Promise<HeartbeatAnswer> {
    return this.call<HeartbeatAnswer>('/agents/heartbeat', { jobs }, { signal });
  }

  /** `sentAt`: of the request that was answered, on the monotonic clock in milliseconds. */
  async start(jobId: string, token: string, signal: AbortSignal): Promise<{ sentAt: number; answer: StartedJob }> {
    let sentAt = 0;
    const onSend = (): void => {
      sentAt = performance.now();
    };
    const answer = await this.persist<StartedJob>(`/jobs/${jobId}/start`, { token }, { signal, onSend });
    return { sentAt, answer };
  }

  async complete(jobId: string, token: string, result: unknown, signal: AbortSignal): Promise<void> {
    await this.persist(`/jobs/${jobId}/complete`, { token, result }, { signal });
  }

  async fail(
    jobId: string,
    token: string,
    { error, retryable }: { readonly error: JobFailure; readonly retryable: boolean },
    signal: AbortSignal,
  ): Promise<void> {
    await this.persist(`/jobs/${jobId}/fail`, { token, error, retryable }, { signal });
  }

  private async persist<T>(path: string, body: unknown, options: CallOptions): Promise<T> {
    let loggedAt = -Infinity;
    let failures = 0;
    for (let delayMs = FIRST_DELAY_MS; ; delayMs = Math.min(delayMs * 2, MAX_DELAY_MS)) {
      let waitMs = delayMs;
      options.onSend?.();
      try {
        return await this.call<T>(path, body, options);
      } catch (error) {
        options.signal.throwIfAborted();
        if (error instanceof PlatformError) {
          if (!error.isPassing) throw error;
          waitMs = Math.max(waitMs, error.retryAfterMs);
        }
        failures += 1;
        if (performance.now() - loggedAt >= LOG_EVERY_MS) {
          loggedAt = performance.now();
          this.log({ message: 'a request failed, it is repeated', path, failures, why: reasonOf(error) });
        }
      }
      // Agents that lost the platform together come back apart.
      await sleep(waitMs * (0.5 + Math.random() / 2), undefined, { signal: options.signal });
    }
  }

  private async call<T>(path: string, body: unknown, { signal, withinMs = ANSWER_WITHIN_MS }: CallOptions): Promise<T> {
    const response = await fetch(`${this.url}/api/v1${path}`, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(this.credential === undefined ? {} : { authorization: `Bearer ${this.credential}` }),
      },
      body: JSON.stringify(body),
      signal: AbortSignal.any([signal, AbortSignal.timeout(withinMs)]),
    });
    const text = await response.text();
    if (!response.ok) throw problemOf(response, text);
    return JSON.parse(text) as T;
  }
}

/** The URL without a slash at its end. @throws TypeError when it is not an http(s) one, or has a password in it. */
export function platformUrl(text: string): string {
  const url = URL.parse(text);
  if (!url || !['http:', 'https:'].includes(url.protocol)) {
    throw new TypeError(`expected an http:// or https:// URL, got "${text}"`);
  }
  if (url.username !== '' || url.password !== '') throw new TypeError('expected a URL without user and password');
  return text.trim().replace(/\/+$/, '');
}

/** `fetch failed` alone tells nothing: the reason is its cause. */
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { cause } = error;
  if (!(cause instanceof Error)) return error.message;
  const code = 'code' in cause ? String(cause.code) : cause.name;
  return `${error.message}: ${cause.message || code}`;
}

interface ProblemDocument {
  readonly code?: string;
  readonly detail?: string;
  readonly errors?: ReadonlyArray<{ readonly path: string; readonly message: string }>;
}

function problemOf({ status, headers }: Response, text: string): PlatformError {
  const retryAfterMs = Number(headers.get('retry-after') ?? 0) * 1_000 || 0;
  const isProblem = headers.get('content-type')?.includes('json') === true;
  const { code = 'unknown', detail = text, errors = [] } = isProblem ? (JSON.parse(text) as ProblemDocument) : {};
  const fields = errors.map(({ path, message }) => `${path || 'body'}: ${message}`).join('; ');
  const message = `${status} ${code}: ${detail}${fields === '' ? '' : ` (${fields})`}`;
  return new PlatformError(status, code, message, retryAfterMs);
}
