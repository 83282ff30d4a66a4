// The buttons: download the events, and end a live session. Each asks first.

import {byId, setText} from "./dom.js";

/** Milliseconds after which the gateway knows of a download. */
const SOON = 500;

export class Actions {
  #download = byId("download"); #downloading = byId("downloading");
  #end = byId("end"); #ending = byId("ending"); #endNow = byId("end-now");

  /** `onDownload` is called soon after a download. */
  constructor(onDownload) {
    this.#download.addEventListener("click", () => this.#downloading.showModal());
    this.#downloading.addEventListener("click", event => {
      if (!event.target.closest("a")) return;
      this.#downloading.close();
      setTimeout(onDownload, SOON);
    });
    this.#end.addEventListener("click", () => { setText(byId("ending-state"), ""); this.#ending.showModal(); });
    this.#endNow.addEventListener("click", () => this.#ask());
  }

  /** `state` is the gateway's own: whether a viewer may end the session, and how many events of it are
   *  missing. */
  render(session, {stops, missing}) {
    const runs = Boolean(session.last) && !session.ended;
    this.#download.hidden = !session.last;
    this.#end.hidden = !(stops && runs);
    if (!runs && this.#ending.open) this.#ending.close();
    const parts = missing
      ? `${missing} earlier ${missing === 1 ? "event is" : "events are"} not in the file: the page started later, or has no room for them any more.`
      : "All events of this session are in the file.";
    setText(byId("downloading-what"), `${parts}${session.ended ? "" : " It ends with what has been said until now."}`);
    const kept = session.started?.kept;
    byId("downloading-kept").hidden = !session.started || Boolean(kept?.includes("events")) || (!kept && !session.started.started_at);
  }

  async #ask() {
    setText(byId("ending-state"), "The session is asked to end …");
    try {
      const answer = await fetch("stop", {method: "POST", cache: "no-store"});
      if (!answer.ok) setText(byId("ending-state"), `It did not work: ${(await answer.text()).trim()}.`);
    } catch {
      setText(byId("ending-state"), "It did not work: the page has no connection.");
    }
  }
}
