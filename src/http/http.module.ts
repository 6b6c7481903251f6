import { Global, Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { CertificateRenewal } from './certificate-renewal.js';
import { HttpServer } from './http-server.js';
import { idempotencyKeySchema } from './idempotency-key.schema.js';
import { IdempotencyKeysRepository } from './idempotency-keys.repository.js';
import { IndexController } from './index.controller.js';
import { RequestMounts } from './request-mounts.js';

@Global()
@Module({
  imports: [MongooseModule.forFeature([{ name: 'IdempotencyKey', schema: idempotencyKeySchema }])],
  controllers: [IndexController],
  providers: [CertificateRenewal, HttpServer, IdempotencyKeysRepository, RequestMounts],
  exports: [HttpServer, IdempotencyKeysRepository, RequestMounts],
})
export class HttpModule {
  constructor(registry: LifecycleRegistry, server: HttpServer, renewal: CertificateRenewal) {
    registry.register('http', server);
    registry.register('http', renewal);
  }
}
