import type { Request } from 'express';
import { AppError } from '../errors/app-error.js';

/** Stands in for a body that no parser takes. A route that takes none never sees it; one that does refuses it. */
export class UnreadBody {
  constructor(private readonly contentType: string | undefined) {}

  /** @throws AppError `request.unsupported_media_type` */
  refuse(): never {
    const what =
      this.contentType === undefined || this.contentType === ''
        ? 'has no content type'
        : `is ${JSON.stringify(this.contentType)}`;
    throw new AppError(
      'request.unsupported_media_type',
      `the body ${what}; send it with "Content-Type: application/json" (application/yaml where the route takes YAML)`,
    );
  }
}

/** RFC 9112 section 6: a body is told by one of two headers. */
export function hasBody({ headers }: Pick<Request, 'headers'>): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
}
