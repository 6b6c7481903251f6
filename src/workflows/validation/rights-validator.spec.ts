import { beforeEach, describe, expect, it } from '@jest/globals';
import { settle } from '../../../test/support/fake-clock.js';
import { FakeClusterServer, refusal } from '../../../test/support/fake-cluster-server.js';
import { configMap, deployment } from '../../../test/support/manifests.js';
import { edges, node, storedWorkflow, TIMEOUT_MS, unaborted } from '../../../test/support/validated-workflow.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import type { StoredWorkflow } from '../workflow.js';
import { RightsValidator } from './rights-validator.js';
import { requiredRights } from './required-rights.js';
import type { Finding } from './validator.js';

const settings = node('settings', configMap('settings'));
const web = node('web', deployment('web', 1));

function rightsOf(change: Partial<StoredWorkflow>): Record<string, Record<string, string>> {
  return Object.fromEntries(
    requiredRights(storedWorkflow(change)).map(({ definition, verbs }) => [
      definition.plural,
      Object.fromEntries(verbs),
    ]),
  );
}

describe('the rights that a workflow needs', () => {
  it('are those of its kinds, and sight of what their health is read from', () => {
    expect(rightsOf({ nodes: [web] })).toEqual({
      deployments: {
        get: 'error',
        create: 'error',
        patch: 'error',
        list: 'warning',
        watch: 'warning',
        delete: 'warning',
      },
      replicasets: { list: 'warning', watch: 'warning' },
      pods: { list: 'warning', watch: 'warning' },
    });
  });

  it('are sight of what an edge waits for, too, whatever the order of the nodes', () => {
    const nodes = [web, node('other', deployment('other', 1)), settings];
    expect(rightsOf({ nodes, edges: edges('web => settings') })['deployments']).toMatchObject({
      list: 'error',
      watch: 'error',
    });
    expect(rightsOf({ nodes, edges: edges('web -> settings') })['deployments']).toMatchObject({ list: 'warning' });
  });
});

describe('the validator of rights', () => {
  let server: FakeClusterServer;
  beforeEach(() => {
    server = new FakeClusterServer();
  });

  function validate(change: Partial<StoredWorkflow>): Promise<Finding> {
    const validator = new RightsValidator({ forCluster: () => Promise.resolve(server) });
    return validator.validate({ workflow: storedWorkflow(change), timeoutMs: TIMEOUT_MS }, unaborted());
  }

  it('has nothing to say where all is allowed, and asks for each right once', async () => {
    const { problems, summary } = await validate({ nodes: [settings, node('more', configMap('more')), web] });
    expect(problems).toEqual([]);
    expect(summary).toBe('16 rights on 4 kinds in namespace shop');
    const asked = server.calls.map(({ body }) => JSON.stringify(body));
    expect(new Set(asked).size).toBe(asked.length);
    expect(asked).toHaveLength(16);
  });

  it('names each missing right with the commands that grant it', async () => {
    for (const right of ['create deployments', 'patch deployments', 'delete configmaps', 'watch pods'])
      server.denied.add(right);
    const { problems } = await validate({ nodes: [settings, web] });
    expect(problems).toEqual([
      {
        severity: 'warning',
        nodeId: 'settings',
        path: null,
        message: 'not allowed to delete configmaps in namespace shop: archiving cannot delete them',
        hint:
          'kubectl -n shop create role crowsnest-configmaps --verb=delete --resource=configmaps && ' +
          'kubectl -n shop create rolebinding crowsnest-configmaps --role=crowsnest-configmaps ' +
          '--serviceaccount=crowsnest:deployer',
      },
      {
        severity: 'error',
        nodeId: 'web',
        path: null,
        message: 'not allowed to create, patch deployments.apps in namespace shop: an execution cannot apply them',
        hint: expect.stringContaining('--verb=create,patch --resource=deployments.apps'),
      },
      {
        severity: 'warning',
        nodeId: null,
        path: null,
        message: 'not allowed to watch pods in namespace shop: health that depends on them cannot be seen',
        hint: expect.stringContaining('--verb=watch --resource=pods'),
      },
    ]);
  });

  it('quotes the name of the user for the shell, and does without it', async () => {
    server.denied.add('delete configmaps');
    server.user = "o'brien; rm";
    expect((await validate({ nodes: [settings] })).problems[0]?.hint).toContain("--user='o'\\''brien; rm'");
    server.onCall = ({ path }) => {
      if (path.endsWith('/selfsubjectreviews')) throw refusal('not-found', 404, 'NotFound');
    };
    expect((await validate({ nodes: [settings] })).problems[0]?.hint).toContain('--user=<user of the credential>');
  });

  it('takes rights that are given for each object by name', async () => {
    for (const verb of ['get', 'create', 'patch', 'delete']) {
      server.denied.add(`${verb} configmaps`);
      server.allowed.add(`${verb} configmaps settings`);
    }
    expect((await validate({ nodes: [settings] })).problems).toEqual([]);
    const { problems } = await validate({ nodes: [settings, node('more', configMap('more'))] });
    expect(problems).toMatchObject([
      { severity: 'error', nodeId: null, message: expect.stringContaining('get, create, patch, delete') },
    ]);
  });

  it('calls a cluster that does not answer one problem, and stops asking', async () => {
    server.onCall = () => {
      if (server.calls.length === 1) throw new KubernetesApiError('refused', 'nothing listens at 10.0.0.1:6443');
    };
    const { problems } = await validate({ nodes: [settings, web] });
    expect(problems).toMatchObject([{ severity: 'error', message: expect.stringContaining('nothing listens') }]);
    await settle();
    expect(server.calls.length).toBe(5);
  });

  it('warns where reviews themselves are refused', async () => {
    server.onCall = () => {
      throw refusal('forbidden', 403, 'Forbidden');
    };
    expect((await validate({ nodes: [settings] })).problems).toMatchObject([{ severity: 'warning' }]);
  });

  it('never asks more than five things at a time', async () => {
    let current = 0;
    let most = 0;
    server.onCall = async () => {
      current += 1;
      most = Math.max(most, current);
      await Promise.resolve();
      current -= 1;
    };
    await validate({ nodes: [settings, web] });
    expect(most).toBe(5);
  });
});
