export { type HeldLease, LeaseLost } from './held-lease.js';
