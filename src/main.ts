import { firstSignal } from './first-signal.js';

// Before anything else is loaded: a signal during the start is a wish to stop, too.
const signalled = firstSignal(process);
const { serve } = await import('./serve.js');
process.exit(await serve(process.env, signalled));
