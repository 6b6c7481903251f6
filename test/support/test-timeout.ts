import { jest } from '@jest/globals';

// A limit for what hangs: real processes, sockets and stores work in these tests, and a machine may be busy with others.
jest.setTimeout(30_000);
