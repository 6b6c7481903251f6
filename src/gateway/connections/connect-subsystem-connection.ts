import {
  type DescMessage,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
  create,
  toBinary,
} from '@bufbuild/protobuf';
import { ConnectError } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import type { GuardedDialer, TlsTrust } from '../../egress/index.js';
import type { Clock } from '../../runtime/clock.js';
import { PROGRAM_VERSION } from '../../runtime/program-version.js';
import type { Random } from '../../runtime/random.js';
import { CallFailure, shownFailure } from './call-failure.js';
import { CallScope } from './call-scope.js';
import { enveloped, readStream, readUnary } from './connect-wire.js';
import type { DialInstance } from './dial-instance.js';
import { Instance } from './instance.js';
import type { Link, WireAnswer, WireRequest, WireStream } from './link.js';
import { type CallerIdentity, outboundHeaders } from './outbound-headers.js';
import { AnsweredError, shownAnswer } from './subsystem-error.js';
import type { CallOptions, SubsystemConnection } from './subsystem-connection.js';
import { TimeoutBreaker } from './timeout-breaker.js';

const MAX_CONNECT_MS = 3_000;

export interface ConnectionLimits {
  readonly callTimeoutMs: number;
  /** Of one message, either way. */
  readonly maxMessageBytes: number;
}

export interface InstanceFigures {
  /** Open connections. */
  readonly links: number;
  /** Instances that nobody tries to connect to for a while. */
  readonly givenUp: number;
}

export interface ConnectSubsystemConnectionOptions {
  readonly dialer: GuardedDialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: ConnectionLimits;
  /** Known once the service has started. */
  readonly installationId: () => string;
  /** Under which it is registered: errors name it. */
  readonly subsystemId: string;
  /** Origins of the instances that may be called now, preferred first; asked at each call. */
  readonly endpoints: () => readonly string[];
  /** No connection to the instance stands and none can be opened. Told at each attempt; must not throw. */
  readonly onUnreachable?: (endpoint: string, failure: CallFailure) => void;
  /** Told of each call and stream that has ended, with `ok` or the code it ended with. Must not throw. */
  readonly onEnded?: (outcome: string) => void;
  /** Told when it is closed. */
  readonly onClosed?: () => void;
  /** For `https` endpoints; the system's roots by default. */
  readonly trust?: TlsTrust;
}

/**
 * Calls over the Connect protocol in its binary form. The exchange is our own and not the library's, because the
 * library tells neither whether a request may have been processed nor an error of the peer from one of the way, and takes
 * about three times as long for a small message.
 */
export class ConnectSubsystemConnection implements SubsystemConnection {
  readonly timeouts: TimeoutBreaker;
  private readonly instances = new Map<string, Instance>();
  private readonly dial: DialInstance;
  private identity: CallerIdentity | undefined;
  private isClosed = false;

  constructor(private readonly options: ConnectSubsystemConnectionOptions) {
    const { dialer, clock, random, limits, trust = {} } = options;
    this.timeouts = new TimeoutBreaker(clock, random, limits.callTimeoutMs);
    // Half of the deadline at most: the other half is for the next instance.
    const connectTimeoutMs = Math.max(1, Math.min(MAX_CONNECT_MS, Math.floor(limits.callTimeoutMs / 2)));
    this.dial = { dialer, clock, connectTimeoutMs, trust };
  }

