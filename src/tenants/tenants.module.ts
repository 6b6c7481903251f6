import { Module } from '@nestjs/common';
import { Plans } from './plans.js';
import { TenantsController } from './tenants.controller.js';
import { TenantsRepository } from './tenants.repository.js';
import { TenantsService } from './tenants.service.js';
import { VirtualClocks } from './virtual-clocks.js';

/** Tenants with their plans, limits and virtual clocks. */
@Module({
  controllers: [TenantsController],
  providers: [Plans, TenantsRepository, TenantsService, VirtualClocks],
  exports: [Plans, TenantsRepository, TenantsService, VirtualClocks],
})
export class TenantsModule {}
