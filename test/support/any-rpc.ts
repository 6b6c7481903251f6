import {
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type JsonObject,
  fromJson,
  toJson,
} from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';

export interface Told {
  readonly answer: JsonObject;
  /** Subsystems whose part is missing. */
  readonly missing: readonly string[];
}

/** Calls it with a request and for an answer in the form of JSON. */
export async function ask(
  transport: Transport,
  method: DescMethodUnary,
  request: JsonObject,
  headers: Readonly<Record<string, string>> = {},
): Promise<Told> {
  const { message, header } = await transport.unary(
    method,
    undefined,
    undefined,
    headers,
    fromJson(method.input, request),
  );
  const missing = header.get('crowsnest-failed-subsystems')?.split(', ') ?? [];
  return {
    answer: toJson(method.output, message) as JsonObject,
    missing: missing.map((each) => each.replace(/;.*/, '')),
  };
}

/** Reads until a message is as wanted, or the stream ends. */
export async function watch(
  transport: Transport,
  method: DescMethodServerStreaming,
  request: JsonObject,
  isWanted: (message: JsonObject) => boolean,
): Promise<{ readonly message: JsonObject | undefined; readonly polled: string | null }> {
  const end = new AbortController();
  const input = (async function* () {
    yield fromJson(method.input, request);
  })();
  const { message: messages, header } = await transport.stream(method, end.signal, undefined, undefined, input);
  try {
    for await (const each of messages) {
      const message = toJson(method.output, each) as JsonObject;
      if (isWanted(message)) return { message, polled: header.get('crowsnest-polled-subsystems') };
    }
    return { message: undefined, polled: null };
  } finally {
    end.abort();
  }
}
