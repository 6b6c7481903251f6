export { type AuthenticationTag, Authenticator, Authenticators, type Authenticity } from './authenticator.js';
export { SealError, type SealFailure } from './seal-error.js';
export { SEALED_MARKER, Sealer, type Sealed } from './sealer.js';
export { type SealingKey, parseSealingKey } from './sealing-key.js';
export { type SealingConfig, sealingConfig } from './sealing.config.js';
export { SealingModule } from './sealing.module.js';
