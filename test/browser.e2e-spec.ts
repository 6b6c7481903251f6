import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { isDeepStrictEqual } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Page } from 'puppeteer-core';
import { ApiClient, eventually } from './support/api-client.js';
import { describeBrowser } from './support/browser.js';
import { BrowserLink } from './support/browser-link.js';
import { type FollowedStream, PageServer, StreamPage } from './support/browser-page.js';
import { configMap, deployment } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';

interface Resource {
  readonly id: string;
  readonly nodeId: string;
  readonly health: string;
  readonly freshness: string;
  readonly version: number;
  readonly details: Record<string, unknown>;
}

interface Run {
  readonly id: string;
  readonly state: string;
}

/** What the service has stored of the workflow, in the form in which the page holds it. */
interface Stored {
  readonly resources: Readonly<Record<string, Resource>>;
  readonly run: Run;
}

const ADMIN = randomBytes(24).toString('hex');
const VIEWER = randomBytes(24).toString('hex');
const RETRY_MS = 600;

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}

describeBrowser('in a browser', (browser) => {
  // One story told in order: a page stays open on one EventSource while all this happens to its connection.
  describeRealCluster('a page of another origin that follows a workflow by ticket', (cluster) => {
    let site: PageServer;
    let otherSite: PageServer;
    let environment: Record<string, string>;
    let service: Service;
    let api: ApiClient;
    let namespace: string;
    let clusterId: string;
    let workflowId: string;
    let key: string;
    let page: StreamPage;
    let link: BrowserLink;

    const ticketUrl = async (from: StreamPage, keys: readonly string[]): Promise<string> => {
      const { path } = await from.fetchTicket(service.url, VIEWER, keys);
      return `${service.url}${String(path)}`;
    };
    const stored = async (): Promise<Stored> => {
      const resources: Record<string, Resource> = {};
      let cursor: string | null = '';
      do {
        const query: string = `workflowId=${workflowId}&limit=2${cursor ? `&cursor=${cursor}` : ''}`;
        const list = await api.must<{ items: Resource[]; nextCursor: string | null }>('GET', `/resources?${query}`);
        for (const resource of list.items) resources[`node_update ${resource.id}`] = resource;
        cursor = list.nextCursor;
      } while (cursor !== null);
      const runs = await api.must<{ items: Run[] }>('GET', `/workflows/${workflowId}/runs?limit=1`);
      const run = await api.must<Run>('GET', `/workflows/${workflowId}/runs/${String(runs.items[0]?.id)}`);
      return { resources, run };
    };
    const isSettled = ({ resources, run }: Stored, replicas: number): boolean => {
      const all = Object.values(resources);
      const web = all.find(({ nodeId }) => nodeId === 'web');
      return (
        all.length === 4 &&
        all.every(({ health, freshness }) => health === 'healthy' && freshness === 'live') &&
        web?.details['ready'] === replicas &&
        run.state === 'succeeded'
      );
    };
    /** Of the page's state, what is to be as stored: all resources and the last run. */
    const shown = ({ held }: FollowedStream, run: Run): Stored => {
      const things = Object.entries(held[key] ?? {});
      return {
        resources: Object.fromEntries(
          things.filter(([name]) => name.startsWith('node_update ')),
        ) as Stored['resources'],
        run: held[key]?.[`run_update ${run.id}`] as Run,
      };
    };
    /** Waits until the cluster's state is stored, then until the page holds the same. */
    const expectAsStored = async (replicas: number, name = 'workflow'): Promise<void> => {
      await eventually(stored, (state) => isSettled(state, replicas));
      const both = async (): Promise<{ inPage: Stored; inStore: Stored }> => {
        const inStore = await stored();
        return { inPage: shown(page.stream(name), inStore.run), inStore };
      };
      await eventually(both, ({ inPage, inStore }) => isDeepStrictEqual(inPage, inStore), 10_000);
      expect(page.stream(name)).toMatchObject({ faults: [], closed: 0 });
    };
    const scale = (replicas: number) =>
      cluster().request(
        'PATCH',
        `/apis/apps/v1/namespaces/${namespace}/deployments/web/scale`,
        { spec: { replicas } },
        'application/merge-patch+json',
      );

    beforeAll(async () => {
      [site, otherSite] = await Promise.all([PageServer.start(), PageServer.start()]);
      environment = {
        PORT: String(await freePort()),
        CROWSNEST_API_KEYS: `ops:admin:${ADMIN},dash:viewer:${VIEWER}`,
        CROWSNEST_CORS_ORIGINS: site.origin,
        CROWSNEST_STREAM_MAX_AGE: '2s',
        CROWSNEST_STREAM_RETRY: `${RETRY_MS}ms`,
      };
      service = await Service.start({ environment });
      api = new ApiClient(service.url, ADMIN);
      namespace = await cluster().createNamespace('browser');
      const created = await api.must('POST', '/clusters?name=local', {
        body: cluster().kubeconfig(),
        contentType: 'application/yaml',
      });
      clusterId = String(created['id']);
      const nodes = [
        { id: 'settings', manifest: configMap('settings') },
        { id: 'web', manifest: deployment('web', 1) },
        { id: 'worker', manifest: deployment('worker', 1) },
        { id: 'last', manifest: configMap('last') },
      ];
      const edges = [{ source: 'web', target: 'last', waitFor: 'healthy' }];
      const body = { name: 'shop', clusterId, namespace, nodes, edges };
      workflowId = String((await api.must('POST', '/workflows', { body }))['id']);
      key = `workflow:${workflowId}`;
      page = await StreamPage.open(browser(), site.origin);
      link = await BrowserLink.start(Number(environment['PORT']));
    }, 60_000);

    afterAll(async () => {
      await page?.close();
      await Promise.all([site?.stop(), otherSite?.stop(), link?.stop()]);
      await service?.dispose();
    });

    it('shows a run live', async () => {
      await page.follow('workflow', await ticketUrl(page, [key, 'clusters']));
      await page.waitFor('workflow', ({ counts }) => counts['snapshot'] === 2);
      const run = await api.must<Run>('POST', `/workflows/${workflowId}/execute`);
      await page.waitFor('workflow', ({ held }) => {
        const seen = held[key]?.[`run_update ${run.id}`] as Run | undefined;
        return seen?.state === 'succeeded';
      });
      await expectAsStored(1);
    });

    it('resumes where it was after a maximum-age cut, with what changed meanwhile', async () => {
      const { cut } = page.stream('workflow');
      await page.waitFor('workflow', (state) => state.cut > cut);
      const { opened } = page.stream('workflow');
      await scale(2);
      await page.waitFor('workflow', (state) => state.opened > opened);
      await expectAsStored(2);
      // The two of the beginning, of its two keys: what came since were changes.
      expect(page.stream('workflow').counts).toMatchObject({ snapshot: 2 });
    });

    it('resumes where it was after its network was away, which the service did not notice', async () => {
      const url = await ticketUrl(page, [key]);
      await page.follow('cut off', url.replace(service.url, link.url));
      await page.waitFor('cut off', ({ counts }) => counts['snapshot'] === 1);
      link.cut();
      await page.waitFor('cut off', ({ cut }) => cut > 1);
      await scale(1);
      await eventually(stored, (state) => isSettled(state, 1));
      link.mend();
      await expectAsStored(1, 'cut off');
      expect(page.stream('cut off').counts).toMatchObject({ snapshot: 1 });
    });

    it.each(['SIGKILL', 'SIGTERM'] as const)(
      'comes back after %s of the service, with what changed meanwhile',
      async (signal) => {
        const before = page.stream('workflow');
        const replicas = signal === 'SIGKILL' ? 3 : 2;
        expect(await service.end(signal)).toBe(signal === 'SIGKILL' ? null : 0);
        await scale(replicas);
        service = await Service.start({ environment, dataDir: service.dataDir });
        await page.waitFor('workflow', ({ opened }) => opened > before.opened);
        await expectAsStored(replicas);
      },
    );

    it('follows a run to its end and does not come back then', async () => {
      const waiting = deployment('waiting', 1);
      const spec = waiting['spec'] as { template: { metadata: { labels: Record<string, string> } } };
      spec.template.metadata.labels['crowsnest.test/behave'] = 'pending';
      const nodes = [
        { id: 'waiting', manifest: waiting },
        { id: 'after', manifest: configMap('after') },
      ];
      const edges = [{ source: 'waiting', target: 'after', waitFor: 'healthy' }];
      const { id } = await api.must('POST', '/workflows', {
        body: { name: 'slow', clusterId, namespace, nodes, edges },
      });
      const run = await api.must<Run>('POST', `/workflows/${String(id)}/execute`);
      await page.follow('run', await ticketUrl(page, [`run:${run.id}`]));
      await page.waitFor('run', ({ cut, opened }) => cut > 0 && opened > cut);
      const labels = ['-n', namespace, 'label', 'pods', '-l', 'app=waiting', '--overwrite'];
      await cluster().kubectl([...labels, 'crowsnest.test/behave=ready']);
      const { held, faults } = await page.waitFor('run', ({ closed }) => closed === 1);
      const ended = await api.must<Run>('GET', `/workflows/${String(id)}/runs/${run.id}`);
      expect(ended.state).toBe('succeeded');
      expect(held).toEqual({ [`run:${run.id}`]: { [`run_update ${run.id}`]: ended } });
      expect(faults).toEqual([]);
      expect(page.statuses.at(-1)).toBe(204);
    });

    it('gives nothing to a page of an origin that is not listed', async () => {
      const other = await StreamPage.open(browser(), otherSite.origin);
      await expect(ticketUrl(other, ['clusters'])).rejects.toThrow('Failed to fetch');
      const url = await ticketUrl(page, ['clusters']);
      await other.follow('clusters', url);
      expect(await other.waitFor('clusters', ({ closed }) => closed === 1)).toMatchObject({
        opened: 0,
        counts: {},
        held: {},
      });
      await other.close();
      // Nor was the ticket used up by it.
      await page.follow('clusters', url);
      await page.waitFor('clusters', ({ counts }) => counts['snapshot'] === 1);
    });
  });

  describe('Swagger UI', () => {
    const NAME = 'crowsnest.test';
    let service: Service;
    let page: Page;
    let urls: URL[];
    let complaints: string[];

    beforeAll(async () => {
      const environment = { CROWSNEST_API_KEYS: `ops:admin:${ADMIN}`, CROWSNEST_ALLOWED_HOSTS: NAME };
      service = await Service.start({ environment });
    });
    afterAll(() => service?.dispose());

    beforeEach(async () => {
      urls = [];
      complaints = [];
      page = await browser().newPage();
      page.on('request', (request) => void urls.push(new URL(request.url())));
      page.on('console', (message) => void (message.type() === 'error' && complaints.push(message.text())));
      page.on('pageerror', (error) => void complaints.push(String(error)));
      page.on('requestfailed', (request) => void complaints.push(`${request.url()} failed`));
      page.on(
        'response',
        (response) => void (response.status() < 400 || complaints.push(`${response.url()} ${response.status()}`)),
      );
    });
    afterEach(() => page.close());

    const hosts = (): string[] => [
      ...new Set(urls.filter(({ protocol }) => protocol !== 'data:').map(({ host }) => host)),
    ];

    it('is what a browser is led to, loads from the service alone and tries a stream', async () => {
      // By the keyboard: what moves while it is laid out cannot be missed.
      const press = async (selector: string): Promise<void> => {
        await page.waitForSelector(selector);
        await page.focus(selector);
        await page.keyboard.press('Enter');
      };
      await page.goto(service.url);
      await press('button.authorize');
      await page.waitForSelector('.auth-container input');
      await page.type('.auth-container input', ADMIN);
      await press('.auth-btn-wrapper button.authorize');
      await press('.auth-btn-wrapper button.btn-done');
      const operations = ['StreamsController_clusters', 'StreamsController_many'].map(
        (id) => `#operations-streams-${id}`,
      );
      for (const operation of operations) {
        await press(`${operation} .opblock-summary-control`);
        await press(`${operation} button.execute`);
      }
      for (const operation of operations) {
        const answer = await page.waitForSelector(`${operation} .live-responses-table tbody`);
        const text = await answer?.evaluate((element) => element.textContent);
        expect(text).toMatch(/^200/);
        expect(text).toContain('event: snapshot');
      }
      const tried = urls.filter(({ pathname }) => pathname.includes('/streams')).map(String);
      expect(tried.toSorted()).toEqual([
        service.api('/streams/clusters?duration=5s'),
        service.api('/streams?duration=5s&key=clusters'),
      ]);
      expect(complaints).toEqual([]);
      expect(hosts()).toEqual([new URL(service.url).host]);
    }, 60_000);

    it('asks no other host where the service goes by a name, as it does for users', async () => {
      const { port } = new URL(service.url);
      await page.goto(`http://${NAME}:${port}/docs`, { waitUntil: 'networkidle0' });
      await page.waitForSelector('.opblock');
      expect(complaints).toEqual([]);
      expect(hosts()).toEqual([`${NAME}:${port}`]);
    });
  });
});
