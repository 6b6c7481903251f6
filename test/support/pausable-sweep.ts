import type { JobReleasesRepository } from '../../src/jobs/sweeps/job-releases.repository.js';

export type Deferred = ReturnType<typeof Promise.withResolvers<void>>;

/** What a sweep reads before it writes. */
const READS = ['overdueLeases', 'waitingSince', 'due'] as const;

/** Lets a test hold a leader between its read and its write, where it knows least of what has happened since. */
export function pausableSweep(releases: JobReleasesRepository) {
  let armed: { readonly read: string; readonly reached: Deferred; readonly gate: Deferred } | undefined;
  const pause = async (read: string): Promise<void> => {
    if (armed?.read !== read) return;
    const { reached, gate } = armed;
    armed = undefined;
    reached.resolve();
    await gate.promise;
  };
  const overdueLeases = releases.overdueLeases.bind(releases);
  const waitingSince = releases.waitingSince.bind(releases);
  const due = releases.due.bind(releases);
  releases.overdueLeases = async (...given) => after('overdueLeases', await overdueLeases(...given));
  releases.waitingSince = async (...given) => after('waitingSince', await waitingSince(...given));
  releases.due = async (...given) => after('due', await due(...given));
  async function after<T>(read: string, found: T): Promise<T> {
    await pause(read);
    return found;
  }
  return (step: number): { readonly reached: Promise<void>; readonly gate: Deferred } => {
    const [reached, gate] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    armed = { read: READS[step % READS.length] ?? READS[0], reached, gate };
    return { reached: reached.promise, gate };
  };
}
