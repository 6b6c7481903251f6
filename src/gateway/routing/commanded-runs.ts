interface CommandedRunsJson {
  readonly tenants: ReadonlyArray<readonly [runId: string, tenantId: string]>;
  readonly done: readonly string[];
}

/**
 * What became known of the runs of one command while it was carried out, by the ids that the request names them by: for
 * the audit log, which asks when the call is over, however it ended.
 */
export class CommandedRuns {
  private readonly tenants: Map<string, string>;
  private readonly done: Set<string>;

  constructor({ tenants, done }: CommandedRunsJson = { tenants: [], done: [] }) {
    this.tenants = new Map(tenants);
    this.done = new Set(done);
  }

  /** What `JSON.stringify` made of one. */
  static parse(json: string): CommandedRuns {
    return new CommandedRuns(JSON.parse(json) as CommandedRunsJson);
  }

  /** Its owner was found, before anything is done to it. */
  found(runId: string, tenantId: string): void {
    this.tenants.set(runId, tenantId);
  }

  /** Its owner has said that it is done. */
  succeeded(runId: string): void {
    this.done.add(runId);
  }

  /** Of its owner; undefined if that was never found. */
  tenantOf(runId: string): string | undefined {
    return this.tenants.get(runId);
  }

  toJSON(): CommandedRunsJson {
    return { tenants: [...this.tenants], done: [...this.done] };
  }

  hasSucceeded(runId: string): boolean {
    return this.done.has(runId);
  }
}
