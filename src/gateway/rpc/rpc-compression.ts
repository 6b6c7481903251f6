import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';
import type { Compression } from '@connectrpc/connect/protocol';
import { compressionBrotli, compressionGzip } from '@connectrpc/connect-node';

const gzipAsync = promisify(gzip);
const brotliAsync = promisify(brotliCompress);

/** Answers are compressed once and read once: the quickest levels, for runs still a quarter of the size. */
const GZIP = { level: 1 };
const BROTLI = { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } };

/** Smaller ones take less time on the wire than in the compressor. */
export const COMPRESS_FROM_BYTES = 16_384;

/** Decompression is bounded by the limit of a message. */
export const COMPRESSIONS: Compression[] = [
  { ...compressionGzip, compress: async (bytes) => new Uint8Array(await gzipAsync(bytes, GZIP)) },
  { ...compressionBrotli, compress: async (bytes) => new Uint8Array(await brotliAsync(bytes, BROTLI)) },
];
