import type { DescEnum } from '@bufbuild/protobuf';
import { z } from 'zod';

/** What a value is called that a newer subsystem has and this gateway does not know, or that is not set. */
const UNKNOWN = 'unknown';

/** The words of an enum, as REST has them: `RUN_STATUS_RUNNING` is `running`. Without the unspecified one. */
export function wordsOf(desc: DescEnum): string[] {
  return desc.values.filter(({ number }) => number !== 0).map(({ localName }) => localName.toLowerCase());
}

export function wordOf(desc: DescEnum, value: number): string {
  return (value === 0 ? undefined : desc.value[value]?.localName.toLowerCase()) ?? UNKNOWN;
}

/** @throws RangeError for a word that is none of `wordsOf`. */
export function valueOfWord(desc: DescEnum, word: string): number {
  const found = desc.values.find(({ localName }) => localName.toLowerCase() === word);
  if (!found) throw new RangeError(`${desc.typeName} has no ${word}`);
  return found.number;
}

/** Schema of a word in an answer. */
export function wordSchema(desc: DescEnum): z.ZodType<string> {
  return z.enum([...wordsOf(desc), UNKNOWN]);
}
