import type { Figure } from '../figure.ts';

/** Of the embedded store, and of the server of `TEST_MONGODB_URI` where one is set. */
export async function ofEveryStore(
  figuresOf: (uri: string | undefined, store: string) => Promise<Figure[]>,
): Promise<Figure[]> {
  const server = process.env.TEST_MONGODB_URI;
  const embedded = await figuresOf(undefined, 'embedded store');
  return server === undefined ? embedded : [...embedded, ...(await figuresOf(server, 'TEST_MONGODB_URI'))];
}
