import { Injectable } from '@nestjs/common';
import { formatPath } from '../../http/issues.js';
import { counted } from '../../runtime/counted.js';
import { checkDefinition } from '../definition/definition-rules.js';
import type { Violation } from '../definition/violation.js';
import type { StoredWorkflow, WorkflowState } from '../workflow.js';
import { maskSecrets, WorkflowSecrets } from '../workflow-secrets.js';
import { endlessWaits } from './endless-waits.js';
import { errorProblem } from './problem.js';
import { unmetSelectors } from './selected-pods.js';
import type { Finding, Problem, ValidateWorkflow, Validator } from './validator.js';

/** Whether the stored definition keeps today's rules, and what in it a run would trip over. Asks no cluster. */
@Injectable()
export class SchemaValidator implements Validator {
  readonly name = 'schema';

  constructor(private readonly secrets: WorkflowSecrets) {}

  validate({ workflow }: ValidateWorkflow): Promise<Finding> {
    const { nodes, edges, namespace, state } = workflow;
    const violations = checkDefinition({ namespace, edges, nodes: nodes.map(maskSecrets) });
    const broken = violations.map((violation) => problemOf(violation, workflow));
    const problems = [...notActive(state), ...broken, ...this.unreadableSecrets(workflow)];
    // What is built on the shape of a definition is worth a word only when that holds.
    if (broken.length === 0) problems.push(...endlessWaits(workflow), ...unmetSelectors(workflow));
    return Promise.resolve({ summary: `${counted(nodes.length, 'node')}, ${counted(edges.length, 'edge')}`, problems });
  }

  private unreadableSecrets(workflow: StoredWorkflow): Problem[] {
    return workflow.nodes.flatMap((node, index): Problem[] => {
      try {
        this.secrets.open(workflow, node);
        return [];
      } catch {
        // The sealer's error may hold what has to stay out of answers and logs.
        const message = 'its sealed values cannot be opened with the sealing keys at hand';
        const path = `nodes[${index}].manifest`;
        return [errorProblem(message, { nodeId: node.id, path, hint: 'put the values again, or give the key back' })];
      }
    });
  }
}

/** An execution is refused, whatever the definition. */
function notActive(state: WorkflowState): Problem[] {
  if (state === 'active') return [];
  const hint = state === 'archived' ? 'restore it to execute it' : 'wait until it is archived, then restore it';
  return [errorProblem(`the workflow is ${state}: it cannot be executed`, { hint })];
}

function problemOf({ path, message }: Violation, { nodes }: StoredWorkflow): Problem {
  const [list, index] = path;
  const node = list === 'nodes' && typeof index === 'number' ? nodes[index] : undefined;
  return errorProblem(message, { nodeId: node?.id ?? null, path: formatPath(path) });
}
