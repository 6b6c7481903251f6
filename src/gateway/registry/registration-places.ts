import { isLoopbackAddress } from '../../auth/index.js';

/** How many registration streams there may be at the same time: in all, and of one peer that is not this machine. */
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

  /** Why there is no place for this peer, or what gives its place back (idempotent). */
  take(peerAddress: string): string | (() => void) {
    if (this.taken >= this.limit) return `there are ${this.limit} registration streams already; try later`;
    const counts = !isLoopbackAddress(peerAddress);
    const ofPeer = this.byPeer.get(peerAddress) ?? 0;
    if (counts && ofPeer >= this.perPeer) {
      return `your address has ${this.perPeer} registration streams already; CROWSNEST_GATEWAY_STREAMS_PER_ADDRESS of the gateway allows more`;
    }
    this.taken += 1;
    if (counts) this.byPeer.set(peerAddress, ofPeer + 1);
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.taken -= 1;
      if (counts) this.giveBack(peerAddress);
    };
  }

  private giveBack(peerAddress: string): void {
    const left = (this.byPeer.get(peerAddress) ?? 0) - 1;
    if (left > 0) this.byPeer.set(peerAddress, left);
    else this.byPeer.delete(peerAddress);
  }
}