  read<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.call(method, input, options, false);
  }

  mutate<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.call(method, input, options, true);
  }

  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    input: MessageInitShape<I>,
    options: Omit<CallOptions, 'timeoutMs'> = {},
  ): AsyncIterable<MessageShape<O>> {
    const scope = new CallScope(this.options.clock, Infinity, options.signal);
    try {
      const request: WireRequest = {
        path: pathOf(method),
        headers: outboundHeaders('stream', this.caller, options),
        body: enveloped(toBinary(method.input, create(method.input, input))),
      };
      const { chunks, ...head } = await this.attempt<WireStream>(scope, false, (link) => link.open(request, scope));
      yield* readStream(method.output, head, chunks, this.options.limits.maxMessageBytes);
      this.options.onEnded?.('ok');
    } catch (error) {
      throw this.failed(error, false);
    } finally {
      scope.dispose();
    }
  }

  /** Its instances that are known by calls. */
  get figures(): InstanceFigures {
    const instances = [...this.instances.values()];
    return {
      links: instances.reduce((sum, { linkCount }) => sum + linkCount, 0),
      givenUp: instances.filter(({ isGivenUp }) => isGivenUp).length,
    };
  }

  /** Ends what is in progress and closes its sockets; calls fail from now on. */
  close(): void {
    this.isClosed = true;
    for (const instance of this.instances.values()) instance.close();
    this.instances.clear();
    this.options.onClosed?.();
  }

  private async call<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions,
    isMutation: boolean,
  ): Promise<MessageShape<O>> {
    const { callTimeoutMs, maxMessageBytes } = this.options.limits;
    const timeoutMs = Math.min(callTimeoutMs, Math.max(1, options.timeoutMs ?? callTimeoutMs));
    const scope = new CallScope(this.options.clock, timeoutMs, options.signal);
    try {
      const body = toBinary(method.input, create(method.input, input));
      const path = pathOf(method);
      const answer = await this.attempt<WireAnswer>(scope, isMutation, (link) =>
        link.send(
          { path, headers: outboundHeaders('unary', this.caller, options, scope.leftMs), body },
          maxMessageBytes,
          scope,
        ),
      );
      const message = readUnary(method.output, answer);
      this.options.onEnded?.('ok');
      return message;
    } catch (error) {
      throw this.failed(error, isMutation);
    } finally {
      scope.dispose();
    }
  }

  private failed(error: unknown, isMutation: boolean): ConnectError {
    const told = shown(error, this.options.subsystemId, isMutation);
    this.options.onEnded?.(codeToString(told.code));
    return told;
  }

  /** One instance after the other while the request has surely not been processed; a read also when it was cut off. */
  private async attempt<T>(scope: CallScope, isMutation: boolean, act: (link: Link) => Promise<T>): Promise<T> {
    let last: CallFailure | undefined;
    for (const instance of this.current()) {
      for (let isAgain = false; ; isAgain = true) {
        const before = { wasUsed: false };
        try {
          let link = instance.ready();
          while (!link) {
            await scope.race(instance.grow());
            link = instance.ready();
          }
          before.wasUsed = link.wasUsed;
          return await act(link);
        } catch (error) {
          if (!(error instanceof CallFailure) || scope.reason) throw error;
          const mayRepeat = error.kind === 'not-reached' || (error.kind === 'cut' && !isMutation);
          if (!mayRepeat) throw error;
          last = error;
          // A connection that stood open may have ended as the request left: a new one tells whether the instance lives.
          if (!before.wasUsed || isAgain) break;
        }
      }
    }
    throw last ?? new CallFailure('not-reached', 'it has no instance that may be called');
  }

  private *current(): Iterable<Instance> {
    const endpoints = this.isClosed ? [] : this.options.endpoints();
    if (this.instances.size > endpoints.length || endpoints.some((endpoint) => !this.instances.has(endpoint))) {
      this.adopt(endpoints);
    }
    for (const endpoint of endpoints) {
      const instance = this.instances.get(endpoint);
      if (instance) yield instance;
    }
  }

  /** Those that have left finish what they have begun. */
  private adopt(endpoints: readonly string[]): void {
    for (const [endpoint, instance] of this.instances) {
      if (endpoints.includes(endpoint)) continue;
      instance.retire();
      this.instances.delete(endpoint);
    }
    const { random, onUnreachable } = this.options;
    for (const endpoint of endpoints) {
      if (this.instances.has(endpoint)) continue;
      const told = (failure: CallFailure): void => onUnreachable?.(endpoint, failure);
      this.instances.set(endpoint, new Instance(endpoint, this.dial, random, told));
    }
  }

  private get caller(): CallerIdentity {
    if (this.identity) return this.identity;
    const installationId = this.options.installationId();
    return (this.identity = { installationId, userAgent: `crowsnest/${PROGRAM_VERSION} (${installationId})` });
  }
}

function pathOf(method: { readonly parent: { readonly typeName: string }; readonly name: string }): string {
  return `/${method.parent.typeName}/${method.name}`;
}

function shown(error: unknown, subsystemId: string, isMutation: boolean): ConnectError {
  if (error instanceof CallFailure) return shownFailure(error, subsystemId, isMutation);
  if (error instanceof AnsweredError) return shownAnswer(error, subsystemId, isMutation);
  return ConnectError.from(error);
}
