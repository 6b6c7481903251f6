import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import type { Browser, Page } from 'puppeteer-core';

const PAGE = fileURLToPath(new URL('browser-page.html', import.meta.url));

/** What the page knows of one stream that it follows. */
export interface FollowedStream {
  /** Connections that were answered with a stream. */
  readonly opened: number;
  /** Connections that were lost or ended, after which the EventSource connects again by itself. */
  readonly cut: number;
  /** 1 once the EventSource has given up (`readyState` CLOSED). */
  readonly closed: number;
  /** Events by name; a snapshot counts once it is whole. */
  readonly counts: Readonly<Record<string, number>>;
  /** By stream key, then by event and id: the newest state of everything. */
  readonly held: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  /** What a stream must not do: repeats, steps back, changes before their snapshot. */
  readonly faults: readonly string[];
}

/** A site on an origin of its own that serves the page; `localhost`, so that it is another site than `127.0.0.1`. */
export class PageServer {
  private constructor(private readonly server: Server) {}

  static async start(): Promise<PageServer> {
    const html = await readFile(PAGE);
    const server = createServer((_request, response) => {
      response.writeHead(200, { 'content-type': 'text/html; charset=utf-8' }).end(html);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new PageServer(server);
  }

  get origin(): string {
    return `http://localhost:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    this.server.closeAllConnections();
    await closed;
  }
}

/** The page browser-page.html, opened in a browser, seen from the test. */
export class StreamPage {
  /** Of every answer to an EventSource of the page, in order of arrival. */
  readonly statuses: number[] = [];
  private readonly streams = new Map<string, FollowedStream>();
  private readonly listeners = new Set<() => void>();

  private constructor(private readonly page: Page) {}

  static async open(browser: Browser, origin: string): Promise<StreamPage> {
    const page = await browser.newPage();
    const opened = new StreamPage(page);
    await page.exposeFunction('report', (name: string, state: FollowedStream) => {
      opened.streams.set(name, state);
      for (const listener of opened.listeners) listener();
    });
    page.on('response', (response) => {
      if (response.request().resourceType() === 'eventsource') opened.statuses.push(response.status());
    });
    await page.goto(origin);
    return opened;
  }

  /** Asks for a ticket as the page's script does; resolves to the answer's body, rejects with what the page gets instead. */
  async fetchTicket(api: string, secret: string, keys: readonly string[]): Promise<Record<string, unknown>> {
    return (await this.call('fetchTicket', api, secret, keys)) as Record<string, unknown>;
  }

  /** Opens an EventSource, whose state is then kept under the name. */
  async follow(name: string, url: string): Promise<void> {
    await this.call('follow', name, url);
  }

  /** What the page has reported last. */
  stream(name: string): FollowedStream {
    const state = this.streams.get(name);
    if (!state) throw new Error(`the page has reported nothing of ${name}`);
    return state;
  }

  /** Resolves with the first state, known already or to come, that matches; throws with the last one after `withinMs`. */
  waitFor(name: string, matches: (state: FollowedStream) => boolean, withinMs = 20_000): Promise<FollowedStream> {
    return new Promise((resolve, reject) => {
      const end = (): void => {
        clearTimeout(timer);
        this.listeners.delete(look);
      };
      const look = (): void => {
        const state = this.streams.get(name);
        if (state === undefined || !matches(state)) return;
        end();
        resolve(state);
      };
      const timer = setTimeout(() => {
        end();
        reject(new Error(`${name} was not as wanted in ${withinMs} ms: ${JSON.stringify(this.streams.get(name))}`));
      }, withinMs);
      this.listeners.add(look);
      look();
    });
  }

  async close(): Promise<void> {
    await this.page.close();
  }

  private call(name: 'fetchTicket' | 'follow', ...values: readonly unknown[]): Promise<unknown> {
    return this.page.evaluate(`${name}(${values.map((value) => JSON.stringify(value)).join(', ')})`);
  }
}
