import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, type Answer } from './support/api-client.js';
import { Service } from './support/service.js';

interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly status: number;
  readonly requestId: string;
  readonly errors?: Array<{ path: string; message: string }>;
}

const nowhere = { token: { server: 'https://127.0.0.1:1', token: 'not-a-real-token' } };

describe('the HTTP API', () => {
  let service: Service;
  let api: ApiClient;

  beforeAll(async () => {
    service = await Service.start();
    api = new ApiClient(service.url);
  });
  afterAll(() => service.dispose());

  const problem = async (...call: Parameters<ApiClient['call']>): Promise<Answer<Problem>> => {
    const answer = await api.call<Problem>(...call);
    expect(answer.headers.get('content-type')).toBe('application/problem+json; charset=utf-8');
    expect(answer.body.status).toBe(answer.status);
    expect(answer.body.requestId).toBe(answer.headers.get('x-request-id'));
    return answer;
  };

  it.each([
    ['an unknown route', 'GET', '/nowhere', undefined, 404, 'resource.not_found'],
    ['an unknown id', 'GET', `/workflows/${'0'.repeat(24)}`, undefined, 404, 'resource.not_found'],
    ['what cannot be an id', 'GET', '/workflows/1', undefined, 404, 'resource.not_found'],
    ['broken JSON', 'POST', '/workflows', '{"name":', 400, 'request.malformed'],
    ['JSON that nests too deep', 'POST', '/workflows', '['.repeat(65) + ']'.repeat(65), 400, 'request.malformed'],
    ['a hostile key', 'POST', '/workflows', '{"__proto__":{}}', 400, 'request.malformed'],
    ['a body that is too large', 'POST', '/workflows', `"${'x'.repeat(1_100_000)}"`, 413, 'request.too_large'],
    ['a limit that is too high', 'GET', '/workflows?limit=201', undefined, 422, 'request.invalid'],
    ['an unknown parameter', 'GET', '/workflows?colour=blue', undefined, 422, 'request.invalid'],
    ['a selector that cannot be read', 'GET', '/workflows?labelSelector=%3Dx', undefined, 422, 'request.invalid'],
    ['an operator in a parameter', 'GET', '/workflows?name[$ne]=x', undefined, 422, 'request.invalid'],
  ])('answers %s with a problem', async (_what, method, path, body, status, code) => {
    const answer = await problem(method, path, body === undefined ? {} : { body });
    expect([answer.status, answer.body.code]).toEqual([status, code]);
    expect(answer.body.detail).not.toBe('');
  });

  it.each([
    ['broken JSON', '/workflows', '{"name":', 'the body is not valid JSON'],
    ['null', '/workflows', 'null', 'the body is JSON, but neither an object nor a list'],
    ['a lone text', '/workflows', '"x"', 'the body is JSON, but neither an object nor a list'],
    ['a body that is too large', '/workflows', `"${'x'.repeat(1_100_000)}"`, 'the body is larger than 1 MiB'],
    ['a job that is too large', '/jobs', `"${'x'.repeat(2_200_000)}"`, 'the body is larger than 2 MiB'],
    [
      'a hostile key in disguise',
      '/jobs',
      '{"type":"a","payload":{"__pr\\u006fto__":{}}}',
      'the body has a key "__proto__"',
    ],
  ])('says of %s what is wrong', async (_what, path, body, detail) => {
    expect((await problem('POST', path, { body })).body.detail).toBe(detail);
  });

  it.each([
    ['', 'the body has no content type'],
    ['application/x-www-form-urlencoded', 'the body is "application/x-www-form-urlencoded"'],
  ])('names what it takes when the body comes as %j, which routes without one ignore', async (contentType, detail) => {
    const answer = await problem('POST', '/jobs', { body: '{"type":"scan"}', contentType });
    expect([answer.status, answer.body.code]).toEqual([415, 'request.unsupported_media_type']);
    expect(answer.body.detail).toContain(detail);
    expect(answer.body.detail).toContain('application/json');
    expect((await api.call('GET', '/jobs')).status).toBe(200);
    const { id } = await api.must('POST', '/jobs', { body: { type: 'scan' } });
    expect((await api.call('POST', `/jobs/${String(id)}/cancel`, { body: 'x', contentType })).status).toBe(200);
    expect((await problem('POST', '/jobs')).status).toBe(422);
  });

  it('keeps every key of a payload, and a hostile name that is a value', async () => {
    const payload = { prototype: 'v2', constructor: 'ACME', nested: { constructor: '__proto__' } };
    const { id } = await api.must('POST', '/jobs', { body: { type: 'odd', payload } });
    expect(await api.must('GET', `/jobs/${String(id)}`)).toMatchObject({ payload });
  });

  it('says that a kubeconfig is empty', async () => {
    const answer = await problem('POST', '/clusters?name=empty', { body: ' ', contentType: 'application/yaml' });
    expect([answer.status, answer.body.errors]).toEqual([
      422,
      [{ path: 'kubeconfig.text', message: expect.stringContaining('the body is empty') }],
    ]);
  });

  it('refuses to verify segments that there cannot be', async () => {
    const answer = await problem('GET', '/audit-logs/verify?from=5&to=1');
    expect([answer.status, answer.body.errors?.[0]?.path]).toEqual([422, 'from']);
  });

  it('names the path of each wrong field, unknown ones too', async () => {
    const body = {
      name: 'Not A Label',
      clusterId: 'x',
      namespace: 'default',
      colour: 'blue',
      nodes: [{ id: 'a', manifest: {}, timeoutMs: 'soon' }],
    };
    const { status, body: told } = await problem('POST', '/workflows', { body });
    expect(status).toBe(422);
    expect(told.errors?.map(({ path }) => path)).toEqual(
      expect.arrayContaining(['name', 'clusterId', 'nodes[0].timeoutMs', 'colour']),
    );
  });

  it('asks for the version, and tells the current one when it is stale', async () => {
    const { id } = await api.must('POST', '/clusters', { body: { name: 'versions', ...nowhere } });
    const path = `/clusters/${String(id)}`;
    const missing = await problem('PATCH', path, { body: { labels: { a: 'b' } } });
    expect([missing.status, missing.body.errors?.[0]?.path]).toEqual([422, 'version']);
    await api.must('PATCH', path, { body: { version: 1, labels: { a: 'b' } } });
    const stale = await problem('PATCH', path, { body: { version: 1, labels: { a: 'c' } } });
    expect([stale.status, stale.body.code]).toEqual([409, 'resource.version_conflict']);
    expect(JSON.stringify(stale.body)).toContain('2');
  });

  it('pages newest first without gap or repeat', async () => {
    const names = ['page-a', 'page-b', 'page-c'];
    for (const name of names) {
      const server = `https://127.0.0.1:${names.indexOf(name) + 2}`;
      await api.must('POST', '/clusters', {
        body: { name, labels: { page: 'yes' }, token: { ...nowhere.token, server } },
      });
    }
    const seen: string[] = [];
    let cursor = '';
    do {
      const query = `limit=2&labelSelector=page%3Dyes${cursor && `&cursor=${cursor}`}`;
      const page = await api.must<{ items: Array<{ name: string }>; nextCursor: string | null }>(
        'GET',
        `/clusters?${query}`,
      );
      seen.push(...page.items.map(({ name }) => name));
      cursor = page.nextCursor ?? '';
    } while (cursor !== '');
    expect(seen).toEqual(names.toReversed());
  });

  it('does a POST with an Idempotency-Key once and repeats its answer', async () => {
    const headers = { 'idempotency-key': 'once-1' };
    const body = { name: 'once', token: { ...nowhere.token, server: 'https://127.0.0.1:7' } };
    const both = await Promise.all([1, 2].map(() => api.call('POST', '/clusters', { body, headers })));
    const statuses = both.map(({ status }) => status);
    expect(Math.min(...statuses)).toBe(201);
    expect([201, 409]).toContain(Math.max(...statuses));
    const again = await api.call('POST', '/clusters', { body, headers });
    const first = both.find(({ status }) => status === 201);
    expect([again.status, again.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    expect(again.body).toEqual(first?.body);
    expect(again.headers.get('location')).toBe(first?.headers.get('location'));
    const other = await problem('POST', '/clusters', { body: { ...body, name: 'other' }, headers });
    expect([other.status, other.body.code]).toEqual([422, 'request.idempotency_key_reused']);
    const { items } = await api.must<{ items: Array<{ name: string }> }>('GET', '/clusters?name=once');
    expect(items).toHaveLength(1);
  });

  it('takes the key again after a failure, because nothing was done', async () => {
    const headers = { 'idempotency-key': 'twice' };
    const bad = await problem('POST', '/clusters', { body: { name: 'versions', ...nowhere }, headers });
    expect(bad.status).toBe(409);
    const again = await problem('POST', '/clusters', { body: { name: 'versions', ...nowhere }, headers });
    expect([again.status, again.body.code]).toEqual([409, bad.body.code]);
  });

  it('keeps a sane request id and replaces any other', async () => {
    const sane = await api.call('GET', '/health/live', { headers: { 'x-request-id': 'trace-42' } });
    expect(sane.headers.get('x-request-id')).toBe('trace-42');
    const odd = await api.call('GET', '/health/live', { headers: { 'x-request-id': 'a b' } });
    expect(odd.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
  });

  it('keeps pages of other sites from changing anything', async () => {
    const headers = { origin: 'http://evil.example' };
    const { status, body } = await problem('POST', '/clusters', { body: { name: 'evil', ...nowhere }, headers });
    expect([status, body.code]).toEqual([403, 'request.origin_refused']);
    const allowed = await api.call('GET', '/clusters', { headers: { origin: 'http://localhost:5173' } });
    expect(allowed.headers.get('access-control-allow-origin')).toBe('http://localhost:5173');
    const foreign = await api.call('GET', '/clusters', { headers });
    expect(foreign.headers.get('access-control-allow-origin')).toBeNull();
  });

  it('answers a HEAD of a stream, and a caller that takes no stream, properly', async () => {
    const head = await fetch(service.api('/streams/clusters'), { method: 'HEAD' });
    expect([head.status, head.headers.get('content-type')]).toEqual([200, 'text/event-stream; charset=utf-8']);
    const wrong = await problem('GET', '/streams/clusters', { headers: { accept: 'text/csv' } });
    expect([wrong.status, wrong.body.code]).toEqual([406, 'request.not_acceptable']);
  });
});
