/** The abort reason of a wanted stop, which tells it from a failure. */
export class StopReason extends Error {
  constructor(what: string) {
    super(`${what} was stopped`);
    this.name = 'StopReason';
  }
}

/** Whether an error only says that somebody asked for the stop. */
export function isStop(error: unknown): boolean {
  return error instanceof StopReason;
}
