// The overlay: the last lines over a transparent background, as OBS shows it.
// ?lines=2 is their number, ?hold=10 the seconds that they stay, ?words=off leaves the words out.

import {byId, element} from "./dom.js";
import {css, percent} from "./plain.js";
import {Stream} from "./stream.js";

const query = new URLSearchParams(location.search);
const number = (name, standard, most) => {
  const value = Number(query.get(name) ?? standard);
  return value > 0 ? Math.min(value, most) : standard;
};
const most = number("lines", 2, 8), hold = 1000 * number("hold", 10, 3600);
const withWords = query.get("words") !== "off";
const token = query.get("token");

const place = byId("lines");
const shown = new Map();

function show(event) {
  const {emotion, utterance} = event;
  const line = element("div", {css: `line ${css(emotion.label)}${event.type === "provisional" ? " pending" : ""}`},
    element("i"), element("b", {text: utterance.speaker}),
    withWords && utterance.text ? element("span", {text: utterance.text}) : null,
    element("em", {text: emotion.abstained ? `${emotion.label}?` : `${emotion.label} ${percent(emotion.confidence)}`}));
  const old = shown.get(utterance.id);
  if (old) old.replaceWith(line);
  else place.append(line);
  shown.set(utterance.id, line);
  while (place.childElementCount > most) place.firstElementChild.remove();
  for (const [id, other] of shown) if (!other.isConnected) shown.delete(id);
  setTimeout(() => {
    line.classList.add("gone");
    setTimeout(() => line.remove(), 1000);
  }, hold);
}

// OBS opens the address anew at each start, so the token stays in it.
new Stream(event => {
  if (event.type === "session.started") { shown.clear(); place.replaceChildren(); }
  if (event.type === "utterance" || event.type === "provisional") show(event);
}, () => {}, token ? `?token=${encodeURIComponent(token)}` : "");
