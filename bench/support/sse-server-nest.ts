import 'reflect-metadata';
import type { AddressInfo } from 'node:net';
import { Controller, Module, type MessageEvent, Sse } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter } from '@nestjs/platform-express';
import express from 'express';
import { type Observable, Subject } from 'rxjs';
import { type BenchData, EVENT_NAME, type EventServer, envelope } from './sse-event.ts';

const events = new Subject<MessageEvent>();

class EventsController {
  stream(): Observable<MessageEvent> {
    return events;
  }
}
// Decorators are called, because node erases types only.
const handler = Object.getOwnPropertyDescriptor(EventsController.prototype, 'stream');
if (handler) Sse('stream')(EventsController.prototype, 'stream', handler);
Controller()(EventsController);

class EventsModule {}
Module({ controllers: [EventsController] })(EventsModule);

/** Nest's own `@Sse` on one Subject, as its documentation shows it. */
export async function start(): Promise<EventServer> {
  const app = await NestFactory.create(EventsModule, new ExpressAdapter(express()), { logger: false });
  await app.listen(0, '127.0.0.1');
  const { port } = app.getHttpServer().address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/stream`,
    // Its handler has subscribed when the body begins.
    joined: '\r\n\r\n1',
    publish(data: BenchData): void {
      events.next({ id: `0123456789ab.${data.serial}`, type: EVENT_NAME, data: envelope(data) });
    },
    async stop(): Promise<void> {
      events.complete();
      await app.close();
    },
  };
}
