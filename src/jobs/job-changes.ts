import { Inject, Injectable } from '@nestjs/common';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { HISTORY_LENGTH, type QueuePlace, type ReleaseReason } from './job.js';
import { HELD_STATES, type JobEvent, type JobState } from './job-state.js';
import { type JobsConfig, jobsConfig } from './jobs.config.js';
import { LeaseTimes } from './lease-times.js';
import { type Expression, cond, literal, plus } from './update-expressions.js';

type Fields = Record<string, Expression>;
/** A pipeline for an update. Its condition is the caller's filter: `statesBefore(event)`, and the lease where there is one. */
export type Change = Array<Record<string, Fields | string>>;

export interface ClaimMarks {
  readonly agentId: string;
  readonly claimKey: string;
  readonly hash: string;
}

const REMOVE = '$$REMOVE';
const IS_HELD = { $in: ['$state', [...HELD_STATES]] };

/**
 * What each event of the transition table writes. Every time in it is the server's, read inside of the command; every
 * change makes `version` grow and leaves an entry in the job's history.
 */
@Injectable()
export class JobChanges {
  private readonly times: LeaseTimes;

  constructor(
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(jobsConfig.token) private readonly config: JobsConfig,
  ) {
    this.times = new LeaseTimes(time, config);
  }

  due(state: JobState, by: string): Change {
    return this.change('due', by, { state, runAt: REMOVE, waitingSince: this.time.now });
  }

  admit(slot: number | null, by: string): Change {
    return this.change('admit', by, { state: 'queued', slot: slot ?? REMOVE });
  }

  throttle(by: string): Change {
    return this.change('throttle', by, { state: 'throttled', slot: REMOVE });
  }

  expire(by: string): Change {
    return this.change('expire', by, {
      state: 'expired',
      reason: 'queue_limit',
      ...this.leaveQueue(),
      ...this.ended(),
    });
  }

  claim({ agentId, claimKey, hash }: ClaimMarks): Change {
    const { now } = this.time;
    const at = { expiresAt: plus(now, this.config.leaseMs), renewedAt: now, claimedAt: now, touchedAt: now };
    const attempts = plus('$attempts', 1);
    return this.change('claim', agentId, {
      state: 'claimed',
      reason: null,
      waitingSince: REMOVE,
      lease: { agentId: literal(agentId), claimKey: literal(claimKey), hash: literal(hash), ...at },
      ended: null,
      epoch: plus('$epoch', 1),
      attempts,
      agentId: literal(agentId),
      progress: null,
      startedAt: null,
    });
  }

  /** The answer to a claim was lost: its jobs get a new token, and the lost one is worth nothing. */
  reissue(hash: string): Change {
    const { now } = this.time;
    return [
      {
        $set: {
          'lease.hash': literal(hash),
          'lease.renewedAt': now,
          'lease.expiresAt': this.times.leaseEnd('$lease.touchedAt', '$state'),
          epoch: plus('$epoch', 1),
        },
      },
    ];
  }

  start(by: string): Change {
    const { now } = this.time;
    const deadline = cond({ $gt: ['$timeoutMs', null] }, plus(now, '$timeoutMs'), REMOVE);
    return [
      { $set: { 'lease.touchedAt': now, 'lease.renewedAt': now, 'lease.deadlineAt': deadline } },
      { $set: { 'lease.expiresAt': this.times.leaseEnd(now, 'running') } },
      ...this.change('start', by, { state: 'running', startedAt: now }),
    ];
  }

  progress(percent: number, message: string | null): Change {
    const { now } = this.time;
    const fields = {
      'lease.touchedAt': now,
      'lease.renewedAt': now,
      'lease.expiresAt': this.times.leaseEnd(now, '$state'),
      progress: { percent, message: literal(message), at: now },
    };
    // Told a hundred times by some jobs: the history keeps what changes the state.
    return [{ $set: { ...fields, ...this.stamp() } }];
  }

  /** A heartbeat: makes the lease longer, but never beyond what the job is allowed without progress. */
  renew(): Change {
    const end = this.times.leaseEnd('$lease.touchedAt', '$state');
    return [{ $set: { 'lease.renewedAt': this.time.now, 'lease.expiresAt': end } }];
  }

  complete(by: string, hash: string, result: string | null): Change {
    const ended = { hash: literal(hash), event: 'complete' };
    const outcome = { state: 'completed', reason: null, result: literal(result), error: null };
    return this.change('complete', by, { ...outcome, ended, ...this.leaveAgent(), ...this.ended() });
  }

