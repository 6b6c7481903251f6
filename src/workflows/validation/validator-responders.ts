import { Inject, Injectable } from '@nestjs/common';
import { EventBus } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { DryRunValidator } from './dry-run-validator.js';
import { NamespacesValidator } from './namespaces-validator.js';
import { OwnershipValidator } from './ownership-validator.js';
import { ReachabilityValidator } from './reachability-validator.js';
import { RightsValidator } from './rights-validator.js';
import { SchemaValidator } from './schema-validator.js';
import { warningProblem } from './problem.js';
import type { Answer, Problem, Validator } from './validator.js';

/** More would not help anyone to mend the workflow. */
const MAX_PROBLEMS = 100;

/** Lets each validator answer for itself on the event bus. */
@Injectable()
export class ValidatorResponders {
  constructor(
    @Inject(EventBus) bus: Pick<EventBus, 'respond'>,
    @Inject(CLOCK) clock: Clock,
    schema: SchemaValidator,
    reachability: ReachabilityValidator,
    rights: RightsValidator,
    namespaces: NamespacesValidator,
    ownership: OwnershipValidator,
    dryRun: DryRunValidator,
  ) {
    for (const validator of [schema, reachability, rights, namespaces, ownership, dryRun]) {
      respondWith(bus, clock, validator);
    }
  }
}

function respondWith(bus: Pick<EventBus, 'respond'>, clock: Clock, validator: Validator): void {
  bus.respond('workflow.validate', validator.name, async (request, signal): Promise<Answer> => {
    const began = clock.monotonic();
    const { problems, ...finding } = await validator.validate(request, signal);
    return { ...finding, problems: bounded(problems), durationMs: Math.round(clock.monotonic() - began) };
  });
}

/** Errors first, so that none of them is left out for a warning. */
function bounded(problems: readonly Problem[]): Problem[] {
  const ordered = problems.toSorted((a, b) => Number(a.severity === 'warning') - Number(b.severity === 'warning'));
  if (ordered.length <= MAX_PROBLEMS) return ordered;
  const left = ordered.length - MAX_PROBLEMS;
  return [...ordered.slice(0, MAX_PROBLEMS), warningProblem(`${left} more are left out; mend these first`)];
}
