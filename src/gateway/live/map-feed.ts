import type { Feed } from '../routing/answer.js';

/** The same feed, each of its messages made into another. */
export function mapFeed<T, U>(feed: Feed<T>, map: (message: T) => U): Feed<U> {
  return {
    get failures() {
      return feed.failures;
    },
    get polled() {
      return feed.polled;
    },
    [Symbol.asyncIterator](): AsyncIterator<U, undefined> {
      const messages = feed[Symbol.asyncIterator]();
      return {
        next: async () => {
          const { done, value } = await messages.next();
          return done ? { done, value: undefined } : { done: false, value: map(value) };
        },
        return: async () => {
          await messages.return?.();
          return { done: true, value: undefined };
        },
      };
    },
  };
}
