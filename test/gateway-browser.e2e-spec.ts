import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import type { Page } from 'puppeteer-core';
import { ApiClient, eventually } from './support/api-client.js';
import { describeBrowser } from './support/browser.js';
import { PageServer } from './support/browser-page.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { Service } from './support/service.js';

const KEY = 'admin-0123456789abcdef0123';

interface Answer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly text: string;
}

/** What a page gets of a call; `Failed to fetch` where the browser keeps it from the page. */
function callFrom(page: Page, url: string, body: string, headers: Record<string, string>): Promise<Answer | string> {
  return page.evaluate(
    async (...[to, sent, given]: [string, string, Record<string, string>]) => {
      try {
        const answer = await fetch(to, { method: 'POST', headers: given, body: sent });
        return { status: answer.status, headers: Object.fromEntries(answer.headers), text: await answer.text() };
      } catch (error) {
        return (error as Error).message;
      }
    },
    url,
    body,
    headers,
  );
}

/** The texts of the first messages of a stream, which the page then leaves. */
function watchFrom(page: Page, url: string, message: string, count: number): Promise<string[]> {
  return page.evaluate(
    async (...[to, sent, wanted]: [string, string, number]) => {
      const text = new TextEncoder().encode(sent);
      const body = new Uint8Array(5 + text.length);
      new DataView(body.buffer).setUint32(1, text.length);
      body.set(text, 5);
      const end = new AbortController();
      const headers = { 'Content-Type': 'application/connect+json', 'Connect-Protocol-Version': '1' };
      const answer = await fetch(to, { method: 'POST', headers, body, signal: end.signal });
      const reader = answer.body?.getReader();
      let rest = new Uint8Array();
      const messages: string[] = [];
      while (reader && messages.length < wanted) {
        const { value, done } = await reader.read();
        if (done) break;
        rest = new Uint8Array([...rest, ...value]);
        for (;;) {
          const length = rest.length < 5 ? Infinity : new DataView(rest.buffer, rest.byteOffset).getUint32(1);
          if (rest.length < 5 + length) break;
          messages.push(new TextDecoder().decode(rest.slice(5, 5 + length)));
          rest = rest.slice(5 + length);
        }
      }
      end.abort();
      return messages.slice(0, wanted);
    },
    url,
    message,
    count,
  );
}

