import { NOT_COVERED } from './channel-event.js';
import type { StreamItem } from '../stream-topic.js';

/** Of one entity. Without the oldest, a late change might repeat for some what they saw long ago. */
const MAX_SIGHTINGS = 8;

/** A version that a snapshot showed before its change was published. */
interface Sighting {
  readonly version: number;
  /** Begin of the first read that showed it. */
  readonly read: number;
  readonly seenAtMs: number;
}

/**
 * What the readers of one channel know of each entity, so that a snapshot and the changes around it neither repeat nor
 * leave out anything.
 *
 * A change is stored before it is published, so a snapshot may show it while it is still on its way. Of each such
 * change the first read is kept that showed it: reads of a channel never overlap, so all later ones show it too, and
 * whoever was given one of these skips the event when it comes. What the first of all reads shows is known to every
 * reader there is.
 */
export class EntityVersions {
  private known = new Map<string, number>();
  /** Absent from the last read, and not published since. */
  private absent = new Map<string, number>();
  private readonly underway = new Map<string, Sighting[]>();
  private firstReadAt = Number.POSITIVE_INFINITY;
  private shown = 0;

  /** A change is published within `underwayMs` of being stored, or never. */
  constructor(
    private readonly underwayMs: number,
    private readonly now: () => number,
  ) {}

  /** Begin of the first read that ended: before it, nobody was given anything of the channel. */
  get firstRead(): number {
    return this.firstReadAt;
  }

  /** So much more is kept than the last read showed that only another read can tell what of it is still of use. */
  get isOvergrown(): boolean {
    return this.known.size > 2 * this.shown + 1_000;
  }

  /**
   * Notes a published change. `undefined` if every reader knows it or a newer one; otherwise the begin of the first
   * read that showed it, `NOT_COVERED` if none did.
   */
  publish(entity: string, version: number): number | undefined {
    const known = this.knownOf(entity);
    if (known !== undefined && version <= known) return undefined;
    this.absent.delete(entity);
    this.known.set(entity, version);
    const sightings = this.underway.get(entity);
    if (!sightings) return NOT_COVERED;
    const left = sightings.filter((each) => each.version > version);
    if (left.length > 0) this.underway.set(entity, left);
    else this.underway.delete(entity);
    return sightings.find((each) => each.version >= version)?.read ?? NOT_COVERED;
  }

  /** Notes what a read showed that began at `read`. Reads come in order and do not overlap. */
  observe(read: number, items: readonly StreamItem[]): void {
    const isFirst = this.firstReadAt === Number.POSITIVE_INFINITY;
    if (isFirst) this.firstReadAt = read;
    const known = new Map<string, number>();
    for (const { entity, version } of items) {
      const before = this.knownOf(entity) ?? Number.NEGATIVE_INFINITY;
      if (isFirst) known.set(entity, Math.max(before, version));
      else {
        if (before > Number.NEGATIVE_INFINITY) known.set(entity, before);
        if (version > before) this.sight(entity, version, read);
      }
      this.known.delete(entity);
    }
    // An entity that is gone is remembered until the next read, should its last change come late.
    this.absent = this.known;
    this.known = known;
    this.shown = items.length;
  }

  /** Whether one who came as far as `sequence` may have been given the snapshot that showed a change, or an earlier one. */
  isUnsureAt(sequence: number): boolean {
    const since = this.now() - this.underwayMs;
    for (const sightings of this.underway.values()) {
      // What is not published for so long never will be.
      if (sightings.some(({ read, seenAtMs }) => read <= sequence && seenAtMs > since)) return true;
    }
    return false;
  }

  private knownOf(entity: string): number | undefined {
    return this.known.get(entity) ?? this.absent.get(entity);
  }

  private sight(entity: string, version: number, read: number): void {
    const sightings = this.underway.get(entity) ?? [];
    if (version <= (sightings.at(-1)?.version ?? Number.NEGATIVE_INFINITY)) return;
    sightings.push({ version, read, seenAtMs: this.now() });
    this.underway.set(entity, sightings.slice(-MAX_SIGHTINGS));
  }
}
