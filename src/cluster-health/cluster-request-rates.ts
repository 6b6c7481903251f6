import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
import { RequestRate } from './request-rate.js';

/**
 * Every request that makes the service call a cluster at once is bounded. A credential that nobody has stored is tried
 * only by registering it, which is for admins, so the tight bound is on checks and the wide one on registrations.
 */
@Injectable()
export class ClusterRequestRates {
  private readonly checks: RequestRate;
  private readonly accessChanges: RequestRate;

  constructor(
    @Inject(clusterHealthConfig.token) private readonly config: ClusterHealthConfig,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.checks = new RequestRate(config.checksPerMinute, clock);
    this.accessChanges = new RequestRate(config.registrationsPerMinute, clock);
  }

  /** @throws AppError `request.rate_limited` */
  takeCheck(principal: Principal, clusterId: string): void {
    const waitMs = this.checks.take(`${keyOf(principal)} ${clusterId}`);
    if (waitMs > 0)
      throw limited(`a cluster is checked on request ${this.config.checksPerMinute} times a minute`, waitMs);
  }

  /** @throws AppError `request.rate_limited` */
  takeAccessChange(principal: Principal): void {
    const waitMs = this.accessChanges.take(keyOf(principal));
    if (waitMs > 0) {
      throw limited(`${this.config.registrationsPerMinute} endpoints or credentials a minute can be given`, waitMs);
    }
  }
}

function keyOf({ kind, tenantId, id }: Principal): string {
  return `${kind} ${tenantId} ${id}`;
}

function limited(rule: string, waitMs: number): AppError {
  const seconds = Math.ceil(waitMs / 1_000);
  return new AppError('request.rate_limited', `${rule}; try again in ${seconds} s`, {
    headers: { 'Retry-After': String(seconds) },
  });
}
