// A process that writes through the driver and prints each id once its insert is acknowledged; the crash test kills it.
import mongoose from 'mongoose';
import { startEmbeddedStore } from '../embedded-store.js';

const [dataDir = '', round = '0'] = process.argv.slice(2);
const store = await startEmbeddedStore({ dataDir });
const client = await new mongoose.mongo.MongoClient(store.uri).connect();
const acks = client.db().collection<{ _id: string; n: number; changed?: boolean }>('acks');
await acks.createIndex({ n: 1 }, { unique: true });

/** Eight writers at once, so that commits are shared. */
async function write(writer: number): Promise<never> {
  for (let i = 0; ; i++) {
    const _id = `${round}-${writer}-${i}`;
    await acks.insertOne({ _id, n: Number(round) * 1e9 + writer * 1e8 + i });
    if (i % 3 === 0) await acks.updateOne({ _id }, { $set: { changed: true } });
    process.stdout.write(`${_id}${i % 3 === 0 ? ' changed' : ''}\n`);
  }
}

await Promise.all(Array.from({ length: 8 }, (_, writer) => write(writer)));
