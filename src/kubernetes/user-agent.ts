import { Injectable } from '@nestjs/common';
import { DatabaseConnection } from '../database/index.js';
import { PROGRAM_VERSION } from '../runtime/program-version.js';

/** Names us in API servers' audit logs: `crowsnest/<version> (<installation>)`. */
@Injectable()
export class UserAgent {
  constructor(private readonly database: DatabaseConnection) {}

  get value(): string {
    return `crowsnest/${PROGRAM_VERSION} (${this.database.installation.installationId})`;
  }
}
