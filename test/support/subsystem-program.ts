// A FlowWatch subsystem as a process of its own, which keeps itself registered at a gateway:
// `subsystem-program.ts <options as JSON>`. It reads a `SubsystemCommand` from each line, and writes a `SubsystemLine` for each thing to tell.
import { createInterface } from 'node:readline';
import { connectToGateway } from '../../src/gateway/client/connect-to-gateway.js';
import { RunEventType } from '../../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { SystemClock } from '../../src/runtime/clock.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { FlowWatchSubsystem } from './flowwatch-subsystem.js';
import type { SubsystemCommand, SubsystemLine, SubsystemProgramOptions } from './subsystem-process.js';

const options = JSON.parse(process.argv[2] ?? '') as SubsystemProgramOptions;
const { id, gatewayAddress, changed = {} } = options;
const say = (line: SubsystemLine): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

const subsystem = await new FlowWatchSubsystem(options).start();
for (const [runId, status] of Object.entries(changed)) {
  const run = subsystem.data.run(runId);
  if (run) run.status = status;
}
say({ kind: 'listens', port: subsystem.port });
await connectToGateway({
  id,
  gatewayAddress,
  localEndpoint: subsystem.endpoint,
  clock: new SystemClock(),
  random: new CryptoRandom(),
  onEvent: ({ kind }) => say({ kind }),
}).start(new AbortController().signal);

for await (const line of createInterface({ input: process.stdin })) {
  const { runId, status } = JSON.parse(line) as SubsystemCommand;
  const run = subsystem.data.run(runId);
  if (run) subsystem.services.emitRun({ eventType: RunEventType.UPDATED, run: { ...run, status } });
}
