/** The newest version of each entity that a client was given or has waiting, by stream key. */
export class EntityVersions {
  private readonly versions = new Map<string, Map<string, number>>();

  /** Notes the version if it is newer than what is known; false for one that is not. */
  advance(streamKey: string, entity: string, version: number): boolean {
    const entities = this.of(streamKey);
    const known = entities.get(entity);
    if (known !== undefined && version <= known) return false;
    entities.set(entity, version);
    return true;
  }

  /** Forgets a key, before its snapshot is read again. */
  forget(streamKey: string): void {
    this.versions.delete(streamKey);
  }

  private of(streamKey: string): Map<string, number> {
    const entities = this.versions.get(streamKey) ?? new Map<string, number>();
    this.versions.set(streamKey, entities);
    return entities;
  }
}
