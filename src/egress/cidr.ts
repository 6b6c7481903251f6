import type { SettingType } from '../config/setting-types.js';
import { type IpAddress, parseIp } from './ip-address.js';

/** A block of addresses: `10.0.0.0/8`, `fd00::/8`; a bare address is a block of one. */
export interface Cidr {
  readonly address: IpAddress;
  readonly prefixLength: number;
}

/** undefined for anything that is not a block. */
export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)(?:\/(\d{1,3}))?$/.exec(text);
  const address = match?.[1] === undefined ? undefined : parseIp(match[1]);
  if (!match || !address) return undefined;
  const width = address.bytes.length * 8;
  const prefixLength = match[2] === undefined ? width : Number(match[2]);
  return prefixLength <= width ? { address, prefixLength } : undefined;
}

/** For the tables in the source, which are known to be valid. */
export function cidrs(...blocks: readonly string[]): readonly Cidr[] {
  return blocks.map((block) => {
    const parsed = parseCidr(block);
    if (!parsed) throw new RangeError(`${block} is not a CIDR block`);
    return parsed;
  });
}

export function contains(block: Cidr, address: IpAddress): boolean {
  if (block.address.family !== address.family) return false;
  return address.bytes.every((byte, index) => {
    const bits = Math.max(0, Math.min(8, block.prefixLength - index * 8));
    const mask = (0xff << (8 - bits)) & 0xff;
    return (byte & mask) === ((block.address.bytes[index] ?? 0) & mask);
  });
}

export function cidr(): SettingType<Cidr> {
  return {
    expected: 'an address block like 10.0.0.0/8 or fd00::/8',
    parse(text) {
      const parsed = parseCidr(text);
      if (!parsed) throw new RangeError('not an address block');
      return parsed;
    },
  };
}
