/** One answer of the service; `body` is parsed JSON, or text where it is none. */
export interface Answer<Body = Record<string, unknown>> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: Body;
}

interface CallOptions {
  readonly body?: unknown;
  readonly contentType?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Calls the REST API as a user does. Every answer's text is kept, so that a test can look for what must not be there. */
export class ApiClient {
  readonly transcript: string[] = [];

  constructor(
    private readonly url: string,
    private readonly key?: string,
  ) {}

  /** Paths are below `/api/v1` unless they name a route at the root. */
  async call<Body = Record<string, unknown>>(
    method: string,
    path: string,
    { body, contentType = 'application/json', headers = {} }: CallOptions = {},
  ): Promise<Answer<Body>> {
    const atRoot = /^\/(health|metrics|api|docs)?([/?]|$)/.test(path);
    const response = await fetch(`${this.url}${atRoot ? '' : '/api/v1'}${path}`, {
      method,
      redirect: 'manual',
      headers: {
        ...(body === undefined ? {} : { 'content-type': contentType }),
        ...(this.key === undefined ? {} : { authorization: `Bearer ${this.key}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
    });
    const text = await response.text();
    this.transcript.push(text);
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return {
      status: response.status,
      headers: response.headers,
      body: (isJson && text ? JSON.parse(text) : text) as Body,
    };
  }

  /** The body of a 2xx; throws with the answer otherwise. */
  async must<Body = Record<string, unknown>>(method: string, path: string, options?: CallOptions): Promise<Body> {
    const { status, body } = await this.call<Body>(method, path, options);
    if (status < 200 || status > 299) throw new Error(`${method} ${path}: ${status} ${JSON.stringify(body)}`);
    return body;
  }
}

/** Asks again until the answer is as wanted; throws with the last one after `withinMs`. */
export async function eventually<T>(
  ask: () => Promise<T>,
  isWanted: (value: T) => boolean,
  withinMs = 30_000,
): Promise<T> {
  const deadline = performance.now() + withinMs;
  for (;;) {
    const value = await ask();
    if (isWanted(value)) return value;
    if (performance.now() > deadline) throw new Error(`not as wanted in ${withinMs} ms: ${JSON.stringify(value)}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}
