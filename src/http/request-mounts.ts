import type { IncomingMessage, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';
import { Injectable } from '@nestjs/common';

export interface RequestMount {
  /** Beginning of the paths that it answers, with the slash in front. */
  readonly pathPrefix: string;
  /**
   * Answers every request under it, errors too; has to check `Host` and `Origin` itself. Those of HTTP/2 have the same
   * face, and a `stream`.
   */
  readonly handle: (request: IncomingMessage, response: ServerResponse) => void;
  /**
   * Asked before `handle` of a stream of HTTP/2: true if it is answered as that, without the 3 KB that a request and a
   * response are, because thousands of its kind stay open. What becomes of its errors is then the mount's affair.
   */
  readonly takeStream?: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => boolean;
  /** Whether a request body may go on for ever; any other has to be through within the request time. */
  readonly isOpenEnded?: (path: string) => boolean;
}

/** What answers requests without the way through Express and Nest: asked before them. */
@Injectable()
export class RequestMounts {
  private readonly mounts: RequestMount[] = [];

  mount(mount: RequestMount): void {
    this.mounts.push(mount);
  }

  find(url: string): RequestMount | undefined {
    for (const mount of this.mounts) if (url.startsWith(mount.pathPrefix)) return mount;
    return undefined;
  }
}
