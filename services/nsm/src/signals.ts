/** Aborted by the first signal that asks the program to end. A Ctrl-C may arrive twice, from the terminal and passed on by npm. */
export function endSignal(): AbortSignal {
  const end = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
    process.on(signal, () => end.abort());
  return end.signal;
}

/** Keeps the program running until the signal is aborted. */
export async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  // A signal handler alone does not keep a process running.
  const alive = setInterval(() => undefined, 2 ** 30);
  await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  clearInterval(alive);
}
