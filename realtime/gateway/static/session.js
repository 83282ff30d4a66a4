// What the events so far say: all that the page shows, and no more than it shows.

import {advice} from "./plain.js";

export const MOST_UTTERANCES = 200;
const MOST_NOTICES = 20, MOST_DELAYS = 10;

export class Session {
  constructor() { this.#begin(); }

  #begin() {
    this.started = null;
    this.ended = null;
    this.current = null;      // the newest answer, provisional or final
    this.speaking = null;     // speech that has no answer yet
    this.utterances = new Map();
    this.notices = [];
    this.lost = 0;
    this.delays = [];
    this.time = 0;
    this.run = (this.run ?? 0) + 1;  // a new number for each session
    this.last = null;
  }

  /** Takes an event. */
  take(event) {
    const begins = event.type === "session.started";
    if (begins || (this.last && this.last.session !== event.session)) this.#begin();
    // After the first event of a session that began before the page, a hole is no loss.
    if (this.last && this.last.type !== "session.started" && event.seq > this.last.seq + 1) {
      this.lost += event.seq - this.last.seq - 1;
    }
    this.last = {session: event.session, seq: event.seq, type: event.type};
    if (begins) this.started = event;
    else if (event.type === "session.ended") this.#end(event);
    else if (event.type === "speech.started") this.#speech(event);
    else if (event.type === "utterance" || event.type === "provisional") this.#answer(event);
    else if (event.type === "gap" || event.type === "health") this.#notice(event);
  }

  #end(event) {
    this.ended = event;
    this.speaking = null;
    this.time = Math.max(this.time, event.duration);
    for (const [id, answer] of this.utterances) if (answer.type !== "utterance") this.utterances.delete(id);
    if (this.current?.type === "provisional") this.current = [...this.utterances.values()].at(-1) ?? null;
  }

  #speech(event) {
    this.speaking = event;
    this.time = Math.max(this.time, event.start);
  }

  #answer(event) {
    const {id, end} = event.utterance;
    this.utterances.delete(id);
    this.utterances.set(id, event);
    if (this.utterances.size > MOST_UTTERANCES) this.utterances.delete(this.utterances.keys().next().value);
    if (this.speaking && this.speaking.utterance <= id) this.speaking = null;
    this.current = event;
    this.time = Math.max(this.time, end);
    if (event.type === "utterance" && event.latency) {
      this.delays = [...this.delays, event.latency.end_of_speech_to_event].slice(-MOST_DELAYS);
    }
  }

  #notice(event) {
    const found = advice(event);
    const last = this.notices[0];
    this.time = Math.max(this.time, event.time);
    if (last && last.key === found.key) {
      last.number += found.number;
      last.time = event.time;
    } else {
      this.notices = [{...found, time: event.time, at: event.seq}, ...this.notices].slice(0, MOST_NOTICES);
    }
  }

  /** Median seconds from the end of speech to the answer, of the last ones. */
  get delay() {
    const sorted = [...this.delays].sort((a, b) => a - b);
    return sorted.length ? sorted[Math.floor(sorted.length / 2)] : null;
  }
}
