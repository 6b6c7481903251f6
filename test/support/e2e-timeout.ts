import { jest } from '@jest/globals';

// Real processes start and stop in these tests; 5 s is a limit for code.
jest.setTimeout(30_000);
