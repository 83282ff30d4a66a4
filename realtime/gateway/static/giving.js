// The connection over which this browser gives sound and pictures: it comes back by itself, and
// what does not fit through is left out and counted.

const FIRST_PAUSE = 500, LONGEST_PAUSE = 8000, CLOCK_INTERVAL = 2000;
/** Bytes that may wait to be sent before pictures, and before sound is left out. */
const MOST_FOR_PICTURES = 100_000, MOST_FOR_SOUND = 400_000;
const REPLACED = 4001, HEAD = 16;

/** This browser's clock in seconds. */
export const clock = () => performance.now() / 1000;

export class Giving {
  #rate; #onState; #socket = null; #ready = false; #ended = false; #pause = FIRST_PAUSE;
  #lost = {sound: 0, pictures: 0};
  #timer = 0;

  /** `rate` in samples per second; `onState` gets "ready" with what is wanted, "lost", "replaced" or
   *  "refused". */
  constructor(rate, onState) {
    this.#rate = rate;
    this.#onState = onState;
    this.#connect();
  }

  /** Gives sound: 16-bit samples, and the time of the first one. */
  sound(samples, time) {
    const length = samples.byteLength / 2 / this.#rate;
    if (this.#ready && !this.#send("pcm ", time, samples, MOST_FOR_SOUND)) this.#lost.sound += length;
  }

  /** Gives a picture: a JPEG, and when the camera took it. */
  picture(jpeg, time) {
    if (this.#ready && !this.#send("jpeg", time, jpeg, MOST_FOR_PICTURES)) this.#lost.pictures += 1;
  }

  /** Whether a picture would be sent now. If not, none has to be encoded; it counts as lost. */
  askForRoom() {
    if (!this.#ready) return false;
    if (this.#socket.bufferedAmount <= MOST_FOR_PICTURES) return true;
    this.#lost.pictures += 1;
    return false;
  }

  end() {
    this.#ended = true;
    clearInterval(this.#timer);
    this.#socket?.close();
  }

  #connect() {
    const address = new URL("session", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = address.hash = "";
    const socket = new WebSocket(address);
    this.#socket = socket;
    socket.onopen = () => socket.send(JSON.stringify({type: "start", now: clock(), rate: this.#rate}));
    socket.onmessage = message => this.#answered(message.data);
    socket.onclose = ({code}) => this.#closed(code);
  }

  #answered(line) {
    let answer;
    try { answer = JSON.parse(line); } catch { return; }
    if (answer?.type !== "ready") return;
    this.#ready = true;
    this.#pause = FIRST_PAUSE;
    this.#lost = {sound: 0, pictures: 0};
    clearInterval(this.#timer);
    this.#timer = setInterval(() => this.#socket.send(JSON.stringify({type: "clock", now: clock()})), CLOCK_INTERVAL);
    this.#onState("ready", answer);
  }

  #closed(code) {
    this.#ready = false;
    clearInterval(this.#timer);
    if (this.#ended) return;
    if (code === REPLACED) { this.#ended = true; this.#onState("replaced"); return; }
    this.#onState("lost");
    setTimeout(() => { if (!this.#ended) this.#connect(); }, this.#pause);
    this.#pause = Math.min(2 * this.#pause, LONGEST_PAUSE);
  }

  #send(kind, time, content, most) {
    const socket = this.#socket;
    if (socket.readyState !== WebSocket.OPEN || socket.bufferedAmount > most) return false;
    if (this.#lost.sound || this.#lost.pictures) {
      socket.send(JSON.stringify({type: "lost", ...this.#lost}));
      this.#lost = {sound: 0, pictures: 0};
    }
    const message = new Uint8Array(HEAD + content.byteLength);
    message.set([...kind].map(letter => letter.charCodeAt(0)));
    new DataView(message.buffer).setFloat64(8, time, true);
    message.set(new Uint8Array(content), HEAD);
    socket.send(message);
    return true;
  }
}
