// The faces in view: boxes on the visitor's own picture, or in an empty frame, and in words.

import {byId, element, setText} from "./dom.js";
import {best, css, percent} from "./plain.js";

/** Milliseconds after which faces are out of date. */
const HOLD = 1500;

export class Faces {
  #timer = 0;

  /** Shows the faces of a picture; in a mirror, left is right. */
  show(faces) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#clear(), HOLD);
    const mirrored = !byId("mirror").hidden;
    byId("view").hidden = false;
    byId("on-frame").parentElement.hidden = mirrored;
    byId("on-mirror").replaceChildren(...mirrored ? faces.map(face => box(face, true)) : []);
    byId("on-frame").replaceChildren(...mirrored ? [] : faces.map(face => box(face, false)));
    setText(byId("view-words"), faces.map(words).join(" · ") || "No face is in view.");
  }

  #clear() {
    for (const place of ["on-mirror", "on-frame"]) byId(place).replaceChildren();
    byId("view").hidden = byId("camera").hidden;
    setText(byId("view-words"), "No face is seen now.");
  }
}

function box({box: [left, top, width, height], probabilities, speaks, track}, mirrored) {
  const [label, share] = best(probabilities);
  const at = {left: mirrored ? 1 - left - width : left, top, width, height};
  const style = Object.fromEntries(Object.entries(at).map(([name, value]) => [name, `${(100 * value).toFixed(2)}%`]));
  const text = probabilities ? `${track}: ${label} ${percent(share)}` : `${track}`;
  return element("div", {css: `face ${css(label)}${speaks ? " speaks" : ""}`, style}, element("b", {text}));
}

function words({probabilities, speaks, track}) {
  const [label, share] = best(probabilities);
  const look = probabilities ? `looks like ${label}, ${percent(share)}` : "is not looked at: too many faces";
  return `Face ${track} ${look}${speaks ? ", speaks" : ""}`;
}
