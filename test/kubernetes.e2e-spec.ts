import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type KindDefinition,
  type KubernetesApi,
  KubernetesApiError,
  type KubernetesApis,
  type ObjectReference,
  type WatchEvent,
  applyObject,
  deleteObject,
  findKind,
  getMetadata,
  listObjects,
  managerNames,
  managersOf,
  pathOf,
  serverVersion,
  watchObjects,
} from '../src/kubernetes/index.js';
import { FakeClock, settle } from './support/fake-clock.js';
import { accessTo, testApis } from './support/kubernetes-apis.js';
import { describeOwnCluster, describeRealCluster } from './support/real-cluster.js';

const timeoutMs = 60_000;

function kindOf(kind: string): KindDefinition {
  const found = findKind(kind);
  if (!found) throw new Error(`no kind ${kind}`);
  return found;
}

const configMaps = kindOf('ConfigMap');
const secrets = kindOf('Secret');
const deployments = kindOf('Deployment');

function deploymentManifest(name: string, replicas?: number, app = name): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      ...(replicas === undefined ? {} : { replicas }),
      selector: { matchLabels: { app } },
      template: {
        metadata: { labels: { app } },
        spec: { containers: [{ name: 'app', image: 'example.test/app:1' }] },
      },
    },
  };
}

async function failureOf(work: Promise<unknown>): Promise<KubernetesApiError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof KubernetesApiError) return error;
    throw error;
  }
  throw new Error('it did not fail');
}

