// FlowWatch's messages as built: generated code has enums, which node does not run as TypeScript.
const built = (file: string): string => new URL(`../../dist/gateway/gen/flowwatch/v1/${file}.js`, import.meta.url).href;

export const { RunService } = (await import(
  built('run_service_pb')
)) as typeof import('../../src/gateway/gen/flowwatch/v1/run_service_pb.ts');
export const { WorkflowService } = (await import(
  built('workflow_service_pb')
)) as typeof import('../../src/gateway/gen/flowwatch/v1/workflow_service_pb.ts');
export const { RunSchema, RunStatus } = (await import(
  built('types_pb')
)) as typeof import('../../src/gateway/gen/flowwatch/v1/types_pb.ts');
export const { GatewayMessageSchema, SubsystemMessageSchema } = (await import(
  built('gateway_service_pb')
)) as typeof import('../../src/gateway/gen/flowwatch/v1/gateway_service_pb.ts');
