import type { Clock } from '../../runtime/clock.js';
import type { BusEvent } from './bus-event.js';
import { Gathering, type Rejection, type RequestResult } from './gathering.js';
import type { AnswerOf, RequestEventType, RequestOf, RequestScattered, RequestType } from './request-map.js';
import type { SubscribeOptions, Subscription } from './subscribe-options.js';

/** Thrown by `request` while the bus does not deliver: nobody would answer. */
export class EventBusPaused extends Error {
  constructor(state: 'paused' | 'stopped') {
    super(`the event bus is ${state}: a request would not be answered; ask again once it runs`);
    this.name = 'EventBusPaused';
  }
}

export interface RequestOptions {
  /** Names of those whose answers count. */
  readonly responders: readonly string[];
  /** Answers that are enough; all of `responders` by default. */
  readonly minAnswers?: number;
  /** Milliseconds after which it ends with what there is; a setting by default. */
  readonly timeoutMs?: number;
  /** Gives the request up, with the signal's reason. */
  readonly signal?: AbortSignal;
}

export interface RespondOptions {
  /** Ends the responder. */
  readonly signal?: AbortSignal;
  /** Requests that it works on at the same time, 16 by default; up to 256 more wait, further ones go unanswered. */
  readonly concurrency?: number;
}

export interface RequestStats {
  /** Requests that wait for answers. */
  readonly pending: number;
  readonly asked: number;
  /** Ended by their timeout. */
  readonly timedOut: number;
  /** Requests that reached a responder which was not asked. */
  readonly strangers: number;
  /** Further answers of a responder that had answered already. */
  readonly duplicates: number;
  /** Answers to requests that were over. */
  readonly late: number;
}

/** What scatter-gather needs of the bus. */
export interface RequestChannel {
  /** `undefined` while it delivers. */
  readonly halted: 'paused' | 'stopped' | undefined;
  publish(type: RequestEventType, payload: RequestScattered): number;
  subscribe(
    name: string,
    types: readonly RequestEventType[],
    handler: (event: BusEvent<RequestEventType>) => void | Promise<void>,
    options: SubscribeOptions,
  ): Subscription;
}

type Handler = (question: unknown, signal: AbortSignal) => unknown;

const WAITING_REQUESTS = 256;
const CONCURRENCY = 16;

/**
 * One question to many (Enterprise Integration Patterns: Scatter-Gather). The request goes out as an ordinary event on
 * the bounded queues of its responders; the answers come back by the id of the request.
 */
export class ScatterGather {
  private readonly pending = new Map<number, Gathering>();
  private readonly responders = new Map<string, number>();
  private readonly working = new Set<Promise<void>>();
  private readonly counts = { asked: 0, timedOut: 0, strangers: 0, duplicate: 0, late: 0 };

  constructor(
    private readonly channel: RequestChannel,
    private readonly clock: Clock,
    private readonly defaultTimeoutMs: number,
  ) {}

  request<T extends RequestType>(
    type: T,
    question: RequestOf<T>,
    options: RequestOptions,
  ): Promise<RequestResult<AnswerOf<T>>> {
    const { responders, minAnswers, timeoutMs = this.defaultTimeoutMs, signal } = options;
    if (minAnswers !== undefined && !(minAnswers >= 1)) {
      return Promise.reject(new RangeError(`minAnswers must be 1 or more, not ${minAnswers}`));
    }
    if (signal?.aborted) return Promise.reject(signal.reason as Error);
    const { halted } = this.channel;
    if (halted) return Promise.reject(new EventBusPaused(halted));

    this.counts.asked += 1;
    const requestId = this.counts.asked;
    const gathering = new Gathering(type, question, options, () => {
      this.pending.delete(requestId);
      timer.cancel();
      signal?.removeEventListener('abort', onAbort);
    });
    const onAbort = (): void => gathering.cancel(signal?.reason);
    const timer = this.clock.after(timeoutMs, () => {
      this.counts.timedOut += 1;
      gathering.finish();
    });
    signal?.addEventListener('abort', onAbort, { once: true });
    this.pending.set(requestId, gathering);

    this.channel.publish(eventType(type), { requestId, responders: [...new Set(responders)] });
    for (const responder of responders) {
      if (!this.responders.has(keyOf(type, responder))) gathering.giveUp(responder);
    }
    gathering.finishIfDone();
    return gathering.result as Promise<RequestResult<AnswerOf<T>>>;
  }

  respond<T extends RequestType>(
    type: T,
    responder: string,
    handler: (question: RequestOf<T>, signal: AbortSignal) => AnswerOf<T> | Promise<AnswerOf<T>>,
    { signal, concurrency = CONCURRENCY }: RespondOptions = {},
  ): Subscription {
    const key = keyOf(type, responder);
    let working = 0;
    let freed: (() => void) | undefined;
    const subscription = this.channel.subscribe(
      `${type} ${responder}`,
      [eventType(type)],
      ({ payload: { requestId } }) => {
        const gathering = this.pending.get(requestId);
        if (!gathering) return undefined;
        if (!gathering.expects(responder)) {
          this.counts.strangers += 1;
          return undefined;
        }
        working += 1;
        const work = this.answer(gathering, responder, handler as Handler).finally(() => {
          working -= 1;
          this.working.delete(work);
          freed?.();
        });
        this.working.add(work);
        if (working < concurrency) return undefined;
        return new Promise<void>((resolve) => {
          freed = resolve;
        });
      },
      {
        bufferSize: WAITING_REQUESTS,
        overflow: 'drop-newest',
        lateByDesign: true,
        ...(signal && { signal }),
        onEnd: () => this.gone(type, responder),
      },
    );
    if (!subscription.closed) this.responders.set(key, (this.responders.get(key) ?? 0) + 1);
    return subscription;
  }

  /** Whether no responder is at work. */
  get isIdle(): boolean {
    return this.working.size === 0;
  }

  /** Resolves when all responders that are at work now are through. */
  async idle(): Promise<void> {
    await Promise.all(this.working);
  }

  /** Ends what still waits for answers. */
  stop(): void {
    for (const gathering of this.pending.values()) gathering.cancel(new EventBusPaused('stopped'));
  }

  stats(): RequestStats {
    const { duplicate, ...counts } = this.counts;
    return { pending: this.pending.size, ...counts, duplicates: duplicate };
  }

  /** Never rejects: what the handler throws is that responder's part of the result. */
  private async answer(gathering: Gathering, responder: string, handler: Handler): Promise<void> {
    try {
      const answer = await handler(gathering.question, gathering.signal);
      this.reject(gathering.answer(responder, answer));
    } catch (error) {
      this.reject(gathering.fail(responder, error));
    }
  }

  private reject(rejection: Rejection | undefined): void {
    if (rejection) this.counts[rejection] += 1;
  }

  private gone(type: string, responder: string): void {
    const key = keyOf(type, responder);
    const left = (this.responders.get(key) ?? 0) - 1;
    if (left > 0) {
      this.responders.set(key, left);
      return;
    }
    this.responders.delete(key);
    for (const gathering of this.pending.values()) {
      if (gathering.type === type) gathering.giveUp(responder);
    }
  }
}

const eventType = (type: string): RequestEventType => `request:${type}`;
const keyOf = (type: string, responder: string): string => `${type} ${responder}`;
