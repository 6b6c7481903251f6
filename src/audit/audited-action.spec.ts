import { describe, expect, it } from '@jest/globals';
import { auditedAction } from './audited-action.js';

describe('the action of a request', () => {
  it.each([
    ['POST /api/v1/workflows', 'workflow.create', null],
    ['PUT /api/v1/workflows/:id', 'workflow.update', { type: 'workflow', id: '1' }],
    ['DELETE /api/v1/workflows/:id', 'workflow.delete', { type: 'workflow', id: '1' }],
    ['POST /api/v1/workflows/:id/execute', 'workflow.execute', { type: 'workflow', id: '1' }],
    ['POST /api/v1/workflows/:id/runs/:runId/cancel', 'run.cancel', { type: 'run', id: '2' }],
    ['PUT /api/v1/clusters/:id/credentials', 'cluster.credential.update', { type: 'cluster', id: '1' }],
    ['POST /api/v1/streams/tickets', 'stream.ticket.create', null],
    ['DELETE /api/v1/streams/tickets/:id', 'stream.ticket.delete', { type: 'stream.ticket', id: '1' }],
    ['POST /api/v1/controllers/:name/pause', 'controller.pause', { type: 'controller', id: 'job-recovery' }],
    ['PATCH /api/v1/agents/:id', 'agent.update', { type: 'agent', id: '1' }],
    ['POST /api/v1/api-keys', 'api-key.create', null],
    ['POST /api/v1/gateway/subsystems', 'subsystem.create', null],
    ['POST /api/v1/gateway/runs/:id/retry', 'run.retry', { type: 'run', id: '1' }],
    ['DELETE /api/v1/bootstrap-tokens/:id', 'bootstrap-token.delete', { type: 'bootstrap-token', id: '1' }],
  ])('%s is %s', (request, action, target) => {
    const [method = '', route = ''] = request.split(' ');
    const params = { id: '1', runId: '2', name: 'job-recovery' };
    expect(auditedAction(method, route, params)).toMatchObject({ action, target });
  });
});
