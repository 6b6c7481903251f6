import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import type { SubsystemChanged } from './subsystem-events.js';
import type { RegistryChange } from './subsystem-changes.js';
import { SubsystemRegistry } from './subsystem-registry.js';
import { type SubsystemView, subsystemView } from './subsystem-view.js';

/** A gateway that restarts sees all of its subsystems come back in one turn; the streams of none may miss it. */
const MAX_WAITING = 10_000;

/** What the two clocks differ by when they are read, and are slewed by between. */
const SAME_CLOCK_MS = 100;

/** Tells the bus and the streams `subsystems` and `subsystem:<id>` what happens to subsystems. */
@Injectable()
export class SubsystemAnnouncer {
  private readonly log = new Logger(SubsystemAnnouncer.name);
  private wallOffset = 0;

  constructor(
    private readonly registry: SubsystemRegistry,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish' | 'subscribe'>,
    @Inject(SseBroadcaster) private readonly broadcaster: Pick<SseBroadcaster, 'registerTopic' | 'publish' | 'retire'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Before the service starts. */
  register(): void {
    this.registry.onChange((change) => this.announce(change));
    this.broadcaster.registerTopic(this.allTopic());
    this.broadcaster.registerTopic(this.oneTopic());
    this.bus.subscribe('subsystem streams', ['subsystem.changed'], ({ payload }) => this.publish(payload), {
      bufferSize: MAX_WAITING,
    });
  }

  viewOf(subsystem: RegisteredSubsystem): SubsystemView {
    const offset = this.clock.now() - this.clock.monotonic();
    // The same beat is shown with the same time, unless the wall clock was moved.
    if (Math.abs(offset - this.wallOffset) > SAME_CLOCK_MS) this.wallOffset = offset;
    return subsystemView(subsystem, (at) => this.wallOffset + at);
  }

  private announce({ kind, subsystem }: RegistryChange): void {
    const { id, tenantId, sequence } = subsystem;
    const view = this.viewOf(subsystem);
    if (kind !== 'changed') this.log.log({ message: `a subsystem is ${kind}`, subsystemId: id, tenantId });
    const options = { coalesceKey: id, ...(kind === 'removed' ? { tombstone: true } : {}) };
    this.bus.publish('subsystem.changed', { subsystem: view, change: kind, sequence }, options);
  }

  private publish({ subsystem, change, sequence }: SubsystemChanged): void {
    const { id, tenantId, name } = subsystem;
    const item = itemOf(id, sequence, change === 'removed' ? { id, tenantId, name, removed: true } : subsystem);
    this.broadcaster.publish('subsystems', tenantId, item);
    this.broadcaster.publish(`subsystem:${id}`, tenantId, item);
    if (change === 'removed') this.broadcaster.retire(`subsystem:${id}`);
  }

  private allTopic(): StreamTopic {
    return {
      prefix: 'subsystems',
      authorize: (_principal, id) => (id === '' ? Promise.resolve() : Promise.reject(AppError.notFound('stream'))),
      snapshot: (principal) => Promise.resolve(this.registry.list(principal).map((each) => this.storedItem(each))),
    };
  }

  private oneTopic(): StreamTopic {
    const find = (principal: Principal, id: string): RegisteredSubsystem | undefined =>
      this.registry.find(principal, id);
    return {
      prefix: 'subsystem',
      authorize: (principal, id) =>
        find(principal, id) ? Promise.resolve() : Promise.reject(AppError.notFound('subsystem')),
      snapshot: (principal, id) => {
        const subsystem = find(principal, id);
        return Promise.resolve(subsystem ? [this.storedItem(subsystem)] : []);
      },
    };
  }

  private storedItem(subsystem: RegisteredSubsystem): StreamItem {
    return itemOf(subsystem.id, subsystem.sequence, this.viewOf(subsystem));
  }
}

function itemOf(id: string, sequence: number, data: unknown): StreamItem {
  return { eventType: 'subsystem_update', entity: id, version: sequence, data };
}
