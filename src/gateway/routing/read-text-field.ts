import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

/**
 * One text of a message that is not decoded otherwise; empty if it has none. Of a field that comes twice the last counts
 * (Protocol Buffers, "Last One Wins").
 *
 * @throws Error if the bytes are no message.
 */
export function readTextField(message: Uint8Array, number: number): string {
  const reader = new BinaryReader(message);
  let text = '';
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (field === number && wireType === WireType.LengthDelimited) text = reader.string();
    else reader.skip(wireType, field);
  }
  return text;
}
