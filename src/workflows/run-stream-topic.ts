import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { objectId } from '../http/object-id.js';
import { EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../realtime/index.js';
import type { Run } from './workflow.js';
import { RunsRepository } from './runs/runs.repository.js';
import { runItem } from './workflow-stream-topic.js';

/** What stands behind `run:<id>`: one run, until it has ended. */
@Injectable()
export class RunStreamTopic implements StreamTopic {
  readonly prefix = 'run';

  constructor(
    private readonly runs: RunsRepository,
    @Inject(SseBroadcaster) broadcaster: Pick<SseBroadcaster, 'registerTopic' | 'publish'>,
    @Inject(EventBus) bus: Pick<EventBus, 'subscribe'>,
  ) {
    broadcaster.registerTopic(this);
    bus.subscribe('run streams', ['run.changed'], ({ payload: { run } }) => {
      broadcaster.publish(`${this.prefix}:${run.id}`, run.tenantId, lastingItem(run));
    });
  }

  async authorize(principal: Principal, id: string): Promise<void> {
    if (!(await this.find(principal, id))) throw AppError.notFound('run');
  }

  async snapshot(principal: Principal, id: string): Promise<readonly StreamItem[]> {
    const run = await this.find(principal, id);
    return run === null ? [] : [lastingItem(run)];
  }

  /** An id in a stream key comes from the client as it is. */
  private find(principal: Principal, id: string): Promise<Run | null> {
    return objectId.safeParse(id).success ? this.runs.findById(principal, id) : Promise.resolve(null);
  }
}

/** A run that has ended changes no more. */
function lastingItem(run: Run): StreamItem {
  return { ...runItem(run), final: run.state !== 'running' };
}
