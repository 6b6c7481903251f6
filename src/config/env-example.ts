import type { ConfigSlice, Setting } from './define-config.js';

/** The text of `.env.example`: every setting of every slice with its default and what it expects. */
export function renderEnvExample(slices: readonly ConfigSlice[]): string {
  const head = '# Every setting with its default. Secrets can also be read from a file: NAME_FILE=/path.\n';
  const sections = slices.map((slice) => {
    const lines = Object.values(slice.settings).map(renderSetting);
    return `\n# --- ${slice.name} ---\n${lines.join('\n')}`;
  });
  return `${head}${sections.join('\n')}\n`;
}

function renderSetting(each: Setting<unknown>): string {
  const file = each.secret ? ` (or ${each.variable}_FILE)` : '';
  const comment = `# ${each.description}${file}\n# Expects ${each.type.expected}.`;
  if (each.default !== undefined) return `${comment}\n${each.variable}=${each.default}`;
  return `${comment}\n# ${each.variable}=${each.example ?? ''}`;
}
