import type { Refusal } from '../../kubernetes/index.js';
import { type NodeReport, report } from './node-report.js';

/** What a node tells when the API server refuses its manifest. `label` names the object. */
export function refusalReport(label: string, refusal: Exclude<Refusal, { outcome: 'changed' }>): NodeReport {
  switch (refusal.outcome) {
    case 'conflict': {
      const fields = unique(refusal.conflicts.map(({ field }) => field));
      const managers = unique(refusal.conflicts.map(({ manager }) => manager));
      const message =
        `${label}: ${managers.join(', ')} owns ${fields.join(', ')} with another value and was not overridden; ` +
        'take the fields out of the manifest or give them the same value';
      return report('conflict', 'FieldManagerConflict', message, { fields, managers });
    }
    case 'immutable': {
      const fields = unique(refusal.fields);
      const message =
        `${label}: Kubernetes does not let ${fields.join(', ')} change; ` +
        'take the change back, or delete the object and execute again';
      return report('immutable', 'FieldImmutable', message, { fields });
    }
    case 'invalid': {
      const fields = unique(refusal.causes.map(({ field }) => field).filter(Boolean));
      return report('failed', 'Invalid', `${label}: ${refusal.message}`, { fields });
    }
  }
}

function unique(texts: readonly string[]): string[] {
  return [...new Set(texts)];
}
