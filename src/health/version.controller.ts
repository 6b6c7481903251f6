import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Roles } from '../auth/index.js';
import { DatabaseConnection } from '../database/index.js';
import { ApiProblems } from '../http/index.js';
import { PROGRAM_VERSION } from '../runtime/program-version.js';

const version = z
  .object({
    version: z.string().meta({ description: 'Of the program.', example: '0.1.0' }),
    installationId: z.string().meta({ description: 'Names this installation in labels on objects.' }),
    schemaVersion: z.int().meta({ description: 'Of the stored data.', example: 1 }),
    node: z.string().meta({ example: 'v24.21.0' }),
  })
  .meta({ id: 'Version' });

@ApiTags('diagnostics')
@ApiProblems()
@Controller('version')
export class VersionController {
  constructor(private readonly database: DatabaseConnection) {}

  @Roles('viewer')
  @Get()
  @ApiOperation({ summary: 'What runs here' })
  @ApiOkResponse({ standardSchema: version })
  version(): z.infer<typeof version> {
    const { installationId, schemaVersion } = this.database.installation;
    return { version: PROGRAM_VERSION, installationId, schemaVersion, node: process.version };
  }
}
