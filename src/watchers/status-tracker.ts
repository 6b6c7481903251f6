import { Injectable } from '@nestjs/common';
@Injectable()
export class StatusTracker {
  evaluate(_resourceId: string): void {}
}
