// The newest answer, with its seven bars, and what words, voice and face say.

import {byId, element, setText} from "./dom.js";
import {EMOTIONS, MODALITIES, agreement, best, css, missing, percent, sureness} from "./plain.js";

/** Writes what is new into a row of the same form, so that nothing flickers. */
export class Answer {
  #now = byId("now");
  #opinions = byId("opinions");
  #shown = null;
  #bars = new Map();

  render(session) {
    const event = session.current;
    if (!event) {
      if (this.#shown !== null || session.speaking) {
        const words = session.speaking ? "Somebody begins to speak …" : "Nobody has spoken yet.";
        this.#now.replaceChildren(element("p", {css: "hint", text: words}));
        if (!session.speaking) {
          const hint = "They stand here from the first utterance on.";
          this.#opinions.replaceChildren(element("p", {css: "hint", text: hint}));
        }
      }
      this.#shown = null;
      return;
    }
    if (event === this.#shown && !session.speaking) return;
    const {emotion, utterance} = event;
    const names = [...EMOTIONS, ...Object.keys(emotion.probabilities).filter(name => !EMOTIONS.includes(name))];
    if (this.#shown === null || names.join() !== [...this.#bars.keys()].join()) this.#build(names);
    this.#shown = event;
    const final = event.type === "utterance";
    this.#now.classList.toggle("pending", !final);
    setText(this.who, utterance.speaker);
    setText(this.state, !final ? "is still speaking; this may change" : session.speaking ? "has spoken. Now somebody speaks …" : "");
    this.#say(utterance, final);
    this.label.className = `answer-now ${css(emotion.label)}`;
    setText(this.label.lastChild, emotion.abstained ? `perhaps ${emotion.label}` : emotion.label);
    setText(this.sure, `${sureness(emotion)}, ${percent(emotion.confidence)}`);
    for (const [name, [row, bar, amount]] of this.#bars) {
      const share = emotion.probabilities[name] ?? 0;
      bar.style.setProperty("width", `${100 * share}%`);
      setText(amount, percent(share));
      row.classList.toggle("best", name === emotion.label);
    }
    this.#opinions.replaceChildren(
      ...MODALITIES.map(([key, name]) => opinion(name, event.modalities[key])),
      element("p", {css: "agreement", text: agreement(event.modalities)}),
    );
  }

  /** The words; those that may change are paler. */
  #say({text, stable_text: stable}, final) {
    if (final || !stable || !text.startsWith(stable)) {
      setText(this.words, text || "(no words)");
      return;
    }
    this.words.replaceChildren(stable, element("span", {css: "may-change", text: text.slice(stable.length)}));
  }

  #build(names) {
    this.#bars.clear();
    this.who = element("b");
    this.state = element("span");
    this.words = element("p", {css: "words-now"});
    this.label = element("p", {}, element("i", {"aria-hidden": "true"}), element("span"));
    this.sure = element("p", {css: "sureness"});
    const bars = names.map(name => {
      const bar = element("i");
      const amount = element("span", {css: "amount"});
      const row = element("div", {css: `share ${css(name)}`}, element("span", {text: name}),
        element("span", {css: "bar", "aria-hidden": "true"}, bar), amount);
      this.#bars.set(name, [row, bar, amount]);
      return row;
    });
    this.#now.replaceChildren(element("p", {css: "who-now"}, this.who, this.state), this.words, this.label, this.sure, ...bars);
  }
}

function opinion(name, modality) {
  if (!modality.present) {
    return element("div", {css: "opinion"}, element("h3", {text: name}), element("p", {css: "reason", text: missing(modality.reason)}));
  }
  const [label, share] = best(modality.probabilities);
  const parts = Object.entries(modality.probabilities ?? {}).map(([emotion, value]) =>
    element("i", {css: css(emotion), style: {width: `${100 * value}%`}, title: `${emotion} ${percent(value)}`}));
  return element("div", {css: "opinion"}, element("h3", {text: name}),
    element("p", {css: `say ${css(label)}`}, element("i", {"aria-hidden": "true"}), label, element("b", {text: percent(share)})),
    element("div", {css: "bar", "aria-hidden": "true"}, ...parts),
    modality.left_out ? element("p", {css: "reason", text: missing(modality.left_out)}) : null);
}