describeRealCluster('calls of a real API server', (cluster) => {
  let apis: KubernetesApis;
  let api: KubernetesApi & { close(): Promise<void> };
  let namespace: string;
  const reference = (definition: KindDefinition, name: string): ObjectReference => ({ definition, namespace, name });
  const configMap = (value: string): Record<string, unknown> => ({ data: { key: value } });

  beforeAll(async () => {
    apis = testApis();
    api = apis.open(accessTo(cluster(), { type: 'token', token: cluster().token }));
    namespace = await cluster().createNamespace('kubernetes');
  }, timeoutMs);

  afterAll(async () => {
    await apis.stop();
    expect(apis.connections).toBe(0);
  });

  async function apply(target: ObjectReference, manifest: Record<string, unknown>) {
    return applyObject(api, target, { manifest, existing: await getMetadata(api, target) });
  }

  it('tells its version', async () => {
    expect(await serverVersion(api)).toMatch(/^v1\.\d+\.\d+/);
  });

  it('creates, leaves unchanged, configures and deletes', async () => {
    const target = reference(configMaps, 'life');
    expect(await apply(target, configMap('a'))).toMatchObject({
      outcome: 'created',
      metadata: { name: 'life', namespace },
    });
    expect(await apply(target, configMap('a'))).toMatchObject({ outcome: 'unchanged' });
    expect(await apply(target, configMap('b'))).toMatchObject({ outcome: 'configured' });
    const found = await getMetadata(api, target);
    expect(found?.managedFields).toMatchObject([{ manager: 'crowsnest', operation: 'Apply' }]);

    const uid = found?.uid ?? '';
    const wrongUid = { uid: '00000000-0000-4000-8000-000000000000', propagationPolicy: 'Background' } as const;
    expect(await deleteObject(api, target, wrongUid)).toBe('replaced');
    expect((await getMetadata(api, target))?.uid).toBe(uid);
    expect(await deleteObject(api, target, { uid, propagationPolicy: 'Foreground' })).toBe('requested');
    await cluster().eventually(pathOf(configMaps, namespace, 'life'), (body) => body === undefined);
    expect(await deleteObject(api, target, { uid, propagationPolicy: 'Foreground' })).toBe('absent');
    expect(await getMetadata(api, target)).toBeUndefined();
  });

  it.each(['ConfigMap', 'Secret', 'Service', 'Deployment', 'NetworkPolicy'])(
    'does not take over a %s that came into being after it was looked for',
    async (kind) => {
      const target = reference(kindOf(kind), 'theirs');
      const spec: Record<string, Record<string, unknown>> = {
        Service: { spec: { ports: [{ port: 80 }] } },
        NetworkPolicy: { spec: { podSelector: {} } },
        Deployment: deploymentManifest('theirs', 0),
      };
      const manifest = spec[kind] ?? {};
      const theirs = {
        ...manifest,
        apiVersion: target.definition.group ? `${target.definition.group}/v1` : 'v1',
        kind,
      };
      const created = await cluster().request('POST', pathOf(target.definition, namespace), {
        ...theirs,
        metadata: { name: 'theirs' },
      });
      expect(created.status).toBe(201);
      const before = await getMetadata(api, target);
      expect(await applyObject(api, target, { manifest, existing: undefined })).toEqual({ outcome: 'changed' });
      const after = await getMetadata(api, target);
      expect(after?.uid).toBe(before?.uid);
      expect(managerNames(after?.managedFields)).not.toContain('crowsnest');
      // Without theirs the same call creates.
      await deleteObject(api, target, { uid: before?.uid ?? '', propagationPolicy: 'Background' });
      await cluster().eventually(pathOf(target.definition, namespace, 'theirs'), (body) => body === undefined);
      expect(await applyObject(api, target, { manifest, existing: undefined })).toMatchObject({ outcome: 'created' });
    },
    timeoutMs,
  );

  it('does not change an object that was created anew under the name', async () => {
    const target = reference(configMaps, 'anew');
    await apply(target, configMap('a'));
    const seen = await getMetadata(api, target);
    await deleteObject(api, target, { uid: seen?.uid ?? '', propagationPolicy: 'Background' });
    expect(await applyObject(api, target, { manifest: configMap('b'), existing: seen })).toEqual({
      outcome: 'changed',
    });
    expect(await getMetadata(api, target)).toBeUndefined();
    await apply(target, configMap('c'));
    expect(await applyObject(api, target, { manifest: configMap('b'), existing: seen })).toEqual({
      outcome: 'changed',
    });
    const now = await cluster().request<{ data: unknown }>('GET', pathOf(configMaps, namespace, 'anew'));
    expect(now.body.data).toEqual({ key: 'c' });
  });

  it('checks everything in a dry run and stores nothing', async () => {
    const target = reference(configMaps, 'dry');
    const result = await applyObject(api, target, { manifest: configMap('a'), existing: undefined, dryRun: true });
    expect(result).toMatchObject({ outcome: 'created' });
    expect(await getMetadata(api, target)).toBeUndefined();
  });

  it('names manager and field of a conflict, and who scaled', async () => {
    const target = reference(deployments, 'scaled');
    await apply(target, deploymentManifest('scaled', 1));
    await cluster().kubectl(['scale', '-n', namespace, 'deployment/scaled', '--replicas=2']);
    expect(await apply(target, deploymentManifest('scaled', 1))).toEqual({
      outcome: 'conflict',
      conflicts: [{ manager: 'kubectl', field: '.spec.replicas', subresource: 'scale' }],
    });
    const metadata = await getMetadata(api, target);
    const managers = managersOf(metadata?.managedFields, ['spec', 'replicas']);
    expect(managers).toContainEqual({ manager: 'kubectl', operation: 'Update', subresource: 'scale' });
    // The scale subresource took the field over: giving it up changes nothing.
    expect(await apply(target, deploymentManifest('scaled'))).toMatchObject({ outcome: 'unchanged' });
    const now = await cluster().request<{ spec: { replicas: number } }>(
      'GET',
      pathOf(deployments, namespace, 'scaled'),
    );
    expect(now.body.spec.replicas).toBe(2);
  });

  it('names the immutable field', async () => {
    await apply(reference(deployments, 'fixed'), deploymentManifest('fixed', 0));
    expect(await apply(reference(deployments, 'fixed'), deploymentManifest('fixed', 0, 'other'))).toMatchObject({
      outcome: 'immutable',
      fields: ['spec.selector'],
    });
    const job = reference(kindOf('Job'), 'fixed');
    const jobManifest = (image: string): Record<string, unknown> => ({
      spec: { suspend: true, template: { spec: { restartPolicy: 'Never', containers: [{ name: 'app', image }] } } },
    });
    await apply(job, jobManifest('example.test/app:1'));
    expect(await apply(job, jobManifest('example.test/app:2'))).toMatchObject({
      outcome: 'immutable',
      fields: ['spec.template.spec'],
    });
    const claim = reference(kindOf('PersistentVolumeClaim'), 'fixed');
    const claimManifest = (mode: string): Record<string, unknown> => ({
      spec: { accessModes: [mode], storageClassName: 'none', resources: { requests: { storage: '1Gi' } } },
    });
    await apply(claim, claimManifest('ReadWriteOnce'));
    expect(await apply(claim, claimManifest('ReadWriteMany'))).toMatchObject({ outcome: 'immutable' });
    const set = reference(kindOf('StatefulSet'), 'fixed');
    const setManifest = (serviceName: string): Record<string, unknown> => ({
      spec: { ...(deploymentManifest('fixed', 0)['spec'] as object), serviceName },
    });
    await apply(set, setManifest('a'));
    expect(await apply(set, setManifest('b'))).toMatchObject({ outcome: 'immutable', fields: ['spec'] });
  });

  it('tells a wrong manifest with the paths of its fields', async () => {
    const manifest = deploymentManifest('wrong', -1);
    const result = await apply(reference(deployments, 'wrong'), manifest);
    expect(result).toMatchObject({ outcome: 'invalid', causes: [{ field: 'spec.replicas' }] });
    const spec = { ...(manifest['spec'] as object), replicas: 'three', selector: 'app' };
    expect(await apply(reference(deployments, 'wrong'), { ...manifest, spec })).toMatchObject({
      outcome: 'invalid',
      causes: expect.arrayContaining([
        { reason: 'FieldValueInvalid', field: 'spec.replicas', message: 'expected numeric (int or float)' },
        { reason: 'FieldValueInvalid', field: 'spec.selector', message: 'expected map' },
      ]),
    });
  });

  it('keeps nothing of what the server repeats about a Secret', async () => {
    const canary = 'canary-5f1d';
    const outcomes: unknown[] = [];
    for (const manifest of [
      { data: { password: canary } },
      { data: { [`in valid ${canary}`]: 'eA==' } },
      { type: 'kubernetes.io/tls', stringData: { 'tls.crt': canary } },
      { stringData: { password: [canary] } },
    ]) {
      try {
        outcomes.push(await apply(reference(secrets, 'leaky'), manifest));
      } catch (error) {
        outcomes.push(error, (error as Error).message, (error as KubernetesApiError).options);
      }
    }
    expect(JSON.stringify(outcomes.slice(0, 1))).toContain('"outcome":"invalid"');
    // A key's name is no value: it may be told.
    expect(JSON.stringify(outcomes).replaceAll(`in valid ${canary}`, '')).not.toContain(canary);
  });

  it('lists page by page, metadata only where the kind says so', async () => {
    for (const name of ['page-a', 'page-b', 'page-c']) {
      await apply(reference(secrets, name), { stringData: { key: 'hidden' }, metadata: { labels: { page: 'yes' } } });
    }
    const { signal } = new AbortController();
    const options = { definition: secrets, namespace, labelSelector: 'page=yes', limit: 2, signal };
    const first = await listObjects(api, options);
    expect(first.items.map((item) => item.metadata.name)).toEqual(['page-a', 'page-b']);
    expect(first.items[0]).toMatchObject({ apiVersion: 'v1', kind: 'Secret' });
    expect(Object.keys(first.items[0] ?? {}).toSorted()).toEqual(['apiVersion', 'kind', 'metadata']);
    const second = await listObjects(api, { ...options, continueToken: first.continueToken ?? '' });
    expect(second.items.map((item) => item.metadata.name)).toEqual(['page-c']);
    expect(second).toMatchObject({ resourceVersion: first.resourceVersion });
    expect(second.continueToken).toBeUndefined();
  });

  it('watches from a list on, and ends when asked to', async () => {
    const abort = new AbortController();
    const target = reference(configMaps, 'watched');
    const { resourceVersion } = await listObjects(api, { definition: configMaps, namespace, signal: abort.signal });
    const events = await watchObjects(api, {
      definition: configMaps,
      namespace,
      resourceVersion,
      timeoutSeconds: 300,
      signal: abort.signal,
    });
    await apply(target, configMap('a'));
    await apply(target, configMap('b'));
    const { uid = '' } = (await getMetadata(api, target)) ?? {};
    await deleteObject(api, target, { uid, propagationPolicy: 'Background' });
    const seen: string[] = [];
    const reason = new Error('enough');
    const reading = (async () => {
      for await (const event of events) {
        seen.push(event.type);
        if (event.type === 'DELETED') {
          expect(event.object).toMatchObject({ kind: 'ConfigMap', metadata: { name: 'watched', uid } });
          expect(event.object).not.toHaveProperty('data');
          abort.abort(reason);
        }
      }
    })();
    await expect(reading).rejects.toBe(reason);
    expect(seen).toEqual(['ADDED', 'MODIFIED', 'DELETED']);
  });

  it('ends cleanly when the server ends the watch, after a bookmark', async () => {
    const { signal } = new AbortController();
    const { resourceVersion } = await listObjects(api, { definition: deployments, namespace, signal });
    const events: WatchEvent[] = [];
    const options = { definition: deployments, namespace, resourceVersion, timeoutSeconds: 6, signal };
    const watch = await watchObjects(api, options);
    // Moves the kind's version on, where the watch does not see it: a bookmark tells that there was nothing to see.
    const elsewhere = { definition: deployments, namespace: await cluster().createNamespace('elsewhere'), name: 'one' };
    await applyObject(api, elsewhere, { manifest: deploymentManifest('one', 0), existing: undefined });
    for await (const event of watch) events.push(event);
    expect(events.at(-1)).toMatchObject({ type: 'BOOKMARK', resourceVersion: expect.stringMatching(/^\d+$/) });
    expect(events.at(-1)).not.toMatchObject({ resourceVersion });
  });

  it('tells a resource version that is still to come', async () => {
    const { signal } = new AbortController();
    const options = { definition: deployments, namespace, resourceVersion: '9999999', limit: 0, signal };
    const failure = await failureOf(listObjects(api, { ...options, resourceVersionMatch: 'NotOlderThan' }));
    expect(failure.options).toMatchObject({
      status: 504,
      causes: [{ reason: 'ResourceVersionTooLarge' }],
      retryAfterMs: 1000,
    });
  });

  it('puts 81 watches on two connections, calls go on beside them, and all close', async () => {
    const own = testApis();
    const many = own.open(accessTo(cluster(), { type: 'token', token: cluster().token }));
    const abort = new AbortController();
    const query = { watch: true, resourceVersion: '0', timeoutSeconds: 300 };
    const open = Array.from({ length: 81 }, () =>
      many.watch({ path: pathOf(deployments, namespace), query, signal: abort.signal }),
    );
    const watches = await Promise.all(open);
    expect(own.connections).toBe(2);
    expect(await serverVersion(many)).toBeDefined();
    expect(own.connections).toBe(3);
    const reason = new Error('enough');
    const reading = Promise.allSettled(
      watches.map(async (watch) => {
        for await (const line of watch) expect(line).toBeDefined();
      }),
    );
    abort.abort(reason);
    for (const result of await reading) expect(result).toEqual({ status: 'rejected', reason });
    await cluster().eventually('/version', () => own.connections === 1);
    await own.stop();
    expect(own.connections).toBe(0);
  });

  it('tells 401 and 403 apart, with the server’s words for the right that is missing', async () => {
    const { alice } = cluster().facts.tokens;
    const nobody = apis.open(accessTo(cluster(), { type: 'token', token: 'wrong' }));
    expect(await failureOf(getMetadata(nobody, reference(configMaps, 'x')))).toMatchObject({ failure: 'unauthorized' });
    const limited = apis.open(accessTo(cluster(), { type: 'token', token: alice }));
    const refused = await failureOf(getMetadata(limited, reference(deployments, 'x')));
    expect(refused).toMatchObject({ failure: 'forbidden', options: { status: 403, reason: 'Forbidden' } });
    expect(refused.message).toContain('cannot get resource "deployments"');
  });

  it('logs in with a client certificate', async () => {
    const issued = cluster().authority.issue({
      commonName: 'carol',
      organizations: ['system:masters'],
      usage: 'clientAuth',
    });
    const credential = {
      type: 'client-certificate',
      certificateData: issued.certificate,
      keyData: issued.key,
    } as const;
    const carol = apis.open(accessTo(cluster(), credential));
    expect(await getMetadata(carol, reference(configMaps, 'kube-root-ca.crt'))).toBeDefined();
  });

  it('does not talk to a server whose certificate is not of the CA', async () => {
    const access = accessTo(cluster(), { type: 'token', token: cluster().token });
    const { caData: _, ...systemRoots } = access;
    expect(await failureOf(serverVersion(apis.open(systemRoots)))).toMatchObject({ failure: 'tls' });
    expect(await failureOf(serverVersion(apis.open({ ...access, tlsServerName: 'other.test' })))).toMatchObject({
      failure: 'tls',
    });
    expect(await serverVersion(apis.open({ ...access, tlsServerName: 'kubernetes.default.svc' }))).toBeDefined();
  });
});

