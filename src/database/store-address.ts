import { Inject, Injectable } from '@nestjs/common';
import { type DatabaseConfig, databaseConfig } from './database.config.js';

/** Where the data is: the configured MongoDB, or the embedded store once that has started. */
@Injectable()
export class StoreAddress {
  private embedded: string | undefined;

  constructor(@Inject(databaseConfig.token) private readonly config: DatabaseConfig) {}

  get isEmbedded(): boolean {
    return this.config.uri === undefined;
  }

  get uri(): string {
    const uri = this.config.uri ?? this.embedded;
    if (uri === undefined) throw new Error('the embedded store has not started');
    return uri;
  }

  /** `crowsnest` unless the URI names a database. */
  get databaseName(): string {
    const path = /^mongodb(?:\+srv)?:\/\/[^/]+\/([^?]*)/.exec(this.uri)?.[1];
    return path ? decodeURIComponent(path) : 'crowsnest';
  }

  setEmbedded(uri: string): void {
    this.embedded = uri;
  }
}
