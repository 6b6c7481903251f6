import { Injectable } from '@nestjs/common';
import type { Types, mongo } from 'mongoose';
import { type AuthenticationTag, type Authenticator, type Authenticity, Authenticators } from '../sealing/index.js';
import { canonical } from './canonical.js';

/** What the first segment is linked to. */
export const GENESIS = 'genesis';

/**
 * Rows that were sealed together. Which they are is fixed when it is stored; that each row is marked with the number
 * comes after, and `pending` says so.
 */
export interface AuditSegment {
  /** 1, 2, 3, … without gaps. */
  readonly _id: number;
  readonly fromId: Types.ObjectId;
  readonly toId: Types.ObjectId;
  readonly count: number;
  /** The latest `at` of its rows. */
  readonly newestAt: Date;
  /** SHA-256 over the contents of its rows in the order of their ids, in hex. */
  readonly hash: string;
  readonly sealedAt: Date;
  /** Tag of the segment before. */
  readonly previous: AuthenticationTag;
  readonly tag: AuthenticationTag;
  /** Ids of its rows, 12 bytes each, until all of them are marked. */
  readonly pending: mongo.Binary | null;
}

/** How far the chain goes, kept apart from it, so that a cut tail shows. */
export interface AuditHead {
  readonly _id: 'head';
  readonly segment: number;
  readonly segmentTag: AuthenticationTag;
  readonly tag: AuthenticationTag;
}

/** Where the chain begins after retention removed what was before. */
export interface AuditAnchor {
  /** Number of the last segment that was removed. */
  readonly _id: number;
  readonly segmentTag: AuthenticationTag;
  /** Removed so far, by all runs. */
  readonly segments: number;
  readonly rows: number;
  readonly newestAt: Date;
  readonly runId: string;
  readonly at: Date;
  readonly tag: AuthenticationTag;
}

type Kind = 'segment' | 'head' | 'anchor';

/** Links segments by tags that need the key, which is outside of the database. */
@Injectable()
export class AuditChain {
  private readonly authenticator: Authenticator;

  constructor(authenticators: Authenticators) {
    this.authenticator = authenticators.of('audit chain');
  }

  tagOf(kind: Kind, document: object): AuthenticationTag {
    return this.authenticator.tag(contentOf(kind, document));
  }

  check(kind: Kind, document: { readonly tag: AuthenticationTag }): Authenticity {
    return this.authenticator.check(contentOf(kind, document), document.tag);
  }
}

function contentOf(kind: Kind, document: object): string {
  const { tag: _tag, pending: _pending, ...content } = document as { tag?: unknown; pending?: unknown };
  return `${kind} ${canonical(content)}`;
}
