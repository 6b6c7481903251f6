import { applyDecorators } from '@nestjs/common';
import { ApiHeader, ApiOperation, ApiProduces, ApiResponse } from '@nestjs/swagger';
import type { StreamEnvelope } from './wire/stream-event.js';

const DESCRIPTION = `Server-sent events. Each has an \`id\`, an \`event\` and one line of JSON:
\`{type, streamKey, eventType, timestamp, data}\`, \`eventType\` being the same as \`event\`.

First comes the state as one or more \`snapshot\` events, \`data\` being \`{part, last, items: [{entity, eventType, data}]}\`:
with part 1 forget what you held of its \`streamKey\`, take each item as if the event \`eventType\` had brought it, and with
\`last\` the state of that key is whole. Then each change follows, with no gap and no repeat. No other call is needed.

After an interruption send the \`id\` of the last event that you have as \`Last-Event-ID\`, or as \`?lastEventId=\`, to the same
keys, and get just what you missed, or a new snapshot where that is too long ago. An \`EventSource\` does so by itself; as it can send no key,
it comes with a ticket of \`POST /api/v1/streams/tickets\`; if it is ever closed for good, get another one. A stream of what has come to its end, such as a run, ends too, and
who comes back to it is answered 204.

\`lagged\` says that this client was too slow and missed \`dropped\` events; a new snapshot follows. \`heartbeat\` comes when
nothing else did for a while. \`shutdown\` and \`overloaded\` precede the end; connect again after \`retryMs\`, as an
EventSource does by itself.`;

/** Documents a route as an event stream. `changes` names the events that bring its changes. */
export function ApiEventStream(summary: string, changes: string, example: StreamEnvelope): MethodDecorator {
  return applyDecorators(
    ApiOperation({ summary, description: `${DESCRIPTION}\n\nChanges: ${changes}.` }),
    ApiProduces('text/event-stream'),
    ApiHeader({ name: 'Last-Event-ID', required: false, description: 'Sent by an EventSource that comes back.' }),
    ApiResponse({
      status: 200,
      description: 'The stream',
      content: { 'text/event-stream': { schema: { type: 'string' }, example: exampleOf(example) } },
    }),
    ApiResponse({ status: 204, description: 'What is asked for has come to its end: do not come back' }),
  );
}

function exampleOf(envelope: StreamEnvelope): string {
  return `id: 5f0c2a9b1d3e.42\nevent: ${envelope.eventType}\ndata: ${JSON.stringify(envelope)}\n\n`;
}
