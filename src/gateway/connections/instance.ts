import type { Random } from '../../runtime/random.js';
import { CallFailure } from './call-failure.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { type DialInstance, type HttpVersion, dialInstance } from './dial-instance.js';
import type { Link } from './link.js';

/** In a row, then nobody tries for a while. */
const FAILED_DIALS = 5;
/** Of 100 streams each; more calls at once than they hold are refused. */
const MAX_LINKS = 10;

/** One instance of a subsystem: opens links as they are needed and shares them among calls. */
export class Instance {
  private readonly links = new Set<Link>();
  private opening: Promise<void> | undefined;
  private version: HttpVersion = 'http2';
  private isClosed = false;
  private lastFailure: CallFailure | undefined;
  private readonly breaker: CircuitBreaker;
  private readonly origin: URL;

  constructor(
    endpoint: string,
    private readonly dial: DialInstance,
    random: Random,
    /** No link stands and none can be opened. Must not throw. */
    private readonly onUnreachable: (failure: CallFailure) => void = () => undefined,
  ) {
    this.origin = new URL(endpoint);
    this.breaker = new CircuitBreaker(dial.clock, random, FAILED_DIALS);
  }

  /** Open connections. */
  get linkCount(): number {
    return [...this.links].filter(({ isUsable }) => isUsable).length;
  }

  /** Whether nobody tries to connect for a while. */
  get isGivenUp(): boolean {
    return this.breaker.isOpen;
  }

  /** A link with room if there is one now. Its room is taken with the call, so the call must follow at once. */
  ready(): Link | undefined {
    for (const link of this.links) {
      if (!link.isUsable) this.links.delete(link);
      else if (link.hasRoom) return link;
    }
    return undefined;
  }

  /** Opens one more link, together with all who ask meanwhile. @throws CallFailure `not-reached` */
  async grow(): Promise<void> {
    if (this.isClosed) throw new CallFailure('not-reached', 'the connection to it is closed');
    if (this.links.size >= MAX_LINKS) throw new CallFailure('not-reached', 'too many calls to it at once');
    await (this.opening ??= this.open().finally(() => (this.opening = undefined)));
  }

  /** Takes no further call. */
  retire(): void {
    this.isClosed = true;
    for (const link of this.links) link.retire();
  }

  close(): void {
    this.isClosed = true;
    for (const link of this.links) link.close();
  }

  private async open(): Promise<void> {
    if (this.breaker.isOpen) {
      throw new CallFailure('not-reached', 'it cannot be reached', { cause: this.lastFailure });
    }
    try {
      const { link, version } = await dialInstance(this.dial, this.origin, this.version, () => this.forgetGone());
      this.version = version;
      this.breaker.succeeded();
      if (this.isClosed) {
        link.close();
        throw new CallFailure('not-reached', 'the connection to it is closed');
      }
      this.links.add(link);
    } catch (error) {
      this.breaker.failed();
      this.version = 'http2';
      if (error instanceof CallFailure) this.failed(error);
      throw error;
    }
  }

  /** While another link stands the instance is there, and only takes no more. */
  private failed(failure: CallFailure): void {
    this.lastFailure = failure;
    if (!this.isClosed && ![...this.links].some(({ isUsable }) => isUsable)) this.onUnreachable(failure);
  }

  private forgetGone(): void {
    for (const link of this.links) if (!link.isUsable) this.links.delete(link);
    // What listens there next may speak another version.
    this.version = 'http2';
  }
}
