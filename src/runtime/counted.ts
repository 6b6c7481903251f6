/** `1 node`, `2 nodes`. */
export function counted(count: number, noun: string, plural = `${noun}s`): string {
  return `${count} ${count === 1 ? noun : plural}`;
}

/** `0 of 1 pod is`, `1 of 4 pods are`. */
export function ofCounted(some: number, all: number, noun: string): string {
  return `${some} of ${counted(all, noun)} ${all === 1 ? 'is' : 'are'}`;
}
