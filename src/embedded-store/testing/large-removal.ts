// A process that removes many documents at once and says when it is in the middle of that; the crash test kills it.
import mongoose from 'mongoose';
import { startEmbeddedStore } from '../embedded-store.js';

const TOTAL = 40_000;
const store = await startEmbeddedStore({ dataDir: process.argv[2] ?? '' });
const client = await new mongoose.mongo.MongoClient(store.uri).connect();
const docs = client.db().collection<{ _id: number; n: number; text: string }>('docs');
await docs.createIndex({ n: 1 }, { unique: true });
await docs.insertMany(Array.from({ length: TOTAL }, (_, _id) => ({ _id, n: TOTAL - _id, text: 'x'.repeat(100) })));

let isRemoved = false;
void docs.deleteMany({}).then(() => (isRemoved = true));
for (let left = TOTAL; left === TOTAL;) left = await docs.countDocuments({ n: { $gte: 0 } });
process.stdout.write(isRemoved ? 'at the end' : 'in the middle');
