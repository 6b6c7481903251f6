import { Module } from '@nestjs/common';
import { AuthModule, Credentials } from '../auth/index.js';
import { TenantsModule } from '../tenants/index.js';
import { ApiKeyAuthority } from './api-key-authority.js';
import { ApiKeysController } from './api-keys.controller.js';
import { ApiKeysRepository } from './api-keys.repository.js';
import { ApiKeysService } from './api-keys.service.js';

/** Keys that are made and revoked over REST. */
@Module({
  imports: [AuthModule, TenantsModule],
  controllers: [ApiKeysController],
  providers: [ApiKeyAuthority, ApiKeysRepository, ApiKeysService],
})
export class ApiKeysModule {
  constructor(credentials: Credentials, authority: ApiKeyAuthority) {
    credentials.register(authority);
  }
}
