import type { INestApplication, LoggerService } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { ExpressAdapter, type NestExpressApplication } from '@nestjs/platform-express';
import express from 'express';
import helmet from 'helmet';
import { servesLoopbackOnly, slice } from './app.config.js';
import { AppModule, type AppOptions } from './app.module.js';
import { RequestAudit, auditRefusals } from './audit/index.js';
import { type AuthConfig, authConfig } from './auth/index.js';
import { bodyParsers } from './http/body-parsers.js';
import { type HttpConfig, httpConfig } from './http/index.js';
import { openApiDocument, serveOpenApi } from './http/openapi.js';
import { ProblemFilter } from './http/problem.filter.js';
import { requestLog } from './http/request-log.js';
import { siteGuard } from './http/site-guard.js';
import { validationPipe } from './http/validation.pipe.js';

/** The whole application, ready to be started by its Lifecycle; shared by main and the end-to-end tests. */
export async function createApp(options: AppOptions, logger: LoggerService): Promise<INestApplication> {
  const http = slice<HttpConfig>(options.config, httpConfig);
  const server = express();
  server.disable('x-powered-by').disable('etag').set('query parser', 'simple');

  const app = await NestFactory.create<NestExpressApplication>(AppModule.forRoot(options), new ExpressAdapter(server), {
    logger,
    bodyParser: false,
    abortOnError: false,
  });
  const keyed = slice<AuthConfig>(options.config, authConfig).apiKeys !== undefined;
  const { allowedHosts, corsOrigins } = http;
  app.use(requestLog(options.clock, options.random));
  app.use(auditRefusals(app.get(RequestAudit)));
  // Every asset is served here. Helmet's own choice lets fonts and styles come from anywhere.
  const assets = { 'font-src': ["'self'"], 'style-src': ["'self'", "'unsafe-inline'"] };
  // The service speaks plain HTTP, where browsers complain of these; whoever puts TLS in front says what holds for his host.
  const ofTls = { strictTransportSecurity: false, crossOriginOpenerPolicy: false, originAgentCluster: false };
  app.use(
    helmet({ contentSecurityPolicy: { directives: { 'upgrade-insecure-requests': null, ...assets } }, ...ofTls }),
  );
  app.use(
    siteGuard({
      loopbackOnly: !keyed && servesLoopbackOnly(options.config),
      allowedHosts,
      corsOrigins,
    }),
  );
  app.enableCors({ origin: [...corsOrigins], exposedHeaders: ['Location', 'X-Request-Id', 'Retry-After'] });
  app.use(...bodyParsers());
  app.setGlobalPrefix('api/v1', { exclude: ['/', 'health/*path', 'metrics'] });
  app.useGlobalPipes(validationPipe());
  app.useGlobalFilters(new ProblemFilter());
  serveOpenApi(app, openApiDocument(app));
  return app.init();
}