  fail(by: string, hash: string, error: string, isRetryable: boolean): Change {
    const ended = { hash: literal(hash), event: 'fail' };
    const reason = cond({ $eq: ['$outcome', 'canceled'] }, 'canceled', 'error');
    return this.endAttempt('fail', by, isRetryable, { reason, error: literal(error), ended });
  }

  /**
   * The lease is over. Without a reason the one is told that time alone has brought about. An agent that was removed is
   * no sign that the job is at fault: it is tried again without a delay.
   */
  release(by: string, reason: ReleaseReason | null): Change {
    const why = reason ?? this.times.whyOver();
    const count = { $toString: '$attempts' };
    const exhausted = [
      '{"code":"retries_exhausted","message":"attempt ',
      count,
      ' was the last one; it ended by ',
      why,
      '"}',
    ];
    const error = cond({ $eq: ['$outcome', 'failed'] }, { $concat: exhausted }, '$error');
    const next = reason === 'agent_removed' ? 'queued' : 'scheduled';
    return this.endAttempt('release', by, true, { reason: why, error }, next);
  }

  /** At once for a job that waits; a flag on one that an agent has. */
  cancel(by: string): Change {
    const ends: Fields = { reason: 'canceled', runAt: REMOVE, ...this.leaveQueue(), ...this.ended() };
    const fields: Fields = { state: cond(IS_HELD, '$state', 'canceled'), cancelRequested: true };
    for (const [field, value] of Object.entries(ends)) fields[field] = cond(IS_HELD, `$${field}`, value);
    return this.change('cancel', by, fields);
  }

  retry(by: string, { runAt, ...place }: QueuePlace): Change {
    return this.change('retry', by, {
      ...place,
      ...(runAt === null ? { waitingSince: this.time.now } : { runAt }),
      attempts: 0,
      agentId: null,
      reason: null,
      progress: null,
      cancelRequested: false,
      result: null,
      error: null,
      ended: null,
      startedAt: null,
      endedAt: null,
      expiresAt: REMOVE,
    });
  }

  /** The same change, and a mark to find by what it has changed. */
  marked(change: Change, sweepId: string): Change {
    return [...change, { $set: { sweepId: literal(sweepId) } }];
  }

  private endAttempt(
    event: 'fail' | 'release',
    by: string,
    isRetryable: boolean,
    fields: Fields,
    next: 'scheduled' | 'queued' = 'scheduled',
  ): Change {
    const { now } = this.time;
    const again = { $and: [isRetryable, { $lte: ['$attempts', '$maxRetries'] }] };
    const outcome = cond('$cancelRequested', 'canceled', cond(again, next, 'failed'));
    const isAgain = { $eq: ['$outcome', next] };
    const ended: Fields = {};
    for (const [field, value] of Object.entries(this.ended())) ended[field] = cond(isAgain, `$${field}`, value);
    return [
      { $set: { outcome } },
      ...this.change(event, by, {
        state: '$outcome',
        ...this.leaveAgent(),
        ...(next === 'queued'
          ? this.stayInQueue(isAgain)
          : { runAt: cond(isAgain, plus(now, this.times.backoff()), REMOVE) }),
        ...ended,
        ...fields,
      }),
      { $unset: 'outcome' },
    ];
  }

  private ended(): Fields {
    return { endedAt: this.time.now, expiresAt: plus(this.time.now, this.config.retentionMs) };
  }

  private leaveQueue(): Fields {
    return { waitingSince: REMOVE, ...this.leavePlace() };
  }

  private leaveAgent(): Fields {
    return { lease: REMOVE, ...this.leavePlace(), epoch: plus('$epoch', 1) };
  }

  private leavePlace(): Fields {
    return { slot: REMOVE, lastSlot: { $ifNull: ['$slot', REMOVE] } };
  }

  /** Queued again, with the place among its tenant's running jobs that it has, if it has one. */
  private stayInQueue(isAgain: Expression): Fields {
    const place: Fields = {};
    for (const [field, value] of Object.entries(this.leavePlace())) place[field] = cond(isAgain, `$${field}`, value);
    return { waitingSince: cond(isAgain, this.time.now, REMOVE), ...place };
  }

  private stamp(): Fields {
    return { version: plus('$version', 1), updatedAt: this.time.now };
  }

  private change(event: JobEvent, by: string, fields: Fields): Change {
    const entry = {
      at: this.time.now,
      event,
      state: fields['state'],
      attempt: fields['attempts'] ?? '$attempts',
      agentId: fields['agentId'] ?? '$agentId',
      by: literal(by),
      reason: fields['reason'] ?? null,
    };
    const history = { $slice: [{ $concatArrays: ['$history', [entry]] }, -HISTORY_LENGTH] };
    return [{ $set: { ...fields, ...this.stamp(), history } }];
  }
}
