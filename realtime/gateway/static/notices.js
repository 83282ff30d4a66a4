// What is kept, whether everything is well, and the notice that comes first.

import {byId, element, setText} from "./dom.js";
import {clock, kept} from "./plain.js";

/** How much is kept: an agreement holds for this much, and for less. */
const RANKS = {replay: 0, nothing: 0, unknown: 1, saved: 2, recording: 3};
let rank = 0;

/** The line at the top that says what is kept; `saved` is the session that somebody downloaded. */
export function showKept(session, saved) {
  const [state, sentence] = kept(session, saved !== null && saved === session.last?.session);
  const banner = byId("kept");
  banner.className = `kept ${state}`;
  setText(banner.querySelector("p"), sentence);
  byId("consent-kept").className = `consent-kept ${state}`;
  setText(byId("consent-kept"), sentence);
  rank = session.last ? RANKS[state] : 0;
  const source = session.started?.source;
  setText(byId("consent-source"), state === "replay"
    ? `This page shows which emotions a program reads from the people in ${source}.`
    : "This page shows which emotions a program reads from the words, the voices and the faces of people near this computer, while they speak.");
}

/** Prepares the notice; it opens itself where nobody has agreed in this tab yet. `onAgreed` is called
 *  when somebody agrees. */
export function prepareConsent(onAgreed) {
  const dialog = byId("consent");
  byId("notice").addEventListener("click", () => dialog.showModal());
  dialog.addEventListener("cancel", event => { if (!agreed()) event.preventDefault(); });
  dialog.addEventListener("close", () => {
    if (dialog.returnValue === "agreed") sessionStorage.setItem("agreed", Math.max(rank, agreedRank()));
    askConsent();
    onAgreed();
  });
}

/** Opens the notice if nobody has agreed, or if more is kept than what was agreed to. */
export function askConsent() {
  if (!agreed() && !byId("consent").open) byId("consent").showModal();
}

const agreedRank = () => Number(sessionStorage.getItem("agreed") ?? -1);
/** Whether somebody has agreed to what is kept now. */
export const agreed = () => agreedRank() >= rank;

/** Advice in plain words, newest first; `connected`: whether the session answers. */
export function showHealth(session, connected) {
  const place = byId("health");
  const bad = session.notices.some(notice => !notice.good) || session.lost > 0;
  const summary = !connected && !session.ended
    ? ["The session does not answer. Does it still run?", true]
    : bad ? ["Something was lost; the rest is as it should be.", true] : ["Yes: nothing was lost, and every part works.", false];
  if (session.delay !== null && session.delay > 5 && !session.ended) {
    summary[0] += " The answers come late: the computer is busy.";
    summary[1] = true;
  }
  const lines = session.notices.map(notice => element("li", {},
    element("time", {text: clock(notice.time)}), element("span", {text: notice.say(notice.number)}),
    notice.remedy ? element("span", {css: "remedy", text: notice.remedy}) : null));
  if (session.lost) {
    const text = `${session.lost} ${session.lost === 1 ? "event" : "events"} did not reach this page.`;
    lines.unshift(element("li", {}, element("time", {text: ""}), element("span", {text})));
  }
  const key = JSON.stringify([summary, session.notices.map(notice => [notice.at, notice.number]), session.lost]);
  if (place.dataset.shown === key) return;
  place.dataset.shown = key;
  place.replaceChildren(element("p", {css: summary[1] ? "well bad" : "well", text: summary[0]}),
    element("ul", {css: "notices"}, ...lines));
}

/** The line below the title. */
export function showStatus(session, connection, connected) {
  const {started, ended} = session;
  setText(byId("now-title"), ended ? "The last answer" : "Now");
  const parts = [];
  if (connection === "refused") parts.push("This address is no longer valid. Open the one that the terminal shows now.");
  else if (ended) parts.push(`The session has ended after ${clock(ended.duration)}: ${ended.utterances} utterances`);
  else if (connection === "lost") parts.push("The connection is lost. It is tried again …");
  else if (connection === "connecting") parts.push("Connecting …");
  else if (!started && !session.last) parts.push(connected ? "Waiting for the session to begin …" : "Waiting for a session …");
  else if (!connected) parts.push("The session is gone. Waiting for it …");
  else parts.push(started && !started.started_at ? "Replay" : "Live");
  if (started) parts.push(started.source, `model ${started.model.name} ${started.model.version}`);
  if (session.delay !== null) parts.push(`answers ${session.delay.toFixed(1)} s after the end of speech`);
  setText(byId("status"), parts.join(" · "));
}
