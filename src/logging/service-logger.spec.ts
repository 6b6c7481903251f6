import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../test/support/fake-clock.js';
import { formatJson, formatText } from './log-line.js';
import { requestContext } from './request-context.js';
import { ServiceLogger } from './service-logger.js';

function setup(format = formatJson) {
  const lines: string[] = [];
  const logger = new ServiceLogger({
    level: 'info',
    format,
    write: (text) => void lines.push(text),
    clock: new FakeClock(),
  });
  return { logger, lines };
}

describe('ServiceLogger', () => {
  it('writes one JSON line with context, request id and fields', () => {
    const { logger, lines } = setup();
    requestContext.run({ requestId: 'r-1' }, () => logger.log({ message: 'watch cut', kind: 'Pod' }, 'Reflector'));
    expect(lines.map((line) => JSON.parse(line))).toEqual([
      {
        time: '2026-01-01T00:00:00.000Z',
        level: 'info',
        context: 'Reflector',
        requestId: 'r-1',
        message: 'watch cut',
        kind: 'Pod',
      },
    ]);
  });

  it('leaves out what is below its level', () => {
    const { logger, lines } = setup();
    logger.debug('not told');
    expect(lines).toEqual([]);
  });

  it('redacts fields called like secrets, at any depth and in errors', () => {
    const { logger, lines } = setup();
    const error = Object.assign(new Error('refused'), { options: { token: 'hunter2' } });
    logger.warn({ message: 'x', headers: { Authorization: 'hunter2' }, error, apiKeys: ['hunter2'] });
    expect(lines.join()).not.toContain('hunter2');
    expect(lines.join()).toContain('[redacted]');
  });

  it('writes a line for people that no value can break', () => {
    const { logger, lines } = setup(formatText);
    logger.log({ message: 'ready', url: 'http://127.0.0.1:3000', note: 'two\nlines' }, 'Main');
    expect(lines).toEqual(['00:00:00.000 INFO  [Main] ready url=http://127.0.0.1:3000 note="two\\nlines"\n']);
  });
});
