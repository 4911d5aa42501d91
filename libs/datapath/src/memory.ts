/** How many namespaces, links and tunnels are remembered: more than can wait at one time, and little memory. */
const REMEMBERED = 4096;

/** A map that forgets what it was told first when it has too much: for what can be found out again. */
export class Memory<V> extends Map<string, V> {
  override set(key: string, value: V): this {
    super.set(key, value);
    if (this.size > REMEMBERED) {
      const [oldest = key] = this.keys();
      this.delete(oldest);
    }
    return this;
  }
}
