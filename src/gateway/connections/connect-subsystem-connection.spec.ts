import { subsystemConnectionContract } from '../../../test/contracts/subsystem-connection.contract.js';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { FakeSubsystemConnection } from '../../../test/support/fake-subsystem-connection.js';
import { SubsystemData } from '../../../test/support/flowwatch-subsystem-data.js';
import { connectionTo } from '../../../test/support/flowwatch-subsystem-room.js';
import { SubsystemServices } from '../../../test/support/flowwatch-subsystem-services.js';
import { FlowWatchSubsystem } from '../../../test/support/flowwatch-subsystem.js';

for (const protocols of ['http2', 'http1'] as const) {
  subsystemConnectionContract(`ConnectSubsystemConnection over ${protocols}`, async (options) => {
    const subsystem = await new FlowWatchSubsystem({ ...options, protocols }).start();
    const clock = new FakeClock();
    const connection = connectionTo([subsystem.endpoint], { clock });
    return {
      connection,
      services: subsystem.services,
      clock,
      hold: (method) => subsystem.hold(method),
      fail: (code, message) => subsystem.fail(code, message),
      count: (method) => subsystem.count(method),
      close: async () => {
        connection.close();
        await subsystem.stop();
      },
    };
  });
}

subsystemConnectionContract('FakeSubsystemConnection', (options) => {
  const clock = new FakeClock();
  const services = new SubsystemServices(new SubsystemData(options), options);
  const connection = new FakeSubsystemConnection((router) => services.register(router), {
    clock,
    callTimeoutMs: 10_000,
  });
  return Promise.resolve({
    connection,
    services,
    clock,
    hold: (method) => connection.hang(method),
    fail: (code, message) => connection.fail('*', code, message),
    count: (method) => connection.count(method),
    close: () => {
      services.endStreams();
      return Promise.resolve();
    },
  });
});
