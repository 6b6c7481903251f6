// Loaded into a process whose memory is measured: SIGUSR2 collects garbage, and it says `collected`.
const collect = (globalThis as { gc?: (options: object) => void }).gc;
process.on('SIGUSR2', () => {
  for (let times = 0; times < 3; times++) collect?.({ type: 'major', flavor: 'last-resort', execution: 'sync' });
  process.stdout.write('collected\n');
});
