import { initial } from './0001-initial.js';
import { streamTickets } from './0002-stream-tickets.js';
import { controllers } from './0003-controllers.js';
import { subsystems } from './0004-subsystems.js';
import { credentialDigests } from './0005-credential-digests.js';
import type { Migration } from './migration.js';

export type { Migration } from './migration.js';

/** In order, without gaps: the schema version of the program is the last one's. */
export const MIGRATIONS: readonly Migration[] = [initial, streamTickets, controllers, subsystems, credentialDigests];
