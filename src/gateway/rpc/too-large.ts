import { Code, ConnectError } from '@connectrpc/connect';

/** Of a message with more bytes than one may have, as it came or decompressed. */
export function tooLarge(maxBytes: number): ConnectError {
  const message = `the message is too large: it may have ${maxBytes} bytes at most (CROWSNEST_GATEWAY_MAX_MESSAGE)`;
  return new ConnectError(message, Code.ResourceExhausted);
}
