import { SharedRunFeeds } from '../../src/gateway/live/shared-run-feeds.js';
import { LiveAnswers } from '../../src/gateway/live/live-answers.js';
import { SharedStatsFeeds } from '../../src/gateway/live/shared-stats-feeds.js';
import type { RunEvent } from '../../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { AnswersRoom } from './answers-room.js';
import { settle } from './fake-clock.js';
import type { FakeSubsystemConnection } from './fake-subsystem-connection.js';
import type { FakeSubsystem } from './fake-subsystem-directory.js';
import { SubsystemData, type SubsystemDataOptions } from './flowwatch-subsystem-data.js';
import { SubsystemServices, type ServicesOptions } from './flowwatch-subsystem-services.js';

export const POLL_MS = 2_000;

export interface LiveSubsystem {
  readonly services: SubsystemServices;
  readonly data: SubsystemData;
  readonly connection: FakeSubsystemConnection;
}

/** What answers StreamService, over subsystems in memory. Nothing is drawn by chance: a pause has its full length. */
export class LiveRoom extends AnswersRoom {
  private readonly random = { float: () => 0, bytes: (length: number) => Buffer.alloc(length), uuid: () => 'uuid' };
  private readonly config = { pollMs: POLL_MS };
  readonly runFeeds = new SharedRunFeeds(
    this.directory,
    this.runOwners,
    this.workflowOwners,
    this.clock,
    this.random,
    this.config,
  );
  readonly live = new LiveAnswers(
    this.directory,
    this.runOwners,
    this.workflowOwners,
    this.runFeeds,
    new SharedStatsFeeds(this.directory, this.clock, this.random),
    this.clock,
    this.random,
    this.config,
  );

  /** A subsystem that streams, with runs; unless `old`. */
  join(
    options: SubsystemDataOptions & ServicesOptions,
    more: Partial<FakeSubsystem> & { readonly data?: SubsystemData } = {},
  ): LiveSubsystem {
    const { data = new SubsystemData({ runs: 0, ...options }), ...rest } = more;
    const services = new SubsystemServices(data, options);
    const connection = this.add(options.id, (router) => services.register(router), {
      workflows: data.workflows,
      ...rest,
    });
    return { services, data, connection };
  }
}

/** Reads a feed in the background and keeps what came. */
export class Reading<T> {
  readonly messages: T[] = [];
  outcome: { readonly error?: unknown } | undefined;
  private readonly iterator: AsyncIterator<T>;

  constructor(
    readonly feed: AsyncIterable<T>,
    private readonly abort = new AbortController(),
  ) {
    this.iterator = feed[Symbol.asyncIterator]();
    void this.read();
  }

  /** Takes what is on its way. */
  async settled(): Promise<readonly T[]> {
    await settle(10);
    return this.messages;
  }

  /** The client leaves. */
  async leave(): Promise<void> {
    this.abort.abort(new Error('the client left'));
    await settle(10);
  }

  private async read(): Promise<void> {
    try {
      for (let next = await this.iterator.next(); !next.done; next = await this.iterator.next()) {
        this.messages.push(next.value);
      }
      this.outcome = {};
    } catch (error) {
      this.outcome = { error };
    }
  }
}

/** `id status type` of each, for comparing. */
export function told(events: readonly RunEvent[]): string[] {
  return events.map(({ run, eventType }) => `${run?.id} ${run?.status} ${eventType}`);
}
