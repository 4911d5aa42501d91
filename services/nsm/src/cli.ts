import { NsmError, versionLine } from '@nsm/rpc';
import { check } from './check.ts';
import { type Command, helpOf, readCall, UsageError, usageOf } from './command.ts';
import { get } from './get.ts';
import { labDown, labExec, labInspect, labPing } from './lab-commands.ts';
import { labUp } from './lab-up.ts';
import { observe } from './observe.ts';
import { pingCommand } from './ping.ts';
import { quickstart } from './quickstart.ts';

const commands: readonly Command[] = [
  quickstart,
  check,
  labUp,
  labInspect,
  labExec,
  labPing,
  labDown,
  get,
  observe,
  pingCommand,
];

/** Runs `nsm` with its arguments and answers its exit code: 0 done, 1 failed, 2 typed wrong. Says on stderr what went wrong. */
export const cli = (argv: readonly string[]): Promise<number> => run(argv).catch(explain);

/** The overview, of all commands or of those that start with some words. */
function overview(prefix = ''): string {
  const shown = commands.filter(({ name }) => name.startsWith(prefix));
  const width = Math.max(...shown.map(({ name }) => name.length));
  const lines = shown.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`);
  return `usage: nsm COMMAND [ARGUMENT ...]

${lines.join('\n')}

nsm COMMAND --help says more about one of them; nsm --version prints the version.
`;
}

/** Finds the command the arguments start with; the rest is its arguments. */
function find(argv: readonly string[]): { command: Command; args: readonly string[] } | undefined {
  for (const command of commands) {
    const words = command.name.split(' ');
    if (words.every((word, i) => argv[i] === word))
      return { command, args: argv.slice(words.length) };
  }
  return undefined;
}

async function run(argv: readonly string[]): Promise<number> {
  const [first, second] = argv;
  if (first === '--version') {
    process.stdout.write(`${versionLine('nsm')}\n`);
    return 0;
  }
  if (first === '--help' || first === '-h' || first === 'help') {
    process.stdout.write(overview());
    return 0;
  }
  const found = find(argv);
  if (found === undefined) {
    const group = commands.some(({ name }) => name.startsWith(`${first ?? ''} `));
    if (group && (second === '--help' || second === '-h')) {
      process.stdout.write(overview(`${first ?? ''} `));
      return 0;
    }
    const typed = argv.slice(0, group ? 2 : 1).join(' ');
    throw new UsageError(first === undefined ? 'which command?' : `there is no command "${typed}"`);
  }
  const { command, args } = found;
  const call = readCall(command, args);
  if (call.flag('help')) {
    process.stdout.write(helpOf(command));
    return 0;
  }
  return command.run(call);
}

function explain(error: unknown): number {
  if (error instanceof UsageError) {
    const usage = error.command ? `${usageOf(error.command)}\n` : overview();
    process.stderr.write(`nsm: ${error.message}\n${usage}`);
    return 2;
  }
  if (error instanceof NsmError) {
    process.stderr.write(`nsm: ${error.message}\n`);
    if (error.hint !== undefined) process.stderr.write(`hint: ${error.hint}\n`);
    return 1;
  }
  process.stderr.write(
    `nsm: ${Error.isError(error) ? (error.stack ?? error.message) : String(error)}\n`,
  );
  return 1;
}
