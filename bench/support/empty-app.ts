// An empty Nest application with the packages that the service loads at its start, registered as it registers them, one route and
// no work: what those packages cost by themselves. Prints one line with its URL. Decorators are called, because node erases types only.
import 'reflect-metadata';
import { type AddressInfo } from 'node:net';
import {
  Body,
  Controller,
  type INestApplication,
  Logger,
  Module,
  Post,
  StandardSchemaValidationPipe,
} from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { MongooseModule } from '@nestjs/mongoose';
import { ExpressAdapter } from '@nestjs/platform-express';
import { DocumentBuilder, SwaggerModule } from '@nestjs/swagger';
import { TerminusModule } from '@nestjs/terminus';
import { ObjectId } from 'bson';
import express from 'express';
import helmet from 'helmet';
import { Schema } from 'mongoose';
import { Registry, collectDefaultMetrics } from 'prom-client';
import { Subject } from 'rxjs';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';

const Thing = z.object({ name: z.string() }).meta({ id: 'Thing' });
/** Used, so that no import is elided. */
const loaded = [new ObjectId(), new Subject<void>(), parseAllDocuments('a: 1')];

class ThingsController {
  create(body: z.infer<typeof Thing>): z.infer<typeof Thing> {
    return body;
  }
}
Reflect.defineMetadata('design:paramtypes', [Object], ThingsController.prototype, 'create');
const handler = Object.getOwnPropertyDescriptor(ThingsController.prototype, 'create');
if (handler) Post()(ThingsController.prototype, 'create', handler);
Body({ schema: Thing })(ThingsController.prototype, 'create', 0);
Controller('things')(ThingsController);

class EmptyModule {}
Module({
  imports: [
    MongooseModule.forRoot('mongodb://127.0.0.1:1/empty', { lazyConnection: true, autoIndex: false }),
    MongooseModule.forFeature([{ name: 'Thing', schema: new Schema({ name: String }) }]),
    TerminusModule.forRoot({ logger: false }),
  ],
  controllers: [ThingsController],
})(EmptyModule);

function serveOpenApi(app: INestApplication): void {
  const config = new DocumentBuilder().setTitle('Empty').setOpenAPIVersion('3.1.0').build();
  SwaggerModule.setup('docs', app, SwaggerModule.createDocument(app, config));
}

const registry = new Registry();
collectDefaultMetrics({ register: registry });
const app = await NestFactory.create(EmptyModule, new ExpressAdapter(express()), { logger: false });
app.use(helmet());
app.useGlobalPipes(new StandardSchemaValidationPipe());
serveOpenApi(app);
await app.listen(0, '127.0.0.1');
const { port } = app.getHttpServer().address() as AddressInfo;
new Logger('Empty').debug(loaded.length);
process.stdout.write(`http://127.0.0.1:${port}\n`);
