import type { LoggerService } from '@nestjs/common';
import type { Clock } from '../runtime/clock.js';
import { LEVELS, type Level, type LogLine, loggable } from './log-line.js';
import { requestContext } from './request-context.js';

export interface ServiceLoggerOptions {
  readonly level: Level;
  readonly format: (line: LogLine) => string;
  readonly write: (text: string) => void;
  readonly clock: Clock;
}

// What Nest tells of its own wiring is of interest to who debugs it only.
const FRAMEWORK = new Set(['NestFactory', 'NestApplication', 'InstanceLoader', 'RoutesResolver', 'RouterExplorer']);

/** Behind Nest's `Logger`: takes a text, an error, or `{ message, ...fields }`; the last text argument is the context. */
export class ServiceLogger implements LoggerService {
  private readonly least: number;

  constructor(private readonly options: ServiceLoggerOptions) {
    this.least = LEVELS.indexOf(options.level);
  }

  log(message: unknown, ...rest: unknown[]): void {
    const isFramework = rest.some((each) => typeof each === 'string' && FRAMEWORK.has(each));
    this.emit(isFramework ? 'debug' : 'info', message, rest);
  }

  warn(message: unknown, ...rest: unknown[]): void {
    this.emit('warn', message, rest);
  }

  error(message: unknown, ...rest: unknown[]): void {
    this.emit('error', message, rest);
  }

  fatal(message: unknown, ...rest: unknown[]): void {
    this.emit('error', message, rest);
  }

  debug(message: unknown, ...rest: unknown[]): void {
    this.emit('debug', message, rest);
  }

  verbose(message: unknown, ...rest: unknown[]): void {
    this.emit('debug', message, rest);
  }

  private emit(level: Level, message: unknown, rest: unknown[]): void {
    if (LEVELS.indexOf(level) < this.least) return;
    const { clock, format, write } = this.options;
    const context = rest.findLast((each) => typeof each === 'string' && !each.includes('\n'));
    const stack = rest.find((each) => typeof each === 'string' && each.includes('\n'));
    const requestId = requestContext.getStore()?.requestId;
    const line = {
      time: new Date(clock.now()).toISOString(),
      level,
      ...(typeof context === 'string' ? { context } : {}),
      ...(requestId === undefined ? {} : { requestId }),
      ...fieldsOf(message),
      ...(stack === undefined ? {} : { stack }),
    };
    write(`${format(line)}\n`);
  }
}

function fieldsOf(message: unknown): { message: string; [field: string]: unknown } {
  if (message instanceof Error) return { message: message.message, error: loggable(message) };
  if (typeof message !== 'object' || message === null) return { message: String(message) };
  const { message: text, ...fields } = loggable(message) as Record<string, unknown>;
  return { message: String(text), ...fields };
}
