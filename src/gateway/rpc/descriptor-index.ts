import { type DescFile, type DescMessage, type DescService, toBinary } from '@bufbuild/protobuf';
import { FileDescriptorProtoSchema } from '@bufbuild/protobuf/wkt';

/** Files of services and all that they import, found by name and by what they declare. */
export class DescriptorIndex {
  readonly serviceNames: readonly string[];
  private readonly files = new Map<string, DescFile>();
  private readonly symbols = new Map<string, DescFile>();

  constructor(services: readonly DescService[]) {
    this.serviceNames = services.map(({ typeName }) => typeName).toSorted();
    for (const { file } of services) this.add(file);
  }

  /** The file and its imports as encoded FileDescriptorProtos, the file first; undefined if there is none. */
  ofFile(path: string): Uint8Array[] | undefined {
    const file = this.files.get(path);
    return file && encodeWithImports(file);
  }

  /** As `ofFile`, for the file that declares a service, RPC, message, field, enum, value or extension. */
  ofSymbol(name: string): Uint8Array[] | undefined {
    const file = this.symbols.get(name);
    return file && encodeWithImports(file);
  }

  private add(file: DescFile): void {
    const path = pathOf(file);
    if (this.files.has(path)) return;
    this.files.set(path, file);
    for (const service of file.services) {
      this.symbols.set(service.typeName, file);
      for (const { name } of service.methods) this.symbols.set(`${service.typeName}.${name}`, file);
    }
    for (const { typeName, values } of file.enums) this.addEnum(typeName, values, file);
    for (const message of file.messages) this.addMessage(message, file);
    for (const { typeName } of file.extensions) this.symbols.set(typeName, file);
    for (const imported of file.dependencies) this.add(imported);
  }

  private addMessage(message: DescMessage, file: DescFile): void {
    this.symbols.set(message.typeName, file);
    for (const { name } of [...message.fields, ...message.oneofs]) {
      this.symbols.set(`${message.typeName}.${name}`, file);
    }
    for (const { typeName, values } of message.nestedEnums) this.addEnum(typeName, values, file);
    for (const nested of message.nestedMessages) this.addMessage(nested, file);
    for (const { typeName } of message.nestedExtensions) this.symbols.set(typeName, file);
  }

  /** The values of an enum stand beside it, not within: https://protobuf.dev/programming-guides/proto3/#enum */
  private addEnum(typeName: string, values: ReadonlyArray<{ readonly name: string }>, file: DescFile): void {
    this.symbols.set(typeName, file);
    const scope = typeName.slice(0, typeName.lastIndexOf('.') + 1);
    for (const { name } of values) this.symbols.set(`${scope}${name}`, file);
  }
}

function pathOf({ proto }: DescFile): string {
  return proto.name;
}

function encodeWithImports(file: DescFile): Uint8Array[] {
  const found = new Map<string, Uint8Array>();
  const visit = (each: DescFile): void => {
    if (found.has(pathOf(each))) return;
    found.set(pathOf(each), toBinary(FileDescriptorProtoSchema, each.proto));
    for (const imported of each.dependencies) visit(imported);
  };
  visit(file);
  return [...found.values()];
}
