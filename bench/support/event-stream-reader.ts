import { type ClientRequest, get } from 'node:http';
import { sharedNow } from './scripted-api-server.ts';

/** One SSE client. Notes when each frame's bytes came, before it looks into them. */
export class EventStreamReader {
  private readonly request: ClientRequest;
  private rest = '';

  /** @param onEvent gets each event's name, data line and the time at which its last byte was read. */
  constructor(url: string, onEvent: (event: string, data: string, at: number) => void) {
    this.request = get(url, { headers: { accept: 'text/event-stream' } }, (response) => {
      response.setEncoding('utf8');
      response.on('error', () => undefined);
      response.on('data', (text: string) => {
        const at = sharedNow();
        const frames = (this.rest + text).split('\n\n');
        this.rest = frames.pop() ?? '';
        for (const frame of frames) {
          const field = (name: string): string => new RegExp(`^${name}: ?(.*)$`, 'm').exec(frame)?.[1] ?? '';
          onEvent(field('event'), field('data'), at);
        }
      });
    });
    this.request.on('error', () => undefined);
  }

  close(): void {
    this.request.destroy();
  }
}
