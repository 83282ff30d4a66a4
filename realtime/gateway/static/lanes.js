// The timeline: a lane for each speaker and each modality, newest at the right.

import {byId, element} from "./dom.js";
import {MODALITIES, best, clock, css, missing, percent} from "./plain.js";

/** Pixels per second; seconds and number of utterances that are shown; seconds between two ticks. */
const SCALE = innerWidth > 760 ? 60 : 36, SPAN = 600, MOST = 120, TICK = 5;

export class Lanes {
  #scroll = byId("scroll");
  #time = byId("time");
  #newest = byId("newest");
  #follows = true;
  #run = 0;

  constructor() {
    this.#scroll.addEventListener("scroll", () => {
      const {scrollLeft, scrollWidth, clientWidth} = this.#scroll;
      this.#follows = scrollLeft + clientWidth > scrollWidth - 40;
      this.#newest.hidden = this.#follows;
    });
    this.#newest.addEventListener("click", () => {
      this.#follows = true;
      this.#toTheEnd();
      this.#scroll.focus();
    });
    addEventListener("resize", () => { if (this.#follows) this.#toTheEnd(); });
  }

  #reset() {
    this.rows = new Map();      // by name: [track, kind]
    this.blocks = new Map();    // by utterance: {event, elements}
    this.marks = new Map();     // by number of the event
    this.origin = 0;
    this.ticked = 0;
    this.speech = null;
    this.axis = element("div", {css: "track axis"});
    this.#time.replaceChildren(element("div", {css: "head"}), this.axis);
    this.#time.style.setProperty("--grid", `${TICK * SCALE}px`);
    this.modalities = MODALITIES.map(([key, name]) => [key, name, this.#row(name, "modality")]);
  }

  render(session) {
    if (this.#run !== session.run) {
      this.#run = session.run;
      this.#reset();
    }
    const shown = [...session.utterances.values()].slice(-MOST);
    const begin = shown.length ? Math.min(...shown.map(event => event.utterance.start)) : 0;
    if (session.time - this.origin > 1.2 * SPAN || this.origin < begin - SPAN) {
      this.#move(Math.max(begin - 2, session.time - SPAN, 0));
    }
    const ids = new Set();
    for (const event of shown) {
      if (event.utterance.end < this.origin) continue;
      ids.add(event.utterance.id);
      const placed = this.blocks.get(event.utterance.id);
      if (placed?.event === event) continue;
      this.#remove(event.utterance.id);
      this.blocks.set(event.utterance.id, {event, elements: this.#place(event)});
    }
    for (const id of [...this.blocks.keys()]) if (!ids.has(id)) this.#remove(id);
    this.#mark(session.notices);
    this.#speak(session.speaking);
    const width = Math.max((session.time - this.origin + (session.speaking ? 1.5 : .3)) * SCALE, this.#scroll.clientWidth - 110);
    this.#time.style.setProperty("--width", `${Math.round(width)}px`);
    for (; this.ticked * TICK <= this.origin + width / SCALE; this.ticked++) {
      if (this.ticked * TICK < this.origin) continue;
      const tick = element("span", {text: clock(this.ticked * TICK), style: {left: this.#left(this.ticked * TICK)}});
      this.axis.append(tick);
    }
    if (this.#follows) this.#toTheEnd();
  }

  #toTheEnd() { this.#scroll.scrollLeft = this.#scroll.scrollWidth; }

  #left(time) { return `${((time - this.origin) * SCALE).toFixed(1)}px`; }

  /** Begins at a later time: what was before goes. */
  #move(origin) {
    const blocks = [...this.blocks.keys()];
    this.origin = Math.floor(origin / TICK) * TICK;
    for (const id of blocks) this.#remove(id);
    for (const mark of this.marks.values()) mark.remove();
    this.marks.clear();
    this.axis.replaceChildren();
    this.ticked = Math.floor(this.origin / TICK);
  }

  #row(name, kind) {
    const key = `${kind} ${name}`;
    if (!this.rows.has(key)) {
      const track = element("div", {css: `track ${kind}`});
      const parts = [element("div", {css: `head ${kind}`}, element("span", {text: name, title: name})), track];
      if (kind === "speaker" && this.modalities) {
        this.#time.insertBefore(parts[0], this.firstModality);
        this.#time.insertBefore(parts[1], this.firstModality);
      } else {
        this.#time.append(...parts);
        this.firstModality = this.rows.size === 0 ? parts[0] : this.firstModality;
      }
      this.rows.set(key, track);
    }
    return this.rows.get(key);
  }

  #place(event) {
    const {emotion, utterance} = event;
    const width = `${Math.max((utterance.end - utterance.start) * SCALE - 1, 6).toFixed(1)}px`;
    const place = shade => ({left: this.#left(utterance.start), width, "--a": shade.toFixed(2)});
    const pending = event.type === "provisional" ? " pending" : "";
    const answer = `${emotion.label}${emotion.abstained ? "?" : ""}`;
    const fused = element("a", {
      css: `block ${css(emotion.label)}${emotion.abstained ? " unsure" : ""}${pending}`, href: `#u${utterance.id}`, tabindex: "-1",
      style: place(emotion.confidence), title: `${utterance.speaker}, ${clock(utterance.start)}: ${utterance.text || "(no words)"}\n${answer} ${percent(emotion.confidence)}`,
    }, element("b", {text: answer}), element("em", {text: percent(emotion.confidence)}), element("span", {css: "text", text: utterance.text}));
    this.#row(utterance.speaker, "speaker").append(fused);
    const parts = this.modalities.map(([key, name, track]) => {
      const modality = event.modalities[key];
      const [label, share] = modality.present ? best(modality.probabilities) : ["", 0];
      const block = element("span", {
        css: `block ${modality.present ? css(label) : "missing"}${pending}`, style: place(share), text: label,
        title: modality.present ? `${name}: ${label} ${percent(share)}` : `${name}: ${missing(modality.reason)}`,
      });
      track.append(block);
      return block;
    });
    return [fused, ...parts];
  }

  #remove(id) {
    for (const block of this.blocks.get(id)?.elements ?? []) block.remove();
    this.blocks.delete(id);
  }

  #speak(speaking) {
    this.speech?.remove();
    this.speech = null;
    if (!speaking) return;
    this.speech = element("span", {css: "mark", text: "…", title: "somebody speaks", style: {left: this.#left(speaking.start)}});
    this.axis.append(this.speech);
  }

  #mark(notices) {
    for (const notice of notices) {
      if (this.marks.has(notice.at) || notice.time < this.origin) continue;
      const mark = element("span", {css: "mark", text: "▲", title: `${clock(notice.time)} ${notice.say(notice.number)}`,
        style: {left: `calc(${this.#left(notice.time)} - 9px)`}});
      this.marks.set(notice.at, mark);
      this.axis.append(mark);
    }
  }
}

/** What the colours mean. */
export function legend(emotions) {
  const list = byId("legend");
  if (list.childElementCount !== emotions.length) {
    list.replaceChildren(...emotions.map(name => element("li", {css: css(name)}, element("i", {"aria-hidden": "true"}), name)));
  }
}
