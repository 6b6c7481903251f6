import { cidrs, contains } from './cidr.js';
import type { IpAddress } from './ip-address.js';

/** `never` holds what no cluster lives at: unspecified, link-local, metadata services, multicast, reserved blocks. */
export type AddressClass = 'never' | 'loopback' | 'private' | 'public';

const METADATA = cidrs(
  '168.63.129.16/32', // Azure wire server
  '192.0.0.192/32', // Oracle Cloud
  '100.100.100.200/32', // Alibaba Cloud
  'fd00:ec2::/32', // Amazon EC2: instance metadata, DNS and time
  'fd20:ce::254/128', // Google Cloud
  'fd00:42::42/128', // Scaleway
);

const LOOPBACK = cidrs('127.0.0.0/8', '::1/128');

/** RFC 1918, RFC 6598 (shared address space), RFC 2544 (benchmarking, used inside networks), RFC 4193. */
const PRIVATE = cidrs('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15', 'fc00::/7');

/** IANA's special-purpose registries, as far as they are not listed above. */
const NEVER = cidrs(
  '0.0.0.0/8',
  '169.254.0.0/16',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '192.88.99.0/24',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '224.0.0.0/4',
  '240.0.0.0/4',
  '::/128',
  '64:ff9b:1::/48', // RFC 8215: local NAT64, where the wrapped address stands is not known
  '100::/64',
  '2001::/23', // protocol assignments, Teredo and ORCHID among them
  '2001:db8::/32',
  '3fff::/20',
  '5f00::/16',
  'fe80::/10',
  'fec0::/10',
  'ff00::/8',
);

/** IPv6 that carries an IPv4 address: the block, and the byte where that address starts. */
const WRAPPED = [
  { block: cidrs('::ffff:0:0/96'), offset: 12, transparent: true }, // IPv4-mapped, RFC 4291
  { block: cidrs('64:ff9b::/96'), offset: 12, transparent: false }, // NAT64, RFC 6052
  { block: cidrs('2002::/16'), offset: 2, transparent: false }, // 6to4, RFC 3056
  { block: cidrs('::/96'), offset: 12, transparent: false }, // IPv4-compatible, RFC 4291
] as const;

export function classify(address: IpAddress): AddressClass {
  const isIn = (blocks: ReturnType<typeof cidrs>): boolean => blocks.some((block) => contains(block, address));
  if (isIn(LOOPBACK)) return 'loopback';
  if (isIn(METADATA) || isIn(NEVER)) return 'never';
  for (const { block, offset, transparent } of WRAPPED) {
    if (!isIn(block)) continue;
    const inner = classify(unwrap(address, offset));
    // A translator sends loopback to itself: only the mapped form, which never leaves the host, is that address.
    return inner === 'loopback' && !transparent ? 'never' : inner;
  }
  return isIn(PRIVATE) ? 'private' : 'public';
}

/** An IPv4-mapped address as the IPv4 address that it is for the kernel; any other as it stands. */
export function unmap(address: IpAddress): IpAddress {
  const isMapped = WRAPPED[0].block.some((block) => contains(block, address));
  return isMapped ? unwrap(address, WRAPPED[0].offset) : address;
}

function unwrap(address: IpAddress, offset: number): IpAddress {
  return { family: 4, bytes: address.bytes.slice(offset, offset + 4) };
}
