/** The fields of one block of an event stream (HTML standard, "Server-sent events"); an absent field is not written. */
export interface SseFields {
  readonly id?: string;
  readonly event?: string;
  /** Text; line ends in it become lines of their own, so a parser gives them back as LF. */
  readonly data?: string;
  /** Milliseconds until the client connects again. */
  readonly retry?: number;
}

const LINE_END = /\r\n|\r|\n/;

/**
 * One whole block with its closing empty line, UTF-8. `id` and `event` are written by us, never by users: with a line
 * end in them, or NUL in an id, which parsers ignore, this throws a TypeError instead of forging a field.
 */
export function encodeFrame({ id, event, data, retry }: SseFields): Buffer {
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
