// The one way in which parts of the page hear of each other.

export class Emitter {
  #heard = new Map();

  /** Call `hear(value)` at each `emit(topic, value)`; answers with what takes it back. */
  on(topic, hear) {
    if (!this.#heard.has(topic)) this.#heard.set(topic, new Set());
    this.#heard.get(topic).add(hear);
    return () => this.#heard.get(topic).delete(hear);
  }

  emit(topic, value) {
    for (const hear of this.#heard.get(topic) ?? []) hear(value);
  }
}
