const SIGNALS = ['SIGTERM', 'SIGINT'] as const;

/** Resolves at the first signal; the second one ends the process at once, which Nest's own handlers would ignore. */
export function firstSignal(target: NodeJS.Process): Promise<string> {
  return new Promise((resolve) => {
    let count = 0;
    for (const signal of SIGNALS) {
      target.on(signal, () => {
        count += 1;
        if (count > 1) target.exit(130);
        resolve(signal);
      });
    }
  });
}