describeOwnCluster('an API server that goes', (cluster) => {
  it(
    'cuts the watch, refuses calls, and serves again with the same connections',
    async () => {
      const { controlPlane } = cluster();
      const apis = testApis();
      const api = apis.open(accessTo(controlPlane, { type: 'token', token: controlPlane.token }));
      const { signal } = new AbortController();
      const options = {
        definition: configMaps,
        namespace: 'default',
        resourceVersion: '0',
        timeoutSeconds: 300,
        signal,
      };
      const watch = await watchObjects(api, options);
      const ended = failureOf(
        (async () => {
          for await (const event of watch) expect(event.type).not.toBe('ERROR');
        })(),
      );
      expect(await serverVersion(api)).toBeDefined();
      await controlPlane.kill('kube-apiserver');
      expect(await ended).toMatchObject({ failure: 'cut' });
      expect(await failureOf(serverVersion(api))).toMatchObject({ failure: 'refused' });
      expect(await failureOf(watchObjects(api, options))).toMatchObject({ failure: 'refused' });
      await controlPlane.restart('kube-apiserver');
      expect(await serverVersion(api)).toBeDefined();
      const stale: WatchEvent[] = [];
      for await (const event of await watchObjects(api, { ...options, resourceVersion: '1' })) stale.push(event);
      expect(stale).toMatchObject([{ type: 'ERROR', error: { failure: 'gone' } }]);
      controlPlane.pause('kube-apiserver');
      expect(await failureOf(serverVersion(api, { timeoutMs: 500 }))).toMatchObject({ failure: 'timeout' });
      controlPlane.resume('kube-apiserver');
      await apis.stop();
      expect(apis.connections).toBe(0);
    },
    timeoutMs,
  );
});

