import { hostFindings } from './check-host.ts';
import { type Command, UsageError } from './command.ts';
import type { Finding } from './preflight.ts';
import { bold, green, red, yellow } from './table.ts';

const GROUPS = { kernel: 'Kernel', privileges: 'Privileges', programs: 'Programs' } as const;

/** `nsm check` */
export const check: Command = {
  name: 'check',
  synopsis: '[-o table|json]',
  summary: 'Tries out whether this machine has what a mesh needs, and what it can use.',
  details: `
Everything is tried for real, in network namespaces that end with the trial; nothing is left behind. Without root, the kernel
is tried from within a user namespace, as labs are then run.

  ✓ is there   ! is missing, and what it is for will be refused   ✗ is missing, and nothing works without it

The exit code is 1 when there is a ✗.

-o json prints a list of {"group": "kernel", "privileges" or "programs", "name", "state": "ok", "warning" or "missing",
"need": "required" or "optional", "reason", "detail", "remedy": text or null}.`,
  options: { output: { type: 'string', short: 'o' } },
  arity: [0, 0],
  run: async (call) => {
    const output = call.text('output') ?? 'table';
    if (output !== 'table' && output !== 'json')
      throw new UsageError(`-o ${output}: allowed are table and json`, check);
    const findings = hostFindings();
    process.stdout.write(
      output === 'json' ? `${JSON.stringify(findings, null, 2)}\n` : report(findings),
    );
    return findings.some(({ state }) => state === 'missing') ? 1 : 0;
  },
};

/** Findings for a person: a line each, and below what is not well its cause and its remedy. */
export function report(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ name }) => name.length));
  const groups = Object.entries(GROUPS).map(([group, title]) => {
    const lines = findings
      .filter((finding) => finding.group === group)
      .flatMap((finding) => linesOf(finding, width));
    return [bold(title), ...lines, ''].map((line) => `${line}\n`).join('');
  });
  return `${groups.join('')}${verdict(findings)}\n`;
}

function linesOf({ name, state, reason, detail, remedy }: Finding, width: number): string[] {
  const mark = { ok: green('✓'), warning: yellow('!'), missing: red('✗') }[state];
  const indent = ' '.repeat(width + 4);
  const first = `${mark} ${name.padEnd(width)}  ${detail}`;
  if (remedy === null) return [first];
  return [
    first,
    `${indent}for: ${reason}`,
    ...remedy.split('\n').map((line, i) => `${indent}${i === 0 ? 'remedy: ' : ''}${line}`),
  ];
}

function verdict(findings: readonly Finding[]): string {
  const count = (wanted: Finding['state']): number =>
    findings.filter(({ state }) => state === wanted).length;
  const [missing, warnings] = [count('missing'), count('warning')];
  if (missing > 0)
    return bold(`${missing} of what a mesh needs ${missing === 1 ? 'is' : 'are'} missing here.`);
  return bold(
    warnings === 0
      ? 'Everything is there.'
      : `All that is needed is there; ${warnings} that can be used ${warnings === 1 ? 'is' : 'are'} not.`,
  );
}
