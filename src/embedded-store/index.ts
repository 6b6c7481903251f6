export { DataDirLockedError } from './data-dir-lock.js';
export { startEmbeddedStore, type EmbeddedStore, type EmbeddedStoreOptions } from './embedded-store.js';
