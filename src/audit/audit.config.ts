import { type ConfigOf, defineConfig, optionalSetting, setting } from '../config/define-config.js';
import { type SettingType, boolean, duration, text } from '../config/setting-types.js';

const DAY_MS = 86_400_000;
const DATE = /^\d{4}-\d{2}-\d{2}$/;

/** From this day on nothing is removed; of `all`, nothing at all. */
function legalHold(): SettingType<Date | 'all'> {
  return {
    expected: 'a date like 2026-03-01, or all',
    parse(value) {
      if (value === 'all') return value;
      const date = new Date(`${value}T00:00:00Z`);
      if (!DATE.test(value) || Number.isNaN(date.getTime())) throw new RangeError('no date');
      return date;
    },
  };
}

export const auditConfig = defineConfig('audit', {
  retentionMs: setting('CROWSNEST_AUDIT_RETENTION', duration({ minMs: 30 * DAY_MS }), {
    default: '365d',
    description: 'How long the audit log is kept.',
  }),
  retentionPeriodMs: setting('CROWSNEST_AUDIT_RETENTION_PERIOD', duration({ minMs: 100 }), {
    default: '24h',
    description: 'How often what is older is removed.',
  }),
  dryRun: setting('CROWSNEST_AUDIT_RETENTION_DRY_RUN', boolean(), {
    default: 'false',
    description: 'Whether audit rows that are too old are counted only.',
  }),
  legalHold: optionalSetting('CROWSNEST_AUDIT_LEGAL_HOLD', legalHold(), {
    description: 'Audit rows of this day and later are kept, however old they get; all keeps every one.',
    example: '2026-03-01',
  }),
  exportDir: optionalSetting('CROWSNEST_AUDIT_EXPORT_DIR', text('a directory', /^\S/), {
    description: 'Where audit rows are written as JSON Lines before they are removed.',
    example: '/var/lib/crowsnest-audit',
  }),
  sealingPeriodMs: setting('CROWSNEST_AUDIT_SEALING_PERIOD', duration({ minMs: 100 }), {
    default: '60s',
    description: 'How often new audit rows are sealed: until then their removal leaves no trace.',
  }),
});

export type AuditConfig = ConfigOf<typeof auditConfig>;
