// The events over WebSocket: connects again by itself, and goes on where it was.

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000;

export class Stream {
  #onEvent; #onState; #session; #seq; #pause = FIRST_PAUSE; #query;

  /** `onEvent` gets each event, `onState` one of "open", "lost", "refused". */
  constructor(onEvent, onState, query = "") {
    this.#onEvent = onEvent;
    this.#onState = onState;
    this.#query = query;
    this.#connect();
  }

  #connect() {
    const address = new URL("events", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = this.#query;
    address.hash = "";
    if (this.#session !== undefined) {
      address.searchParams.set("session", this.#session);
      address.searchParams.set("seq", this.#seq + 1);
    }
    const socket = new WebSocket(address);
    socket.onopen = () => { this.#pause = FIRST_PAUSE; this.#onState("open"); };
    socket.onmessage = message => this.#take(message.data);
    socket.onclose = () => this.#again();
  }

  #take(line) {
    let event;
    try { event = JSON.parse(line); } catch { return; }
    if (typeof event?.type !== "string" || typeof event.session !== "string") return;
    // Events of faces have numbers of their own, and are not kept for those who come late.
    if (event.type !== "face") [this.#session, this.#seq] = [event.session, event.seq];
    this.#onEvent(event);
  }

  async #again() {
    let state = "lost";
    try {
      const answer = await fetch(`state${this.#query}`, {cache: "no-store"});
      if (answer.status === 403) state = "refused";
    } catch { /* the gateway is not there */ }
    this.#onState(state);
    setTimeout(() => this.#connect(), this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }
}
