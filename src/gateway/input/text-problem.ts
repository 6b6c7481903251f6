/**
 * What is wrong with the length of a text, in UTF-16 code units; undefined if nothing is.
 *
 * @param least 1 for what must be given
 */
export function textProblem(text: string, most: number, least: 0 | 1 = 0): string | undefined {
  if (text.length < least) return 'must not be empty';
  return text.length > most ? `must have at most ${most} characters, it has ${text.length}` : undefined;
}
