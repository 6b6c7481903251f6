import { Inject, Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import type { Model } from 'mongoose';
import { isDuplicateKey } from '../database/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { Principal } from '../auth/principal.js';
import type { IdempotencyKeyDocument } from './idempotency-key.schema.js';

const KEPT_MS = 24 * 3_600_000;
const RUNNING_MS = 120_000;

export type Answer = NonNullable<IdempotencyKeyDocument['answer']>;
export type Claim = 'first' | 'running' | 'other-request' | Answer;

@Injectable()
export class IdempotencyKeysRepository {
  constructor(
    @InjectModel('IdempotencyKey') private readonly model: Model<IdempotencyKeyDocument>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Whether this request is the first with its key, and if not, what became of the first. */
  async claim(principal: Principal, key: string, requestHash: string): Promise<Claim> {
    const owner = { tenantId: principal.tenantId, principal: principal.id, key };
    const now = this.clock.now();
    const claimed = { requestHash, runningUntil: new Date(now + RUNNING_MS), expiresAt: new Date(now + KEPT_MS) };
    try {
      await this.model.create({ ...owner, ...claimed });
      return 'first';
    } catch (error) {
      if (!isDuplicateKey(error)) throw error;
    }
    const abandoned = { ...owner, requestHash, runningUntil: { $lt: new Date(now) } };
    if (await this.model.findOneAndUpdate(abandoned, { $set: claimed }).lean()) return 'first';
    const known = await this.model.findOne(owner).lean();
    if (known && known.requestHash !== requestHash) return 'other-request';
    return known?.answer ?? 'running';
  }

  async answer(principal: Principal, key: string, answer: Answer): Promise<void> {
    const owner = { tenantId: principal.tenantId, principal: principal.id, key };
    await this.model.updateOne(owner, { $set: { answer }, $unset: { runningUntil: 1 } });
  }

  /** After a failure nothing was done, so that the key may be used again. */
  async release(principal: Principal, key: string): Promise<void> {
    await this.model.deleteOne({ tenantId: principal.tenantId, principal: principal.id, key });
  }
}
