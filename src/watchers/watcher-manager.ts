import { Injectable } from '@nestjs/common';
@Injectable()
export class WatcherManager {
  requestReconcile(): void {}
}
