/**
 * Calls what is somebody else's. What it throws, or the promise that it returns rejects with, goes to `onError`.
 * Returns a promise, which never rejects, if the call returned one.
 */
export function callSafely(call: () => unknown, onError: (error: unknown) => void): Promise<void> | undefined {
  try {
    const result = call();
    return isThenable(result) ? settled(result, onError) : undefined;
  } catch (error) {
    onError(error);
    return undefined;
  }
}

export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function';
}

/** Resolves when the promise is settled. */
export async function settled(result: PromiseLike<unknown>, onError: (error: unknown) => void): Promise<void> {
  try {
    await result;
  } catch (error) {
    onError(error);
  }
}
