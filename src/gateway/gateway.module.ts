import { Module } from '@nestjs/common';

/** Many FlowWatch subsystems behind one address: their registration, calls to them, and one engine made of all. */
@Module({})
export class GatewayModule {}
