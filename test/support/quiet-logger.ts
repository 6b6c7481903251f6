import 'reflect-metadata';
import { Logger } from '@nestjs/common';

// A test that is about log lines gives its own logger; elsewhere they would hide the results.
Logger.overrideLogger(false);
