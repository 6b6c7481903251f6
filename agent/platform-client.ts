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

/**
 * The agent's side of the HTTP API. Each call is repeated, with growing delays, while the platform is away or busy: all
 * of them may be. Rejects with PlatformError for an answer that will stay, and with the signal's reason.
 */
export class PlatformClient {
  private readonly url: string;
  private readonly credential: string | undefined;

  constructor(url: string, credential?: string) {
    this.url = url.replace(/\/$/, '');
    this.credential = credential;
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

function problemOf({ status, headers }: Response, text: string): PlatformError {
  const retryAfterMs = Number(headers.get('retry-after') ?? 0) * 1_000 || 0;
  const isProblem = headers.get('content-type')?.includes('json') === true;
  const { code = 'unknown', detail = text } = isProblem
    ? (JSON.parse(text) as { readonly code?: string; readonly detail?: string })
    : {};
  return new PlatformError(status, code, `${status} ${code}: ${detail}`, retryAfterMs);
}
