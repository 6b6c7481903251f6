import { type ConfigOf, defineConfig, optionalSetting, setting } from '../config/define-config.js';
import { duration, text } from '../config/setting-types.js';

export const databaseConfig = defineConfig('database', {
  uri: optionalSetting(
    'MONGODB_URI',
    text('a URI that starts with mongodb:// or mongodb+srv://', /^mongodb(\+srv)?:\/\/./),
    {
      description: 'MongoDB 6.0 or newer; the database is crowsnest if the URI names none. Unset: the embedded store.',
      example: 'mongodb://user:password@mongodb.example:27017/crowsnest',
      secret: true,
    },
  ),
  dataDir: setting('DATA_DIR', text('a folder'), {
    default: './data',
    description: 'Folder of the embedded store and of the key file that it makes.',
  }),
  pingTimeoutMs: setting('CROWSNEST_DATABASE_PING_TIMEOUT', duration({ minMs: 100 }), {
    default: '2s',
    description: 'How long readiness waits for the database.',
  }),
});

export type DatabaseConfig = ConfigOf<typeof databaseConfig>;
