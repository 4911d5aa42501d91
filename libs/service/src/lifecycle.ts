/** What a process has to stop, in the reverse order of its start. */
export interface Lifecycle {
  /** Registers one thing to stop. Each gets its turn even when others fail. */
  onStop(name: string, stop: () => Promise<void> | void): void;
  /** Stops everything, once; returns what failed as `name: reason`. */
  stop(limitMs: number): Promise<readonly string[]>;
}

export function createLifecycle(): Lifecycle {
  const stops: { name: string; stop: () => Promise<void> | void }[] = [];
  let stopping: Promise<readonly string[]> | undefined;
  const stopAll = async (limitMs: number): Promise<readonly string[]> => {
    const failures: string[] = [];
    for (let next = stops.pop(); next; next = stops.pop()) {
      const { name, stop } = next;
      const { promise: late, reject } = Promise.withResolvers<never>();
      const timer = setTimeout(() => reject(new Error(`took longer than ${limitMs} ms`)), limitMs);
      try {
        await Promise.race([stop(), late]);
      } catch (err) {
        failures.push(`${name}: ${Error.isError(err) ? err.message : String(err)}`);
      } finally {
        clearTimeout(timer);
      }
    }
    return failures;
  };
  return {
    onStop: (name, stop) => void stops.push({ name, stop }),
    stop: (limitMs) => (stopping ??= stopAll(limitMs)),
  };
}
