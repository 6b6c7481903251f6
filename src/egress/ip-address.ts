import { isIP } from 'node:net';

/** An address in its 4 or 16 bytes, so that every spelling of it compares equal. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly bytes: readonly number[];
}

/** Of the spellings that `isIP` accepts: dotted IPv4, IPv6 in any shortening. undefined for others and for zone ids. */
export function parseIp(text: string): IpAddress | undefined {
  const family = isIP(text);
  if (family === 4) return { family, bytes: text.split('.').map(Number) };
  if (family === 6 && !text.includes('%')) return { family, bytes: ipv6Bytes(text) };
  return undefined;
}

/**
 * The address that a host names literally, in every spelling that URLs and resolvers understand: `127.1`, `0x7f000001`,
 * `017700000001`, `[::1]`, full-width digits (WHATWG URL, host parsing). undefined for a host name.
 *
 * @throws RangeError when the host cannot be one at all.
 */
export function parseHostAddress(host: string): IpAddress | undefined {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host;
  const direct = parseIp(bare);
  if (direct) return direct;
  const authority = bare.includes(':') ? `[${bare}]` : bare;
  if (/[/?#@\\\s]/.test(authority) || authority === '' || !URL.canParse(`http://${authority}/`)) {
    throw new RangeError(`'${host}' is not a host name or an address`);
  }
  const canonical = new URL(`http://${authority}/`).hostname;
  return parseIp(canonical.startsWith('[') ? canonical.slice(1, -1) : canonical.replace(/\.$/, ''));
}

/** Canonical text: dotted IPv4, IPv6 as WHATWG URL writes it. */
export function formatIp(address: IpAddress): string {
  if (address.family === 4) return address.bytes.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => wordAt(address.bytes, i).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

function wordAt(bytes: readonly number[], index: number): number {
  return ((bytes[index * 2] ?? 0) << 8) | (bytes[index * 2 + 1] ?? 0);
}

function ipv6Bytes(text: string): number[] {
  // The URL parser turns a dotted tail into two groups and lower-cases.
  const canonical = new URL(`http://[${text}]/`).hostname.slice(1, -1);
  const [head = '', tail] = canonical.split('::');
  const left = groupsOf(head);
  const right = tail === undefined ? [] : groupsOf(tail);
  const zeros = Array.from({ length: 8 - left.length - right.length }, () => 0);
  return [...left, ...zeros, ...right].flatMap((group) => [group >> 8, group & 0xff]);
}

function groupsOf(part: string): number[] {
  return part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
}
