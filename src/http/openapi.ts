import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import { PROGRAM_VERSION } from '../runtime/program-version.js';

interface JsonSchemaContext {
  readonly zodSchema: unknown;
  readonly jsonSchema: Record<string, unknown>;
}

/** What zod leaves out: OpenAPI's `discriminator` of a discriminated union. */
function addDiscriminator({ zodSchema, jsonSchema }: JsonSchemaContext): void {
  const discriminator = (zodSchema as { _zod: { def: { discriminator?: string } } })._zod.def.discriminator;
  if (discriminator !== undefined) jsonSchema['discriminator'] = { propertyName: discriminator };
}

const TO_JSON = {
  target: 'draft-2020-12',
  io: 'input',
  unrepresentable: 'any',
  override: addDiscriminator,
} as const;

/** Nest converts zod for OpenAPI 3.0, which makes an invalid 3.1 document: this is the conversion for 3.1. */
function standardSchemaConverter(schema: unknown) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const { $defs: _defs, $schema: _dialect, ...converted } = z.toJSONSchema(schema, TO_JSON);
  return { schema: converted, components: {} };
}

/** All schemas with an id, also those named by hand-written contents only. */
function namedSchemas(): Record<string, unknown> {
  const { schemas } = z.toJSONSchema(z.globalRegistry, { ...TO_JSON, uri: (id) => `#/components/schemas/${id}` });
  return Object.fromEntries(
    Object.entries(schemas).map(([name, { $id: _id, $schema: _dialect, ...schema }]) => [name, schema]),
  );
}

/** Nest gives every content type of a body the same schema; YAML comes as text. */
function describeYamlBodies(document: OpenAPIObject): void {
  for (const path of Object.values(document.paths)) {
    const { post } = path;
    const yaml = post?.requestBody && 'content' in post.requestBody && post.requestBody.content['application/yaml'];
    if (yaml) yaml.schema = { type: 'string', description: 'Text, as `kubectl` writes and reads it.' };
  }
}

/** The OpenAPI 3.1 document of the whole API. */
export function openApiDocument(app: INestApplication): OpenAPIObject {
  const config = new DocumentBuilder()
    .setTitle('Crowsnest')
    .setDescription('Deploys workflows to Kubernetes clusters, watches every resource and streams each change.')
    .setVersion(PROGRAM_VERSION)
    .setOpenAPIVersion('3.1.0')
    .addBearerAuth({
      type: 'http',
      scheme: 'bearer',
      description: 'A secret of CROWSNEST_API_KEYS, a stored key (`csk_…`), or for agents theirs (`csa_…`).',
    })
    .addSecurityRequirements('bearer')
    .build();
  const document = SwaggerModule.createDocument(app, config, { standardSchemaConverter } as never);
  describeYamlBodies(document);
  const schemas = { ...document.components?.schemas, ...namedSchemas() };
  return { ...document, components: { ...document.components, schemas: schemas as never } };
}

/** Serves the document and Swagger UI, whose assets are local. */
export function serveOpenApi(app: INestApplication, document: OpenAPIObject): void {
  SwaggerModule.setup('docs', app, document, {
    jsonDocumentUrl: 'api/openapi.json',
    yamlDocumentUrl: 'api/openapi.yaml',
    customSiteTitle: 'Crowsnest API',
    swaggerOptions: { persistAuthorization: true, tryItOutEnabled: true, displayRequestDuration: true },
  });
}
