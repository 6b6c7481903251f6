import type { SearchResponse, SearchResult } from '../gen/flowwatch/v1/search_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { FailureReason } from '../routing/answer.js';
import { failureReason } from '../routing/failure-reason.js';
import type { SearchPlace } from './search-cursor.js';

/** Pages that one subsystem is asked for in one page of ours. */
const MAX_PAGES = 8;

export type AskForPage = (cursor: string, size: number) => Promise<SearchResponse>;

/** The results of one subsystem from a place on, in its own order. */
export class SearchSource {
  /** Its place could not be found again: it may repeat results, or leave some out. */
  isUnstable = false;
  failure: FailureReason | undefined;
  private page: SearchResponse | undefined;
  private pages = 0;

  constructor(
    readonly subsystem: Subsystem,
    private readonly ask: AskForPage,
    private current: SearchPlace,
    private readonly isBegun: boolean,
  ) {}

  /** @throws ConnectError as the subsystem answers. */
  async start(): Promise<SearchResponse> {
    const { cursor, size, taken, last, best } = this.current;
    const page = await this.readPage(cursor, size);
    if (!this.isBegun) {
      this.current = { ...this.current, best: positive(page.results[0]?.score) };
    } else if (taken > 0 && resultId(page.results[taken - 1]) !== last) {
      const found = page.results.findIndex((result) => resultId(result) === last);
      this.isUnstable = true;
      this.current = { cursor, size, taken: found >= 0 ? found + 1 : Math.min(taken, page.results.length), last, best };
    }
    return page;
  }

  /** What its next result is measured by; undefined if none is there, or none yet. */
  get head(): SearchResult | undefined {
    return this.page?.results[this.current.taken];
  }

  /** Its score as a fraction of the best of its own: the scores of different engines are of different scales. */
  get headScore(): number {
    return this.current.best > 0 ? Math.min(1, positive(this.head?.score) / this.current.best) : 0;
  }

  /** Whether `readOn` may bring more. */
  get isOut(): boolean {
    return this.head === undefined && this.nextCursor !== '' && this.failure === undefined && this.pages < MAX_PAGES;
  }

  /** For a later page of ours, also where `readOn` failed. */
  get hasMore(): boolean {
    return this.head !== undefined || this.nextCursor !== '';
  }

  get place(): SearchPlace {
    return this.current;
  }

  take(): void {
    const last = resultId(this.head);
    this.current = { ...this.current, taken: this.current.taken + 1, last };
  }

  /** One that fails keeps its place. */
  async readOn(): Promise<void> {
    const cursor = this.nextCursor;
    try {
      await this.readPage(cursor, this.current.size);
      this.current = { ...this.current, cursor, taken: 0, last: '' };
    } catch (error) {
      this.failure = failureReason(error);
    }
  }

  private get nextCursor(): string {
    return this.page?.pagination?.nextCursor ?? '';
  }

  private async readPage(cursor: string, size: number): Promise<SearchResponse> {
    this.pages += 1;
    const page = await this.ask(cursor, size);
    this.page = page;
    return page;
  }
}

function resultId(result: SearchResult | undefined): string {
  return result ? `${result.type} ${result.id}` : '';
}

function positive(score: number | undefined): number {
  return score !== undefined && Number.isFinite(score) && score > 0 ? score : 0;
}
