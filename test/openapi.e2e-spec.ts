import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient } from './support/api-client.js';
import { Service } from './support/service.js';

interface Schema {
  readonly $ref?: string;
  readonly example?: Record<string, unknown>;
}

interface Operation {
  readonly summary?: string;
  readonly parameters?: Array<{ name: string; required?: boolean; schema?: { example?: unknown; type?: string } }>;
  readonly requestBody?: { content: Record<string, { schema: Schema }> };
  readonly responses: Record<string, { content?: Record<string, { schema: Schema }> }>;
}

interface Document {
  readonly openapi: string;
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, Schema> };
}

function references(value: unknown): string[] {
  if (typeof value !== 'object' || value === null) return [];
  const own = '$ref' in value && typeof value.$ref === 'string' ? [value.$ref] : [];
  return [...own, ...Object.values(value).flatMap(references)];
}

describe('the OpenAPI document', () => {
  let service: Service;
  let api: ApiClient;
  let document: Document;
  let operations: Array<{ route: string; operation: Operation }>;

  beforeAll(async () => {
    service = await Service.start();
    api = new ApiClient(service.url);
    document = await api.must<Document>('GET', '/api/openapi.json');
    operations = Object.entries(document.paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ route: `${method.toUpperCase()} ${path}`, operation })),
    );
  });
  afterAll(() => service.dispose());

  it('is of version 3.1 and has every schema that it names', () => {
    expect(document.openapi).toBe('3.1.0');
    const known = new Set(Object.keys(document.components.schemas).map((name) => `#/components/schemas/${name}`));
    expect(references(document).filter((reference) => !known.has(reference))).toEqual([]);
  });

  it('says of every route what it does, what it takes and how it fails', () => {
    for (const { route, operation } of operations) {
      expect([route, operation.summary]).toEqual([route, expect.stringMatching(/\w/)]);
      const json = operation.requestBody?.content['application/json'];
      if (json) expect([route, json.schema.$ref]).toEqual([route, expect.stringContaining('#/components/schemas/')]);
      const yaml = operation.requestBody?.content['application/yaml'];
      if (yaml) expect([route, yaml.schema]).toEqual([route, expect.objectContaining({ type: 'string' })]);
      if (route.includes('/api/v1')) {
        const failure = operation.responses['default']?.content?.['application/problem+json'];
        expect([route, failure?.schema.$ref]).toEqual([route, '#/components/schemas/Problem']);
      }
    }
  });

  it('prefills the duration of streams, so that trying them ends', () => {
    const streams = operations.filter(({ route }) => /^GET .*\/streams(?!\/stats)/.test(route));
    expect(streams.length).toBe(6);
    for (const { operation } of streams) {
      const duration = operation.parameters?.find(({ name }) => name === 'duration');
      expect(JSON.stringify(duration)).toContain('5s');
    }
  });

  it('has examples that the service accepts as they stand', async () => {
    const example = (name: string): Record<string, unknown> => {
      const found = document.components.schemas[name]?.example;
      if (!found) throw new Error(`the schema ${name} has no example`);
      return found;
    };
    const keys = document.paths['/api/v1/streams']?.['get']?.parameters?.find(({ name }) => name === 'key');
    expect(keys?.schema?.example).toEqual(['clusters']);
    await api.must('GET', '/streams?key=clusters&duration=5ms');
    await api.must('POST', '/streams/tickets', { body: example('CreateStreamTicket') });
    const cluster = await api.must('POST', '/clusters', { body: example('CreateCluster') });
    const clusterPath = `/clusters/${String(cluster['id'])}`;
    await api.must('PATCH', clusterPath, { body: example('UpdateCluster') });
    const credentials = { ...example('ReplaceClusterCredentials'), version: 2 };
    await api.must('PUT', `${clusterPath}/credentials`, { body: credentials });
    // Ids are the one thing that an example cannot know.
    const ids = { clusterId: cluster['id'] };
    const workflow = await api.must('POST', '/workflows', { body: { ...example('CreateWorkflow'), ...ids } });
    await api.must('PUT', `/workflows/${String(workflow['id'])}`, { body: { ...example('ReplaceWorkflow'), ...ids } });
    await api.must('POST', `/workflows/${String(workflow['id'])}/archive`, { body: example('ArchiveWorkflow') });
  });
});
