import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { secret } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';
import { StreamClient } from './support/stream-client.js';

const CANARY = 'canary-7f3a91';

interface Run {
  readonly id: string;
  readonly state: string;
  readonly nodes: Array<{ nodeId: string; outcome: string; managers: string[]; fields: string[] }>;
}

/** Every form in which a value could have left. */
function forms(value: string): string[] {
  const bytes = Buffer.from(value);
  return [value, bytes.toString('base64').replace(/=+$/, ''), bytes.toString('hex')];
}

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describeRealCluster('secrets', (cluster) => {
  it('leave no trace in answers, streams, logs, metrics and files, whether they are applied or refused', async () => {
    const namespace = await cluster().createNamespace('secrets');
    const service = await Service.start({ environment: { LOG_LEVEL: 'debug' } });
    try {
      const api = new ApiClient(service.url);
      const { id: clusterId } = await api.must('POST', '/clusters', {
        body: {
          name: 'local',
          token: { server: cluster().server, caData: cluster().caData, token: cluster().token },
        },
      });
      const value = (name: string): string => `${CANARY}-${name}-value`;
      const invalid = {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'invalid' },
        type: 'kubernetes.io/tls',
        stringData: { wrong: value('invalid') },
      };
      // Somebody else owns a field of it: applying our value is a conflict, which the API server tells with values.
      await cluster().kubectl([
        '-n',
        namespace,
        'create',
        'secret',
        'generic',
        'foreign',
        '--from-literal=value=theirs',
      ]);
      const nodes = [
        { id: 'valid', manifest: secret('valid', { value: value('valid') }) },
        { id: 'invalid', manifest: invalid },
        { id: 'foreign', manifest: secret('foreign', { value: value('foreign') }) },
      ];
      const body = { name: 'secrets', clusterId, namespace, onFailure: 'continue', nodes };
      const created = await api.must('POST', '/workflows', { body });
      expect(JSON.stringify(created)).toContain('[sealed]');
      const path = `/workflows/${String(created['id'])}`;
      const stream = new StreamClient(service.api(`/streams${path}`));
      const execute = async (): Promise<Record<string, string>> => {
        const { id } = await api.must<Run>('POST', `${path}/execute`);
        const run = await eventually(
          () => api.must<Run>('GET', `${path}/runs/${id}`),
          ({ state }) => state !== 'running',
        );
        return Object.fromEntries(run.nodes.map((node) => [node.nodeId, node.outcome]));
      };
      expect(await execute()).toEqual({ valid: 'created', invalid: 'failed', foreign: 'exists' });

      // Another client takes a field of ours over: from now on applying it is a conflict.
      const taken = { stringData: { value: 'theirs' } };
      await cluster().request(
        'PATCH',
        `/api/v1/namespaces/${namespace}/secrets/valid?fieldManager=somebody&force=true`,
        { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'valid' }, data: { value: 'dGhlaXJz' }, ...taken },
        'application/apply-patch+yaml',
      );
      expect(await execute()).toMatchObject({ valid: 'conflict' });
      expect(
        (await cluster().kubectl(['-n', namespace, 'get', 'secret', 'valid', '-o', 'jsonpath={.data.value}'])).trim(),
      ).toBe('dGhlaXJz');

      await api.call('GET', '/metrics');
      await api.call('GET', `/resources?workflowId=${String(created['id'])}`);
      await api.call('PUT', path, {
        body: {
          ...body,
          version: 1,
          nodes: [{ id: 'valid', manifest: { kind: 'Secret', stringData: { v: value('put') } } }],
        },
      });
      stream.close();
      const told = [...api.transcript, service.text, JSON.stringify(stream.events)].join('\n');
      const stored = filesBelow(service.dataDir).map((file) => readFileSync(file, 'latin1'));
      expect(stored.join('').length).toBeGreaterThan(1_000);
      const canaries = [value('valid'), value('invalid'), value('foreign'), value('put'), cluster().token].flatMap(
        forms,
      );
      for (const canary of canaries) {
        expect(told.includes(canary)).toBe(false);
        expect(stored.some((text) => text.includes(canary))).toBe(false);
      }
      await service.end('SIGTERM');
      expect(canaries.filter((canary) => service.text.includes(canary))).toEqual([]);
    } finally {
      await service.dispose();
    }
  }, 90_000);
});
