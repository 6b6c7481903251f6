import { Inject, Injectable } from '@nestjs/common';
import type { Scope } from '../../auth/principal.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { SubsystemFailure } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { type Ask, type FanOut, allFailed, fanOut } from '../routing/fan-out.js';

export interface SearchingSubsystems {
  /** By id ascending. */
  readonly searching: readonly Subsystem[];
  /** The others, as `unimplemented`: their part of an answer is missing. */
  readonly failures: readonly SubsystemFailure[];
}

/** Who offers search. One that has said nothing of it is asked, and answers `unimplemented` if it does not. */
@Injectable()
export class SearchDirectory {
  constructor(@Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory) {}

  /** @throws ConnectError `unimplemented` if there are subsystems but none of them offers search. */
  inScope(scope: Scope): SearchingSubsystems {
    const all = this.directory.list(scope);
    const searching = all.filter(({ capabilities }) => capabilities?.search?.enabled !== false);
    const failures = all
      .filter((subsystem) => !searching.includes(subsystem))
      .map(({ id }): SubsystemFailure => ({ subsystemId: id, reason: 'unimplemented' }));
    if (searching.length === 0 && failures.length > 0) throw allFailed(failures);
    return { searching, failures };
  }

  /** @throws ConnectError as `fanOut` does, and `inScope`. */
  async askAll<T>(caller: Caller, ask: Ask<T>): Promise<FanOut<T>> {
    const { searching, failures } = this.inScope(caller.principal);
    const asked = await fanOut(caller, searching, ask);
    return { answers: asked.answers, failures: [...asked.failures, ...failures] };
  }
}
