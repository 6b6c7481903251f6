export { type AddressClass, classify } from './address-class.js';
export { type Cidr, parseCidr } from './cidr.js';
export { DialError, type DialFailure } from './dial-error.js';
export { type EgressConfig, egressConfig } from './egress.config.js';
export { EgressModule } from './egress.module.js';
export { EgressPolicy } from './egress-policy.js';
export { EgressRefused } from './egress-refused.js';
export { type DialTarget, GuardedDialer, type ResolveHost, type TlsTrust } from './guarded-dialer.js';
