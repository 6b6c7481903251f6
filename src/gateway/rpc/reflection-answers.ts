import type { MessageInitShape } from '@bufbuild/protobuf';
import { Code, type ConnectRouter } from '@connectrpc/connect';
import {
  ServerReflection,
  type ServerReflectionRequest,
  type ServerReflectionResponseSchema,
} from '../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';
import type { DescriptorIndex } from './descriptor-index.js';
import type { RpcCalls } from './rpc-calls.js';
import { untilAborted } from './until-aborted.js';

type Response = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>['messageResponse']>;

const V1 = ServerReflection.method.serverReflectionInfo;
/** Differs in its name only, so that one handler does for both. */
const V1_ALPHA = ServerReflectionAlpha.method.serverReflectionInfo as unknown as typeof V1;

/** gRPC's reflection, v1 and v1alpha: https://grpc.io/docs/guides/reflection/ */
export function bindReflection(router: ConnectRouter, calls: RpcCalls, index: DescriptorIndex): void {
  for (const method of [V1, V1_ALPHA]) {
    router.rpc(method, (requests, context) =>
      calls.stream(context, async function* (signal) {
        for await (const request of untilAborted(requests, signal)) {
          const { host, messageRequest } = request;
          yield { validHost: host, originalRequest: request, messageResponse: responseTo(index, messageRequest) };
        }
      }),
    );
  }
}

function responseTo(index: DescriptorIndex, request: ServerReflectionRequest['messageRequest']): Response {
  switch (request.case) {
    case 'listServices':
      return { case: 'listServicesResponse', value: { service: index.serviceNames.map((name) => ({ name })) } };
    case 'fileByFilename':
      return files(index.ofFile(request.value), 'file');
    case 'fileContainingSymbol':
      return files(index.ofSymbol(request.value), 'symbol');
    case 'fileContainingExtension':
    case 'allExtensionNumbersOfType':
      return failed(Code.NotFound, 'there are no extensions');
    default:
      return failed(Code.InvalidArgument, 'the request asks for nothing');
  }
}

function files(fileDescriptorProto: Uint8Array[] | undefined, what: string): Response {
  if (!fileDescriptorProto) return failed(Code.NotFound, `there is no such ${what}`);
  return { case: 'fileDescriptorResponse', value: { fileDescriptorProto } };
}

function failed(errorCode: Code, errorMessage: string): Response {
  return { case: 'errorResponse', value: { errorCode, errorMessage } };
}
