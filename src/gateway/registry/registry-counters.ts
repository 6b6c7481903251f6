import { Code } from '@connectrpc/connect';
import { Injectable } from '@nestjs/common';

/** What has happened to registration streams since the start. */
@Injectable()
export class RegistryCounters {
  private acceptedStreams = 0;
  private readonly refusedStreams = new Map<string, number>();

  accepted(): void {
    this.acceptedStreams += 1;
  }

  refused(code: Code): void {
    const name = codeName(code);
    this.refusedStreams.set(name, (this.refusedStreams.get(name) ?? 0) + 1);
  }

  get totals(): { readonly accepted: number; readonly refused: ReadonlyMap<string, number> } {
    return { accepted: this.acceptedStreams, refused: this.refusedStreams };
  }
}

/** `DeadlineExceeded` as it stands on the wire: `deadline_exceeded`. */
export function codeName(code: Code): string {
  return (Code[code] ?? 'unknown').replaceAll(/(?<=[a-z])[A-Z]/g, '_$&').toLowerCase();
}
