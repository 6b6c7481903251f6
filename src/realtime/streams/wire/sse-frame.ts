/** The fields of one block of an event stream (HTML standard, "Server-sent events"); an absent field is not written. */
export interface SseFields {
  /** Not empty: that would make a client forget where it was. */
  readonly id?: string;
  readonly event?: string;
  /** Text; line ends in it become lines of their own, so a parser gives them back as LF. Only together with an id. */
  readonly data?: string;
  /** Milliseconds until the client connects again. */
  readonly retry?: number;
}

const LINE_END = /\r\n|\r|\n/;

/**
 * One whole block with its closing empty line, UTF-8. `id` and `event` are written by us, never by users: with a line
 * end or NUL in them, or without an id beside data, this throws a TypeError instead of forging a field or leaving a client
 * at the place of an earlier event.
 */
export function encodeFrame({ id, event, data, retry }: SseFields): Buffer {
  if (id === '' || (data !== undefined && id === undefined)) throw new TypeError('an event must have an id');
  let text = '';
  if (id !== undefined) text += `id: ${singleLine(id, 'id')}\n`;
  if (event !== undefined) text += `event: ${singleLine(event, 'event')}\n`;
  if (retry !== undefined) text += `retry: ${Math.max(0, Math.round(retry))}\n`;
  if (data !== undefined) {
    for (const line of data.split(LINE_END)) text += `data: ${line}\n`;
  }
  return Buffer.from(`${text}\n`, 'utf8');
}

/** A comment, which clients ignore and proxies take for traffic. */
export function encodeComment(text: string): Buffer {
  return Buffer.from(`: ${singleLine(text, 'comment')}\n\n`, 'utf8');
}

function singleLine(value: string, field: string): string {
  if (LINE_END.test(value) || value.includes('\0')) throw new TypeError(`${field} must be one line without NUL`);
  return value;
}
