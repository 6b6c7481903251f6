import { isLoopbackAddress } from '../../auth/index.js';

/** Streams of one peer; none of loopback, where many may stand behind one address. */
const PER_PEER = 4;

/** How many registration streams there may be at the same time. */
export class RegistrationPlaces {
  private taken = 0;
  private readonly byPeer = new Map<string, number>();

  constructor(private readonly limit: number) {}

  get count(): number {
    return this.taken;
  }

  /** Why there is no place for this peer, or what gives its place back (idempotent). */
  take(peerAddress: string): string | (() => void) {
    if (this.taken >= this.limit) return `there are ${this.limit} registration streams already; try later`;
    const counts = !isLoopbackAddress(peerAddress);
    const ofPeer = this.byPeer.get(peerAddress) ?? 0;
    if (counts && ofPeer >= PER_PEER) return `your address has ${PER_PEER} registration streams already`;
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
