import { randomBytes, randomUUID } from 'node:crypto';

/** Everything the service draws by chance. Injected, so that tests repeat. */
export interface Random {
  /** Uniform in [0, 1). For jitter, never for secrets. */
  float(): number;
  /** Cryptographically strong bytes. */
  bytes(length: number): Buffer;
  /** A version 4 UUID (RFC 9562). */
  uuid(): string;
}

export const RANDOM = Symbol('Random');

export class CryptoRandom implements Random {
  float(): number {
    return randomBytes(6).readUIntBE(0, 6) / 2 ** 48;
  }

  bytes(length: number): Buffer {
    return randomBytes(length);
  }

  uuid(): string {
    return randomUUID();
  }
}
