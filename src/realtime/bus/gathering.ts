/** What came of a request. Each responder that was asked is in exactly one of the three. */
export interface RequestResult<Answer> {
  /** By responder, in the order in which they answered. */
  readonly answers: ReadonlyMap<string, Answer>;
  /** Those who neither answered nor failed, in the order in which they were asked. */
  readonly missing: string[];
  /** What the responders that failed have thrown. */
  readonly errors: ReadonlyMap<string, unknown>;
}

/** Why an outcome did not count. */
export type Rejection = 'duplicate' | 'late';

/** The abort reason that handlers see when nobody waits for their answer any more. */
export class RequestOver extends Error {
  constructor() {
    super('the request is over: nobody waits for this answer any more');
    this.name = 'RequestOver';
  }
}

/** The answers to one request, until there are enough of them or somebody ends it. */
export class Gathering {
  readonly result: Promise<RequestResult<unknown>>;
  private readonly settle: PromiseWithResolvers<RequestResult<unknown>> = Promise.withResolvers();
  private readonly asked: ReadonlySet<string>;
  private readonly outstanding: Set<string>;
  private readonly answers = new Map<string, unknown>();
  private readonly errors = new Map<string, unknown>();
  private readonly controller = new AbortController();
  private readonly needed: number;
  private over = false;

  constructor(
    readonly type: string,
    readonly question: unknown,
    expected: { readonly responders: readonly string[]; readonly minAnswers?: number },
    /** Called once, when it is over. */
    private readonly onOver: () => void,
  ) {
    this.asked = new Set(expected.responders);
    this.outstanding = new Set(this.asked);
    this.needed = Math.min(expected.minAnswers ?? this.asked.size, this.asked.size);
    this.result = this.settle.promise;
  }

  /** Aborts as soon as an answer would come too late. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  expects(responder: string): boolean {
    return this.asked.has(responder);
  }

  /** Counts an answer of one that was asked, once; otherwise tells why not. */
  answer(responder: string, answer: unknown): Rejection | undefined {
    const rejection = this.take(responder);
    if (rejection) return rejection;
    this.answers.set(responder, answer);
    this.finishIfDone();
    return undefined;
  }

  /** Counts a failure in the place of an answer. */
  fail(responder: string, error: unknown): Rejection | undefined {
    const rejection = this.take(responder);
    if (rejection) return rejection;
    this.errors.set(responder, error);
    this.finishIfDone();
    return undefined;
  }

  /** Nobody of that name is there (any more): it stays missing and is not waited for. */
  giveUp(responder: string): void {
    if (this.over || !this.outstanding.delete(responder)) return;
    this.finishIfDone();
  }

  /** Ends it with what there is. */
  finish(): void {
    if (this.over) return;
    this.end();
    const missing = [...this.asked].filter((name) => !this.answers.has(name) && !this.errors.has(name));
    this.settle.resolve({ answers: this.answers, missing, errors: this.errors });
  }

  /** Ends it without a result. */
  cancel(reason: unknown): void {
    if (this.over) return;
    this.end();
    this.settle.reject(reason);
  }

  /** Ends it if it waits for nobody. */
  finishIfDone(): void {
    if (this.answers.size >= this.needed || this.outstanding.size === 0) this.finish();
  }

  private take(responder: string): Rejection | undefined {
    if (this.over) return 'late';
    if (this.answers.has(responder) || this.errors.has(responder)) return 'duplicate';
    this.outstanding.delete(responder);
    return undefined;
  }

  private end(): void {
    this.over = true;
    this.onOver();
    this.controller.abort(new RequestOver());
  }
}
