import { NsmError } from './error.ts';

type Trace = <T>(element: string, body: () => Promise<T>) => Promise<T>;

/** A trace around `trace` in which errors learn the name of the element they come from: the innermost one that sees them. */
export const namingElements =
  (trace: Trace): Trace =>
  (element, body) =>
    trace(element, async () => {
      try {
        return await body();
      } catch (err) {
        if (err instanceof NsmError && err.hop === undefined) err.element ??= element;
        throw err;
      }
    });
