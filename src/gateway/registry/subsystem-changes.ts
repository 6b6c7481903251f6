import { Logger } from '@nestjs/common';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import type { DirectoryChange } from './subsystem-directory.js';

export interface RegistryChange extends DirectoryChange {
  readonly subsystem: RegisteredSubsystem;
}

/** Numbers the changes of subsystems and tells them to who listens. */
export class SubsystemChanges {
  private readonly log = new Logger(SubsystemChanges.name);
  private readonly listeners = new Set<(change: RegistryChange) => void>();
  private sequence = 0;

  listen(listener: (change: RegistryChange) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Nobody is told any more. */
  end(): void {
    this.listeners.clear();
  }

  tell(change: RegistryChange): void {
    const { subsystem } = change;
    subsystem.sequence = this.sequence += 1;
    for (const listener of this.listeners) {
      try {
        listener(change);
      } catch (error) {
        this.log.error({ message: 'a change of a subsystem could not be handled', subsystemId: subsystem.id, error });
      }
    }
  }
}
