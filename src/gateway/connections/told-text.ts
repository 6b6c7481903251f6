import { isIPv6 } from 'node:net';

/** Characters that are shown. */
const MAX_LENGTH = 512;
/** Characters that are looked at. */
const MAX_READ = 2 * MAX_LENGTH;
const HIDDEN = '[…]';

const PLACES: readonly RegExp[] = [
  // URLs
  /[a-z][a-z0-9+.-]{0,30}:\/\/\S+/gi,
  // Paths of files, with a line
  /(?<![\w.~])\/(?:[\w.@+-]+\/)+[\w.@+-]+(?::\d+)*/g,
  /\b[a-z]:\\\S+/gi,
  // [IPv6] and IPv4, with a port
  /\[(?=[^\]]*:)[0-9a-f:.%]+\](?::\d{1,5})?/gi,
  /(?<![\d.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\d.]*\d)/g,
  // Hosts with a port, and names that only a cluster knows
  /\b(?:localhost|[a-z0-9_-]+(?:\.[a-z0-9_-]+)+):\d{1,5}\b/gi,
  /\b[a-z][a-z0-9-]*:\d{4,5}\b/gi,
  /\b[a-z0-9_-]+(?:\.[a-z0-9_-]+)*\.(?:svc|local|internal|lan)\b/gi,
];
const MAYBE_IPV6 = /(?<![\w:.])[0-9a-f:]*:[0-9a-f:.]*:[0-9a-f:.]*(?:%\w+)?/gi;

/**
 * The words of a subsystem as others may read them: its first line, shortened, without addresses, names of hosts and
 * files, control characters, and halves of surrogate pairs.
 */
export function toldText(text: string): string {
  const [line = ''] = text.trimStart().split(/[\r\n\u2028\u2029]/, 1);
  // An address that was cut in two would not be known as one.
  const read =
    line.length > MAX_READ ? line.slice(0, MAX_READ).replace(/\S{0,512}$/, '') || line.slice(0, MAX_LENGTH) : line;
  let told = read.replace(/[\p{Cc}\p{Cf}]+/gu, ' ');
  for (const place of PLACES) told = told.replace(place, HIDDEN);
  told = told.replace(MAYBE_IPV6, (found) =>
    isIPv6(found.replace(/[.:]$/, '').replace(/%\w+$/, '')) ? HIDDEN : found,
  );
  const short = told.length > MAX_LENGTH ? `${told.slice(0, MAX_LENGTH - 1)}…` : told;
  return short.toWellFormed();
}
