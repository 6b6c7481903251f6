import { AppError } from '../errors/app-error.js';
import type { Tenant } from '../tenants/index.js';
import type { JobsRepository } from './jobs.repository.js';

/** @throws AppError `job.limit`: with so many more, the tenant would have more jobs waiting than it may. */
export async function refuseBeyondLimit(
  jobs: Pick<JobsRepository, 'countQueued'>,
  { name, limits: { queued } }: Pick<Tenant, 'name' | 'limits'>,
  more: number,
): Promise<void> {
  if (queued === null) return;
  const waiting = await jobs.countQueued(name, queued + 1);
  if (waiting + more <= queued) return;
  const detail =
    `the tenant ${name} may have ${queued} jobs waiting and has ${Math.min(waiting, queued)}; ` +
    'try again when agents have taken some';
  throw new AppError('job.limit', detail, { headers: { 'Retry-After': '10' }, details: { limit: queued } });
}