describeBrowser('a UI of FlowWatch, which sends no key, in a browser', (browser) => {
  let site: PageServer;
  let otherSite: PageServer;
  let billing: FlowWatchSubsystem;
  let page: Page;

  beforeAll(async () => {
    [site, otherSite] = await Promise.all([PageServer.start(), PageServer.start()]);
    billing = await new FlowWatchSubsystem({ id: 'billing', runs: 5 }).start();
  });
  afterAll(async () => {
    await Promise.all([site?.stop(), otherSite?.stop(), billing?.stop()]);
  });
  beforeEach(async () => {
    page = await browser().newPage();
    await page.goto(site.origin);
  });
  afterEach(() => page.close());

  const start = async (role: string): Promise<Service> => {
    const service = await Service.start({
      environment: {
        CROWSNEST_API_KEYS: `ops:admin:${KEY}`,
        CROWSNEST_CORS_ORIGINS: site.origin,
        CROWSNEST_GATEWAY_ANONYMOUS_ROLE: role,
        CROWSNEST_EGRESS_ALLOW: '127.0.0.0/8',
      },
    });
    const api = new ApiClient(service.url, KEY);
    await api.must('POST', '/gateway/subsystems', { body: { id: 'billing', endpoint: billing.endpoint } });
    await eventually(
      () => api.must('GET', '/gateway/subsystems/billing'),
      ({ state }) => state === 'connected',
      20_000,
    );
    return service;
  };
  const rpc = (service: Service, name: string, message: object, headers: Record<string, string> = {}) => {
    const all = {
      'Content-Type': 'application/json',
      'Connect-Protocol-Version': '1',
      'Connect-Timeout-Ms': '5000',
      ...headers,
    };
    return callFrom(page, `${service.url}/flowwatch.v1.${name}`, JSON.stringify(message), all);
  };
  const cancel = (service: Service) => rpc(service, 'RunService/CancelRun', { runId: 'billing-run-00003' });
  const told = (answer: Answer | string) =>
    typeof answer === 'string' ? answer : [answer.status, JSON.parse(answer.text) as unknown];

  describe('let in as a viewer', () => {
    let service: Service;

    beforeAll(async () => {
      service = await start('viewer');
    }, 60_000);
    afterAll(() => service?.dispose());

    it('reads, and sees which request it was', async () => {
      const answer = await rpc(service, 'RunService/ListRuns', { pagination: { limit: 2 } });
      expect(told(answer)).toEqual([200, expect.objectContaining({ runs: [expect.anything(), expect.anything()] })]);
      expect((answer as Answer).headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
    });

    it('sees errors with their details, and whose part is missing', async () => {
      const details = [expect.objectContaining({ type: 'google.rpc.BadRequest' })];
      expect(told(await rpc(service, 'RunService/ListRuns', { orderBy: 'colour' }))).toEqual([
        400,
        expect.objectContaining({ code: 'invalid_argument', details }),
      ]);
      billing.fail(Code.Unimplemented);
      const partial = await rpc(service, 'WorkflowService/ListSubsystems', {});
      billing.fail();
      expect((partial as Answer).headers['crowsnest-failed-subsystems']).toMatch(/^billing;/);
    });

    it('speaks gRPC-Web', async () => {
      const headers = { 'Content-Type': 'application/grpc-web+proto', 'X-Grpc-Web': '1', 'Grpc-Timeout': '5S' };
      const body = '\0\0\0\0\u0008\n\u0006nobody';
      const answer = await callFrom(page, `${service.url}/flowwatch.v1.RunService/GetRun`, body, headers);
      expect(answer).toMatchObject({ status: 200, text: expect.stringContaining('grpc-status: 5') });
    });

    it('watches, and is gone when it has left', async () => {
      const url = `${service.url}/flowwatch.v1.StreamService/WatchRuns`;
      const messages = await watchFrom(page, url, '{"includeInitialSnapshot":true}', 5);
      const ids = messages.map((each) => (JSON.parse(each) as { run: { id: string } }).run.id);
      expect(ids.toSorted()).toEqual(billing.data.runs.map(({ id }) => id));
      await eventually(
        () => Promise.resolve(billing.services.watchers),
        (watchers) => watchers === 0,
      );
    });

    it('changes nothing, and nothing else is open to it', async () => {
      expect(told(await cancel(service))).toEqual([403, expect.objectContaining({ code: 'permission_denied' })]);
      expect(billing.services.effects).toEqual([]);
      const rest = await fetch(service.api('/gateway/runs'), { headers: { Origin: site.origin } });
      expect(rest.status).toBe(401);
    });

    it('is let in from the listed origin alone', async () => {
      await page.goto(otherSite.origin);
      const asked = billing.received.length;
      expect(await rpc(service, 'RunService/ListRuns', {})).toBe('Failed to fetch');
      // What a page may send without asking first.
      const simple = { 'Content-Type': 'text/plain' };
      expect(await callFrom(page, `${service.url}/flowwatch.v1.RunService/CancelRun`, '{}', simple)).toBe(
        'Failed to fetch',
      );
      expect(billing.received.slice(asked)).toEqual([]);
    });
  });

  describe.each([
    ['operator', [200, {}], 1],
    ['none', [401, expect.objectContaining({ code: 'unauthenticated' })], 0],
  ] as const)('let in as %s', (role, answer, effects) => {
    let service: Service;

    beforeAll(async () => {
      service = await start(role);
    }, 60_000);
    afterAll(() => service?.dispose());

    it('commands as that', async () => {
      const before = billing.services.effects.length;
      expect(told(await cancel(service))).toEqual(answer);
      expect(billing.services.effects.length - before).toBe(effects);
    });
  });
});
