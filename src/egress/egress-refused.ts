import { AppError } from '../errors/app-error.js';
import type { AddressClass } from './address-class.js';

/** A connection that the egress policy does not allow. Nothing was sent. */
export class EgressRefused extends AppError {
  constructor(
    /** What was asked for: `metadata.internal` or a literal address. */
    readonly host: string,
    readonly address: string,
    readonly addressClass: AddressClass,
    why: string,
  ) {
    const target = host === address ? address : `${host} (${address})`;
    super('egress.refused', `${target} is a ${TITLES[addressClass]} address: ${why}`, {
      details: { addressClass },
    });
    this.name = 'EgressRefused';
  }
}

const TITLES: Readonly<Record<AddressClass, string>> = {
  never: 'link-local, metadata or reserved',
  loopback: 'loopback',
  private: 'private',
  public: 'public',
};
