import type { Principal } from '../../src/auth/principal.js';
import { AppError } from '../../src/errors/app-error.js';
import type { SseBroadcaster } from '../../src/realtime/streams/sse-broadcaster.js';
import type { StreamItem, StreamTopic } from '../../src/realtime/streams/stream-topic.js';

/** State of things in one tenant, stored and published in one step. Ids but `missing` exist. */
export class FakeStreamTopic implements StreamTopic {
  private readonly items = new Map<string, StreamItem>();
  /** Awaited before the state is read. */
  gate: Promise<void> = Promise.resolve();
  /** Thrown by the next reads. */
  failure: Error | undefined;
  reads = 0;

  constructor(
    private readonly broadcaster: SseBroadcaster,
    readonly prefix = 'workflow',
  ) {
    broadcaster.registerTopic(this);
  }

  authorize(_: Principal, id: string): Promise<void> {
    if (this.failure) return Promise.reject(this.failure);
    return id === 'missing' ? Promise.reject(AppError.notFound(this.prefix)) : Promise.resolve();
  }

  async snapshot(): Promise<readonly StreamItem[]> {
    this.reads += 1;
    await this.gate;
    if (this.failure) throw this.failure;
    return [...this.items.values()];
  }

  /** Stores the entity's next version and publishes it to the key. */
  change(streamKey: string, entity: string, options: { tenantId?: string; padding?: number } = {}): number {
    const { tenantId = 'default', padding = 0 } = options;
    const version = (this.items.get(entity)?.version ?? 0) + 1;
    const data = { entity, version, padding: 'x'.repeat(padding) };
    const item: StreamItem = { eventType: 'node_update', entity, version, data };
    this.items.set(entity, item);
    this.broadcaster.publish(streamKey, tenantId, item);
    return version;
  }
}
