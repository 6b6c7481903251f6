import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { type ClientHttp2Session, type IncomingHttpHeaders, connect } from 'node:http2';
import { Service } from './support/service.js';

describe('HTTP/2 on the one port', () => {
  let service: Service;
  let session: ClientHttp2Session;

  beforeAll(async () => {
    service = await Service.start();
    session = connect(service.url);
  });
  afterAll(async () => {
    session.destroy();
    await service.dispose();
  });

  const call = async (method: string, path: string, body?: unknown, headers: Record<string, string> = {}) => {
    const stream = session.request(
      { ':method': method, ':path': path, 'content-type': 'application/json', ...headers },
      { endStream: body === undefined },
    );
    if (body !== undefined) stream.end(JSON.stringify(body));
    const [answered] = (await once(stream, 'response')) as [IncomingHttpHeaders & { ':status'?: number }];
    let text = '';
    for await (const chunk of stream) text += String(chunk);
    return { status: answered[':status'], headers: answered, text };
  };

  it('serves the REST API', async () => {
    const token = { server: 'https://127.0.0.1:1', token: 'not-a-real-token' };
    const made = await call('POST', '/api/v1/clusters', { name: 'over-http2', token });
    expect([made.status, made.headers['location']]).toEqual([201, expect.stringContaining('/api/v1/clusters/')]);
    const { id } = JSON.parse(made.text) as { id: string };
    expect(JSON.parse((await call('GET', `/api/v1/clusters/${id}`)).text)).toMatchObject({ name: 'over-http2' });
    const wrong = await call('POST', '/api/v1/clusters', { name: 'Not A Label' });
    expect([wrong.status, wrong.headers['content-type']]).toEqual([422, 'application/problem+json; charset=utf-8']);
    expect((await call('GET', '/docs/')).status).toBe(200);
  });

  it('serves event streams', async () => {
    const { status, headers, text } = await call('GET', '/api/v1/streams/clusters?duration=1s');
    expect([status, headers['content-type']]).toEqual([200, 'text/event-stream; charset=utf-8']);
    expect(text).toContain('event: snapshot');
  });

  it('keeps other hosts and sites out', async () => {
    expect((await call('GET', '/api/v1/clusters', undefined, { ':authority': 'evil.example.com' })).status).toBe(421);
    expect((await call('POST', '/api/v1/clusters', {}, { origin: 'http://evil.example' })).status).toBe(403);
  });

  it('says goodbye at the end', async () => {
    const goaway = once(session, 'goaway');
    const ended = service.end();
    await goaway;
    expect(await ended).toBe(0);
  });
});
