import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClusterServer, refusal } from '../../../test/support/fake-cluster-server.js';
import { configMap, deployment, secret } from '../../../test/support/manifests.js';
import { node, storedWorkflow, TIMEOUT_MS, unaborted } from '../../../test/support/validated-workflow.js';
import { FakeSealer } from '../../../test/support/workflow-room.js';
import { type ApiCall, KubernetesApiError, type StatusCause } from '../../kubernetes/index.js';
import type { StoredWorkflow, WorkflowNode } from '../workflow.js';
import { WorkflowSecrets } from '../workflow-secrets.js';
import { DryRunValidator } from './dry-run-validator.js';
import type { Finding } from './validator.js';

const INSTALLATION = 'abcdef012345';
const SETTINGS = '/api/v1/namespaces/shop/configmaps/settings';
const settings = node('settings', configMap('settings'));
const web = node('web', deployment('web', 2));

describe('the validator by dry run', () => {
  const secrets = new WorkflowSecrets(new FakeSealer());
  let server: FakeClusterServer;
  beforeEach(() => {
    server = new FakeClusterServer();
    server.namespaces.set('shop', 'active');
  });

  function workflowOf(...nodes: readonly WorkflowNode[]): StoredWorkflow {
    const workflow = storedWorkflow();
    return { ...workflow, nodes: secrets.seal(workflow, nodes).nodes };
  }

  function validate(workflow: StoredWorkflow, signal = unaborted()): Promise<Finding> {
    const database = { installation: { installationId: INSTALLATION } };
    const validator = new DryRunValidator({ forCluster: () => Promise.resolve(server) }, database, secrets);
    return validator.validate({ workflow, timeoutMs: TIMEOUT_MS }, signal);
  }

  const patches = (): ApiCall[] => server.calls.filter(({ method }) => method === 'PATCH');
  const ownLabels = ({ id }: StoredWorkflow) => ({
    'app.kubernetes.io/managed-by': 'crowsnest',
    'crowsnest.io/installation': INSTALLATION,
    'crowsnest.io/workflow': id,
    'crowsnest.io/node': 'web',
  });

  function refuse(error: KubernetesApiError, method: ApiCall['method'] = 'PATCH'): void {
    server.onCall = (call) => {
      if (call.method === method && !call.path.includes('selfsubject')) throw error;
    };
  }

  const invalid = (causes: readonly StatusCause[], message = 'is invalid') =>
    new KubernetesApiError('invalid', message, { status: 422, reason: 'Invalid', causes });

  it('sends each manifest as a run does, and stores nothing', async () => {
    const workflow = workflowOf(settings, web, node('password', secret('password', { value: 'canary-1' })));
    expect(await validate(workflow)).toEqual({ summary: '3 of 3 manifests tried', problems: [], isSkipped: false });
    expect(server.objects.paths()).toEqual([]);
    for (const { query } of patches()) {
      expect(query).toEqual({ fieldManager: 'crowsnest', dryRun: 'All', fieldValidation: 'Strict' });
    }
    const sent = patches().map(({ body }) => JSON.stringify(body));
    expect(sent.join()).toContain(Buffer.from('canary-1').toString('base64'));
    expect(sent.every((body) => body.includes('"crowsnest.io/installation":"abcdef012345"'))).toBe(true);
  });

  it('leaves out replicas that somebody else scales, as a run does', async () => {
    const workflow = workflowOf(web);
    const path = '/apis/apps/v1/namespaces/shop/deployments/web';
    server.objects.edit(path, { manager: 'crowsnest', labels: ownLabels(workflow) });
    server.objects.edit(path, { manager: 'kubectl', subresource: 'scale', values: { '.spec.replicas': 9 } });
    expect((await validate(workflow)).problems).toEqual([]);
    expect(JSON.stringify(patches()[0]?.body)).not.toContain('replicas');
    expect(server.objects.value(path, '.spec.replicas')).toBe(9);
  });

  it('names field and owner of a conflict, and fields that cannot change', async () => {
    const workflow = workflowOf(settings);
    const labels = ownLabels(workflow);
    server.objects.edit(SETTINGS, { manager: 'somebody', labels, values: { '.data.color': 'green' } });
    expect((await validate(workflow)).problems).toMatchObject([
      { severity: 'error', nodeId: 'settings', path: '.data.color', message: expect.stringContaining('somebody') },
    ]);
    server.objects.remove(SETTINGS);
    server.objects.edit(SETTINGS, { manager: 'crowsnest', labels });
    server.objects.immutable.add('.data.color');
    expect((await validate(workflow)).problems).toMatchObject([{ severity: 'error', path: '.data.color' }]);
  });

  it('says nothing of objects that are not ours and of Secrets that cannot be opened: others do', async () => {
    server.objects.edit(SETTINGS, { manager: 'somebody', values: { '.data.color': 'green' } });
    const workflow = workflowOf(settings);
    const foreign = secrets.seal(storedWorkflow(), [node('password', secret('password', { value: 'x' }))]).nodes;
    const finding = await validate({ ...workflow, nodes: [...workflow.nodes, ...foreign] });
    expect(finding).toEqual({ summary: '0 of 2 manifests tried', problems: [], isSkipped: true });
    expect(patches()).toEqual([]);
  });

  it('tells each wrong field in the API server’s terms', async () => {
    refuse(
      invalid([
        { reason: 'FieldValueRequired', field: 'spec.template.spec.containers[0].image', message: 'Required value' },
        { reason: 'FieldValueInvalid', field: 'spec.replicas', message: '' },
      ]),
    );
    expect((await validate(workflowOf(web))).problems).toMatchObject([
      { nodeId: 'web', path: 'spec.template.spec.containers[0].image', message: 'Deployment shop/web: Required value' },
      { nodeId: 'web', path: 'spec.replicas' },
    ]);
  });

  it('takes a webhook that knows no dry run for no mistake of the manifest', async () => {
    refuse(invalid([], 'admission webhook "x.test" does not support dry run'));
    expect((await validate(workflowOf(settings))).problems).toMatchObject([
      { severity: 'warning', nodeId: 'settings' },
    ]);
  });

  describe('a 403', () => {
    it('is the manifest’s where the credential is allowed to apply it', async () => {
      refuse(refusal('forbidden', 403, 'Forbidden', 'exceeded quota: pods'));
      expect((await validate(workflowOf(web))).problems).toMatchObject([
        { severity: 'error', nodeId: 'web', message: expect.stringContaining('exceeded quota') },
      ]);
    });

    it('is left to the validator of rights where it is not, and told once for a kind', async () => {
      server.denied.add('patch configmaps');
      refuse(refusal('forbidden', 403, 'Forbidden', 'cannot patch'));
      expect((await validate(workflowOf(settings, node('more', configMap('more'))))).problems).toEqual([
        {
          severity: 'warning',
          nodeId: null,
          path: null,
          message: 'not tried: the credential is not allowed to apply configmaps',
          hint: 'see the verdict of rights',
        },
      ]);
    });

    it('is told as it is where rights cannot be asked for', async () => {
      server.onCall = ({ method }) => {
        if (method !== 'GET') throw refusal('forbidden', 403, 'Forbidden', 'no');
      };
      expect((await validate(workflowOf(settings))).problems).toMatchObject([
        { severity: 'error', nodeId: 'settings' },
      ]);
    });
  });

  describe('a namespace', () => {
    const both = () => workflowOf(settings, web);
    const missing = refusal('not-found', 404, 'NotFound', 'namespaces "shop" not found');

    it('that is missing is one warning, because the validator of namespaces tells it', async () => {
      server.namespaces.delete('shop');
      refuse(missing);
      expect((await validate(both())).problems).toMatchObject([{ severity: 'warning', nodeId: null }]);
    });

    it('that is missing and not to be seen is an error here', async () => {
      server.namespaces.set('shop', 'hidden');
      refuse(missing);
      expect((await validate(both())).problems).toMatchObject([{ severity: 'error', nodeId: null }]);
    });

    it('that goes is one warning, or one error where it is not to be seen', async () => {
      const causes = [{ reason: 'NamespaceTerminating', field: 'metadata.namespace', message: 'is being terminated' }];
      refuse(new KubernetesApiError('forbidden', 'no new content', { status: 403, reason: 'Forbidden', causes }));
      expect((await validate(both())).problems).toMatchObject([{ severity: 'warning', nodeId: null }]);
      server.namespaces.set('shop', 'hidden');
      expect((await validate(both())).problems).toMatchObject([{ severity: 'error', nodeId: null }]);
    });

    it('that is there leaves a 404 to the kind', async () => {
      refuse(refusal('not-found', 404, 'NotFound', 'the server could not find the requested resource'));
      expect((await validate(workflowOf(web))).problems).toMatchObject([{ severity: 'error', nodeId: 'web' }]);
    });
  });

  it('looks again at an object that comes into being meanwhile, and gives up on one that keeps doing so', async () => {
    const workflow = workflowOf(settings);
    let looks = 0;
    server.onCall = ({ method }) => {
      if (method === 'PATCH' && ++looks === 1)
        server.objects.edit(SETTINGS, { manager: 'x', labels: ownLabels(workflow) });
    };
    expect(await validate(workflow)).toMatchObject({ summary: '1 of 1 manifest tried', problems: [] });
    expect(looks).toBe(2);
    refuse(refusal('conflict', 409, 'Conflict'));
    expect((await validate(workflow)).problems).toMatchObject([{ severity: 'warning', nodeId: 'settings' }]);
  });

  it('calls a cluster that goes away one problem, a broken webhook the node’s', async () => {
    refuse(new KubernetesApiError('cut', 'the connection broke'));
    const finding = await validate(workflowOf(settings, web));
    expect(finding).toMatchObject({ summary: null, problems: [{ severity: 'error', nodeId: null }] });
    refuse(refusal('server', 500, 'InternalError', 'failed calling webhook'));
    expect((await validate(workflowOf(settings, web))).problems.map(({ nodeId }) => nodeId)).toEqual([
      'settings',
      'web',
    ]);
  });

  it('repeats no warning about a Secret, and every one about others', async () => {
    const workflow = workflowOf(settings, node('password', secret('password', { value: 'canary-1' })));
    const call = server.call.bind(server);
    server.call = async (each) => ({ ...(await call(each)), warnings: each.method === 'PATCH' ? ['canary-1'] : [] });
    const { problems } = await validate(workflow);
    expect(problems).toMatchObject([
      { severity: 'warning', nodeId: 'settings', message: 'ConfigMap shop/settings: canary-1' },
      { severity: 'warning', nodeId: 'password', message: 'Secret shop/password: the API server has a warning' },
    ]);
  });

  it('ends with the reason of an abort, and asks nothing more', async () => {
    const left = new AbortController();
    server.onCall = () => left.abort(new Error('left'));
    await expect(validate(workflowOf(settings, web), left.signal)).rejects.toThrow('left');
    expect(server.calls.length).toBeLessThanOrEqual(2);
  });

  it('throws what is a fault of ours', async () => {
    server.onCall = () => {
      throw new TypeError('a bug');
    };
    await expect(validate(workflowOf(settings))).rejects.toThrow('a bug');
  });
});
