/** About 25 days. For anything longer a timer fires at once, and so would the library's. */
const MAX_TIMEOUT_MS = 2 ** 31 - 1;

const LONG_UNITS_MS: Readonly<Record<string, number>> = { H: 3_600_000, M: 60_000, S: 1_000 };

/**
 * The value of a timeout header, with a time that can be counted: both protocols have room for longer ones. What is none
 * is left as it is.
 * https://connectrpc.com/docs/protocol, https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md
 */
export function countableTimeout(name: string, value: string): string {
  if (name === 'connect-timeout-ms') {
    return /^\d{10}$/.test(value) ? String(Math.min(Number(value), MAX_TIMEOUT_MS)) : value;
  }
  const [, digits = '', unit = ''] = (name === 'grpc-timeout' && /^(\d{1,8})([HMS])$/.exec(value)) || [];
  const isTooLong = Number(digits) * (LONG_UNITS_MS[unit] ?? 0) > MAX_TIMEOUT_MS;
  return isTooLong ? `${Math.floor(MAX_TIMEOUT_MS / 1_000)}S` : value;
}
