import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import type { StreamItem, StreamTopic } from './stream-topic.js';

/** A stream key with what stands behind it. */
export interface ResolvedTopic {
  readonly streamKey: string;
  readonly prefix: string;
  authorize(principal: Principal): Promise<void>;
  snapshot(principal: Principal): Promise<readonly StreamItem[]>;
  warmed(): void;
  cooled(): void;
}

/** The topics by the prefix of their keys. */
export class StreamTopics {
  private readonly topics = new Map<string, StreamTopic>();

  register(topic: StreamTopic): void {
    if (this.topics.has(topic.prefix)) throw new Error(`the stream topic ${topic.prefix} is registered already`);
    this.topics.set(topic.prefix, topic);
  }

  /** Throws `resource.not_found` for a key that no topic stands behind. */
  resolve(streamKey: string): ResolvedTopic {
    const colon = streamKey.indexOf(':');
    const prefix = colon < 0 ? streamKey : streamKey.slice(0, colon);
    const id = colon < 0 ? '' : streamKey.slice(colon + 1);
    const topic = this.topics.get(prefix);
    if (!topic || (colon >= 0 && id === '')) throw AppError.notFound('stream');
    return {
      streamKey,
      prefix,
      authorize: (principal) => topic.authorize(principal, id),
      snapshot: (principal) => topic.snapshot(principal, id),
      warmed: () => topic.warmed?.(id),
      cooled: () => topic.cooled?.(id),
    };
  }

  /**
   * The topics of the keys, all of which the principal may read; throws `resource.not_found` otherwise. With `dropGone`
   * some may be missing, as long as one is left.
   */
  async authorize(
    principal: Principal,
    streamKeys: readonly string[],
    dropGone: boolean,
  ): Promise<readonly ResolvedTopic[]> {
    const topics = [...new Set(streamKeys)].map((streamKey) => this.resolve(streamKey));
    const found: ResolvedTopic[] = [];
    let gone: unknown;
    for (const topic of topics) {
      try {
        await topic.authorize(principal);
        found.push(topic);
      } catch (error) {
        if (!dropGone || !(error instanceof AppError) || error.code !== 'resource.not_found') throw error;
        gone = error;
      }
    }
    if (found.length === 0 && gone !== undefined) throw gone;
    return found;
  }
}
