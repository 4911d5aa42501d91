import { ping } from '@nsm/lab';
import { type Command, UsageError } from './command.ts';

/** `nsm ping ADDRESS` */
export const pingCommand: Command = {
  name: 'ping',
  synopsis: 'ADDRESS [-c COUNT]',
  summary:
    'Pings an address from here, as inside the container of a workload. Needs no ping program.',
  details: `
Needs CAP_NET_RAW, as containers run by root have it. The exit code is 1 when there was no answer.`,
  options: { count: { type: 'string', short: 'c' } },
  arity: [1, 1],
  run: async (call) => {
    const [dst = ''] = call.positionals;
    const count = Number(call.text('count') ?? 3);
    if (!Number.isInteger(count) || count < 1)
      throw new UsageError('-c takes a whole number from 1 up', pingCommand);
    return printPing(await ping({ dst, count }));
  },
};

/** Prints what came of a ping; answers the exit code. */
export function printPing({
  sent,
  received,
  rttMs,
  errors,
}: Awaited<ReturnType<typeof ping>>): number {
  const times = rttMs.map((ms) => `${ms.toFixed(2)} ms\n`);
  process.stdout.write(`${times.join('')}${received} of ${sent} answered\n`);
  for (const error of errors) process.stderr.write(`${error}\n`);
  return received > 0 ? 0 : 1;
}
