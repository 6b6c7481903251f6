import { type ConfigOf, defineConfig, setting } from '../config/define-config.js';
import { list } from '../config/setting-types.js';
import { cidr } from './cidr.js';

export const egressConfig = defineConfig('egress', {
  allow: setting('CROWSNEST_EGRESS_ALLOW', list(cidr()), {
    default: '',
    description:
      'Address blocks that clusters and subsystems may be at, beside public and private ones: 127.0.0.0/8 when the service is open to others. The longest matching block of ALLOW and DENY decides.',
    example: '10.0.0.0/8,127.0.0.1/32',
  }),
  deny: setting('CROWSNEST_EGRESS_DENY', list(cidr()), {
    default: '',
    description: 'Address blocks that no connection is opened to: 0.0.0.0/0,::/0 leaves only what ALLOW names.',
    example: '0.0.0.0/0,::/0',
  }),
});

export type EgressConfig = ConfigOf<typeof egressConfig>;
