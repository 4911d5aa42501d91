/**
 * Lets so many go on in one turn of the event loop, and the others in the next ones, first come first served: what a process has to do
 * for many at once holds up nobody else for longer. Answers undefined to whoever may go on at once.
 */
export function takingTurns(perTurn: number): () => Promise<void> | undefined {
  const waiting: (() => void)[] = [];
  let left = perTurn;
  let isNextSet = false;
  const setNext = (): void => {
    if (isNextSet) return;
    isNextSet = true;
    setImmediate(() => {
      isNextSet = false;
      const going = waiting.splice(0, perTurn);
      left = perTurn - going.length;
      for (const go of going) go();
      if (going.length > 0) setNext();
    });
  };
  return () => {
    setNext();
    if (left > 0 && waiting.length === 0) {
      left -= 1;
      return undefined;
    }
    return new Promise((resolve) => waiting.push(resolve));
  };
}
