import { type AddressClass, classify, unmap } from './address-class.js';
import { type Cidr, contains } from './cidr.js';
import { EgressRefused } from './egress-refused.js';
import { type IpAddress, formatIp } from './ip-address.js';

export interface EgressPolicyOptions {
  readonly allow: readonly Cidr[];
  readonly deny: readonly Cidr[];
  /** Whether only this machine can reach the service; then its user may reach this machine through it. */
  readonly servesLoopbackOnly: boolean;
}

/**
 * Which addresses the service connects to, whoever asks for it.
 *
 * `never` is never allowed. Otherwise the longest matching block of the two lists decides, DENY at equal length; without
 * a match public and private addresses are allowed, loopback only while the service itself serves loopback only.
 */
export class EgressPolicy {
  constructor(private readonly options: EgressPolicyOptions) {}

  /**
   * @param host what the address was resolved from, for the error.
   * @throws EgressRefused
   */
  check(address: IpAddress, host = formatIp(address)): void {
    const addressClass = classify(address);
    const why = this.refusal(unmap(address), addressClass);
    if (why !== undefined) throw new EgressRefused(host, formatIp(address), addressClass, why);
  }

  private refusal(address: IpAddress, addressClass: AddressClass): string | undefined {
    if (addressClass === 'never')
      return 'no connection is ever opened to one, and CROWSNEST_EGRESS_ALLOW cannot allow it';
    const allowed = longestMatch(this.options.allow, address);
    const denied = longestMatch(this.options.deny, address);
    if (denied >= 0 && denied >= allowed) {
      return 'it is in CROWSNEST_EGRESS_DENY; to reach it, name it more exactly in CROWSNEST_EGRESS_ALLOW';
    }
    if (allowed >= 0 || addressClass !== 'loopback' || this.options.servesLoopbackOnly) return undefined;
    return 'the service is open to others than this machine; add the address to CROWSNEST_EGRESS_ALLOW if they may reach it';
  }
}

/** Prefix length of the longest block that holds the address, -1 without one. */
function longestMatch(blocks: readonly Cidr[], address: IpAddress): number {
  return blocks.reduce(
    (longest, block) => (contains(block, address) ? Math.max(longest, block.prefixLength) : longest),
    -1,
  );
}
