// All utterances in words, newest first, and a line for screen readers.

import {byId, element, setText} from "./dom.js";
import {MODALITIES, best, clock, css, missing, percent, sureness} from "./plain.js";
import {MOST_UTTERANCES} from "./session.js";

export class Conversation {
  #list = byId("said");
  #spoken = byId("spoken");
  #items = new Map();
  #run = 0;
  #announced = null;

  render(session) {
    if (this.#run !== session.run) this.#begin(session);
    for (const event of session.utterances.values()) {
      if (event.type !== "utterance" || this.#items.has(event.utterance.id)) continue;
      const item = row(event);
      this.#items.set(event.utterance.id, item);
      this.#list.prepend(item);
    }
    while (this.#list.childElementCount > MOST_UTTERANCES) this.#list.lastElementChild.remove();
    for (const [id, item] of this.#items) if (!item.isConnected) this.#items.delete(id);
    const last = [...session.utterances.values()].findLast(event => event.type === "utterance");
    if (last && last !== this.#announced) {
      this.#announced = last;
      const words = last.utterance.text || "no words";
      setText(this.#spoken, `${last.utterance.speaker}: ${words} – ${last.emotion.label}, ${sureness(last.emotion)}`);
    }
  }

  /** What earlier sessions held stays below, as far as there is room. */
  #begin(session) {
    for (const item of this.#items.values()) item.removeAttribute("id");
    if (this.#items.size) {
      const source = session.started?.source ?? "another session";
      this.#list.prepend(element("li", {}, element("span", {css: "border", text: `↑ ${source}`})));
    }
    this.#items.clear();
    this.#run = session.run;
  }
}

function row(event) {
  const {emotion, utterance} = event;
  const parts = MODALITIES.map(([key, name]) => {
    const modality = event.modalities[key];
    if (!modality.present) return `${name}: ${missing(modality.reason).replace(/\.$/, "").toLowerCase()}`;
    const [label, share] = best(modality.probabilities);
    return `${name}: ${label} ${percent(share)}`;
  });
  const words = utterance.text
    ? element("p", {css: "words", text: utterance.text})
    : element("p", {css: "words none", text: "no words"});
  return element("li", {id: `u${utterance.id}`},
    element("time", {text: clock(utterance.start)}),
    element("b", {css: "who", text: utterance.speaker}),
    words,
    element("span", {css: `answer ${css(emotion.label)}`},
      element("span", {css: `chip${emotion.abstained ? " unsure" : ""}`}, element("i", {"aria-hidden": "true"}), emotion.label,
        element("b", {text: `${percent(emotion.confidence)}, ${sureness(emotion)}`}))),
    element("p", {css: "parts", text: parts.join(" · ")}));
}
