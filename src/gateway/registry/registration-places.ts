import { isLoopbackAddress } from '../../auth/index.js';

/** Of one stream. */
export interface RegistrationPlace {
  /** From now on it is known whose it is, and it stands in the way of no other of its address. Idempotent. */
  registered(): void;
  /** Idempotent. */
  giveBack(): void;
}

/**
 * How many registration streams there may be at the same time: in all, and of one peer that have not registered yet. Those
 * that have showed a key, and an address may be that of a proxy with many behind it; those of this machine are not counted.
 */
export class RegistrationPlaces {
  private taken = 0;
  private readonly byPeer = new Map<string, number>();

  constructor(
    private readonly limit: number,
    private readonly perPeer: number,
  ) {}

  get count(): number {
    return this.taken;
  }

  /** Why there is none for this peer, or the place. */
  take(peerAddress: string): string | RegistrationPlace {
    if (this.taken >= this.limit) return `there are ${this.limit} registration streams already; try later`;
    let isUnknown = !isLoopbackAddress(peerAddress);
    const ofPeer = this.byPeer.get(peerAddress) ?? 0;
    if (isUnknown && ofPeer >= this.perPeer) {
      return (
        `your address has ${this.perPeer} streams already that have not registered; try later ` +
        '(CROWSNEST_GATEWAY_STREAMS_PER_ADDRESS of the gateway)'
      );
    }
    this.taken += 1;
    if (isUnknown) this.byPeer.set(peerAddress, ofPeer + 1);
    let isHeld = true;
    const registered = (): void => {
      if (isUnknown) this.leavePeer(peerAddress);
      isUnknown = false;
    };
    const giveBack = (): void => {
      registered();
      if (isHeld) this.taken -= 1;
      isHeld = false;
    };
    return { registered, giveBack };
  }

  private leavePeer(peerAddress: string): void {
    const left = (this.byPeer.get(peerAddress) ?? 0) - 1;
    if (left > 0) this.byPeer.set(peerAddress, left);
    else this.byPeer.delete(peerAddress);
  }
}