describeOwnCluster('an API server that hangs', (cluster) => {
  it(
    'is noticed by a PING that is not answered, while an answered one keeps the watch',
    async () => {
      const { controlPlane } = cluster();
      const clock = new FakeClock();
      const apis = testApis({ clock });
      const api = apis.open(accessTo(controlPlane, { type: 'token', token: controlPlane.token }));
      const { signal } = new AbortController();
      const options = {
        definition: configMaps,
        namespace: 'default',
        resourceVersion: '0',
        timeoutSeconds: 300,
        signal,
      };
      let seen = 0;
      const watch = await watchObjects(api, options);
      const ended = failureOf(
        (async () => {
          for await (const event of watch) seen += event.type === 'ADDED' ? 1 : 0;
        })(),
      );
      while (seen === 0) await settle();
      await clock.advance(25_000);
      // The answer comes over a real socket: only then the deadline gives way to the plan of the next PING.
      while (clock.nextTimerInMs !== 25_000) await settle();
      await clock.advance(15_000);
      expect(await serverVersion(api)).toBeDefined();
      expect(apis.connections).toBe(2);
      controlPlane.pause('kube-apiserver');
      await clock.advance(40_000);
      expect(await ended).toMatchObject({ failure: 'cut', message: expect.stringContaining('PING') });
      controlPlane.resume('kube-apiserver');
      await apis.stop();
    },
    timeoutMs,
  );
});

describe('an API server that cannot be reached', () => {
  it('is told as DNS, refused or not allowed', async () => {
    const apis = testApis();
    const at = (server: string): Promise<KubernetesApiError> =>
      failureOf(
        serverVersion(
          apis.open({ clusterId: 'x', accessVersion: 1, server, credential: { type: 'token', token: 'secret-token' } }),
        ),
      );
    expect(await at('https://no-such-host.invalid:6443')).toMatchObject({ failure: 'dns' });
    expect(await at('https://127.0.0.1:1')).toMatchObject({ failure: 'refused' });
    expect(await at('https://169.254.169.254')).toMatchObject({ failure: 'egress' });
    await apis.stop();
  });
});
