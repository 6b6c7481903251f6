// What the latency is measured beside: a process that watches, splits lines and notes when each came. Arguments: server, CA file, path.
// Its first line says that the watch stands; at the end of its input it prints the serials with their times.
import { connect } from 'node:http2';
import { readFileSync } from 'node:fs';
import { sharedNow } from './scripted-api-server.ts';

const [server = '', caFile = '', path = ''] = process.argv.slice(2);
const seen: Array<[serial: number, at: number]> = [];
const session = connect(server, { ca: readFileSync(caFile) });
const stream = session.request({ ':path': path, accept: 'application/json' });
let rest = '';
stream.setEncoding('utf8');
stream.on('response', () => process.stdout.write('watching\n'));
stream.on('data', (text: string) => {
  const at = sharedNow();
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) seen.push([Number(/"readyReplicas":(\d+)/.exec(line)?.[1] ?? 0), at]);
});
process.stdin.resume().on('end', () => {
  process.stdout.write(`${JSON.stringify(seen)}\n`, () => process.exit(0));
});
