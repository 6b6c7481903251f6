import { AGGREGATE_COMMANDS } from './aggregate.js';
import { COLLECTION_COMMANDS } from './collection-commands.js';
import type { Command } from './command.js';
import { FIND_AND_MODIFY_COMMANDS } from './find-and-modify.js';
import { INDEX_COMMANDS } from './index-commands.js';
import { READ_COMMANDS } from './read-commands.js';
import { SESSION_COMMANDS } from './session-commands.js';
import { WRITE_COMMANDS } from './write-commands.js';

/** Every command this store knows; any other is CommandNotFound. */
export const COMMANDS: ReadonlyMap<string, Command> = new Map(
  [
    SESSION_COMMANDS,
    READ_COMMANDS,
    AGGREGATE_COMMANDS,
    WRITE_COMMANDS,
    FIND_AND_MODIFY_COMMANDS,
    INDEX_COMMANDS,
    COLLECTION_COMMANDS,
  ].flatMap((family) => Object.entries(family)),
);
