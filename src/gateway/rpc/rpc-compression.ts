import { promisify } from 'node:util';
import { brotliCompress, brotliDecompress, constants, gunzip, gzip } from 'node:zlib';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Compression } from '@connectrpc/connect/protocol';
import { tooLarge } from './too-large.js';

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);
const gunzipAsync = promisify(gunzip);
const unbrotliAsync = promisify(brotliDecompress);

/** Answers are compressed once and read once: the quickest levels, for runs still a quarter of the size. */
const GZIP = { level: 1 };
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

/** Smaller ones take less time on the wire than in the compressor. */
export const COMPRESS_FROM_BYTES = 16_384;

/** Decompression is bounded by the limit of a message. */
export const COMPRESSIONS: Compression[] = [
  {
    name: 'gzip',
    compress: async (bytes) => new Uint8Array(await gzipAsync(bytes, GZIP)),
    decompress: (bytes, maxBytes) => decompressed('gzip', bytes, maxBytes, gunzipAsync),
  },
  {
    name: 'br',
    compress: async (bytes) => new Uint8Array(await brotliAsync(bytes, BROTLI)),
    decompress: (bytes, maxBytes) => decompressed('br', bytes, maxBytes, unbrotliAsync),
  },
];

type Decompress = (bytes: Uint8Array, options: { readonly maxOutputLength: number }) => Promise<Uint8Array>;

/** @throws ConnectError `resource_exhausted`, `invalid_argument` */
async function decompressed(
  name: string,
  bytes: Uint8Array,
  maxBytes: number,
  decompress: Decompress,
): Promise<Uint8Array<ArrayBuffer>> {
  // As gRPC's implementations do: some send nothing at all for an empty message.
  if (bytes.length === 0) return new Uint8Array(0);
  try {
    return new Uint8Array(await decompress(bytes, { maxOutputLength: maxBytes }));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(maxBytes);
    throw new ConnectError(`the message cannot be decompressed as ${name}`, Code.InvalidArgument);
  }
}
