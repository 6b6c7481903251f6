import { once } from 'node:events';
import { Agent, type IncomingMessage, request as requestHttp1 } from 'node:http';
import { type ClientHttp2Session, connect } from 'node:http2';
import { codeToString } from '@connectrpc/connect/protocol-connect';

/** A protocol with its encoding and the HTTP below it. */
export interface RawForm {
  readonly contentType: string;
  readonly httpVersion: '1.1' | '2';
}

/** Every form in which a call with one request message may come. */
export const RAW_FORMS: readonly RawForm[] = [
  'application/json',
  'application/proto',
  'application/connect+json',
  'application/connect+proto',
  'application/grpc+json',
  'application/grpc+proto',
  'application/grpc-web+json',
  'application/grpc-web+proto',
].flatMap((contentType) => [
  ...(contentType.startsWith('application/grpc+') ? [] : [{ contentType, httpVersion: '1.1' as const }]),
  { contentType, httpVersion: '2' as const },
]);

export interface RawRequest {
  readonly path: string;
  readonly method?: string;
  /** An undefined one is left out. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
  readonly body?: Buffer;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, unknown>>;
  /** `ok`, or the code as Connect writes it; undefined for an answer that tells none. */
  readonly code: string | undefined;
  /** Body, headers and trailers, to look for words. */
  readonly text: string;
}

interface Answered {
  readonly status: number;
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

/** Calls an RPC with whatever bytes and headers, over one connection that is kept. */
export class RawRpc {
  /** Over HTTP/1.1: that the last request came over the connection of the one before. */
  isReused = false;
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 1 });
  private session: ClientHttp2Session | undefined;

  constructor(
    private readonly baseUrl: string,
    readonly form: RawForm,
  ) {
    if (form.httpVersion === '2') this.session = connect(baseUrl);
  }

  close(): void {
    this.agent.destroy();
    this.session?.destroy();
  }

  /** Whether messages come with flags and their length, as all but those of Connect's unary calls do. */
  get isEnveloped(): boolean {
    return !/^application\/(?:json|proto)$/.test(this.form.contentType);
  }

  get isJson(): boolean {
    return this.form.contentType.endsWith('json');
  }

  /** A message as the form sends it. */
  wrap(message: Buffer, flags = 0): Buffer {
    if (!this.isEnveloped) return message;
    const head = Buffer.alloc(5);
    head.writeUInt8(flags);
    head.writeUInt32BE(message.length, 1);
    return Buffer.concat([head, message]);
  }

  async call({ path, method = 'POST', headers = {}, body = Buffer.alloc(0) }: RawRequest): Promise<RawAnswer> {
    const given = Object.entries({ 'content-type': this.form.contentType, ...headers });
    const sent = Object.fromEntries(given.filter((each): each is [string, string] => each[1] !== undefined));
    const answered = this.session
      ? await overHttp2(this.session, { path, method, headers: sent, body })
      : await this.overHttp1({ path, method, headers: sent, body });
    const { status, headers: head, trailers, body: bytes } = answered;
    const text = `${JSON.stringify({ ...head, ...trailers })} ${bytes.toString('latin1')}`;
    return { status, headers: head, code: codeOf(answered), text };
  }

  private async overHttp1({ path, method, headers, body }: Required<RawRequest>): Promise<Answered> {
    const sent = requestHttp1(`${this.baseUrl}${path}`, {
      method,
      headers: headers as Record<string, string>,
      agent: this.agent,
    });
    const answer = new Promise<IncomingMessage>((resolve, reject) =>
      sent.once('response', resolve).once('error', reject),
    );
    sent.end(body);
    const response = await answer;
    const chunks: Buffer[] = [];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    this.isReused = sent.reusedSocket;
    return {
      status: response.statusCode ?? 0,
      headers: response.headers,
      trailers: response.trailers,
      body: Buffer.concat(chunks),
    };
  }
}

async function overHttp2(
  session: ClientHttp2Session,
  { path, method, headers, body }: Required<RawRequest>,
): Promise<Answered> {
  const stream = session.request({ ':method': method, ':path': path, ...headers }, { endStream: body.length === 0 });
  let trailers: Record<string, unknown> = {};
  stream.once('trailers', (given) => (trailers = { ...given }));
  if (body.length > 0) stream.end(body);
  const [head] = (await once(stream, 'response')) as [Record<string, unknown>];
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return { status: Number(head[':status']), headers: head, trailers, body: Buffer.concat(chunks) };
}

function codeOf({ status, headers, trailers, body }: Answered): string | undefined {
  const type = String(headers['content-type']);
  const inGrpc =
    headers['grpc-status'] ?? trailers['grpc-status'] ?? /^grpc-status: (\d+)/m.exec(lastFrame(body, 0x80))?.[1];
  if (type.startsWith('application/grpc')) return grpcCode(inGrpc);
  if (type.startsWith('application/connect+')) return errorCode(lastFrame(body, 2));
  if (type.startsWith('application/json') && status !== 200)
    return (JSON.parse(body.toString()) as { code: string }).code;
  return status === 200 ? 'ok' : undefined;
}

function grpcCode(status: unknown): string | undefined {
  if (status === undefined) return undefined;
  return Number(status) === 0 ? 'ok' : codeToString(Number(status));
}

function errorCode(end: string): string | undefined {
  return end === '' ? undefined : ((JSON.parse(end) as { error?: { code: string } }).error?.code ?? 'ok');
}

/** What is in the last frame, if it is flagged so; `''` if it is not. */
function lastFrame(body: Buffer, flag: number): string {
  for (let at = 0; at + 5 <= body.length; at += 5 + body.readUInt32BE(at + 1)) {
    if ((body.readUInt8(at) & flag) !== 0) return body.toString('utf8', at + 5);
  }
  return '';
}
