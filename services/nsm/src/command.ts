import { parseArgs, type ParseArgsConfig } from 'node:util';

/** The options a command takes, as `util.parseArgs` describes them. */
type Options = NonNullable<ParseArgsConfig['options']>;

/** What a command was called with. */
export interface Call {
  readonly positionals: readonly string[];
  /** The text of an option that was given. */
  text(name: string): string | undefined;
  flag(name: string): boolean;
}

/** One thing `nsm` can do. */
export interface Command {
  /** As it is typed, without `nsm`: `lab up`. */
  readonly name: string;
  /** What follows the name: `FILE`. */
  readonly synopsis: string;
  readonly summary: string;
  /** The rest of its help; wrapped by hand. */
  readonly details: string;
  readonly options: Options;
  /** How many positional arguments it takes. */
  readonly arity: readonly [min: number, max: number];
  /** Answers the exit code. */
  run(call: Call): Promise<number>;
}

/** The command was typed wrong: exit code 2 and its usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  readonly command: Command | undefined;

  constructor(message: string, command?: Command) {
    super(message);
    this.command = command;
  }
}

/** Reads the arguments behind a command's name. @throws UsageError */
export function readCall(command: Command, args: readonly string[]): Call {
  let parsed: ReturnType<typeof parseArgs>;
  try {
    parsed = parseArgs({
      args: [...args],
      options: { ...command.options, help: { type: 'boolean', short: 'h' } },
      allowPositionals: true,
    });
  } catch (error) {
    // "Unknown option '--x'. To specify a positional argument ...": the rest is advice for programmers.
    const [message = ''] = (error as Error).message.split('. To specify');
    throw new UsageError(message, command);
  }
  const { values, positionals } = parsed;
  const call = {
    positionals,
    text: (name: string) => {
      const value = values[name];
      return typeof value === 'string' ? value : undefined;
    },
    flag: (name: string) => values[name] === true,
  };
  if (call.flag('help')) return call;
  const [min, max] = command.arity;
  if (positionals.length < min)
    throw new UsageError(`nsm ${command.name} needs ${command.synopsis}`, command);
  if (positionals.length > max)
    throw new UsageError(`"${positionals[max] ?? ''}" is one argument too many`, command);
  return call;
}

/** The first line of a command's help. */
export const usageOf = ({ name, synopsis }: Command): string =>
  `usage: nsm ${[name, synopsis].filter(Boolean).join(' ')}`;

/** A command's help. */
export const helpOf = (command: Command): string =>
  `${usageOf(command)}\n\n${command.summary}\n\n${command.details.trim()}\n`;
