// The card with which a visitor gives microphone and camera, and takes them back.

import {Devices} from "./devices.js";
import {byId, setText} from "./dom.js";

const SAY = {
  lost: "The connection is lost. It is tried again …",
  replaced: "Another tab or program gives its sound and pictures now.", ended: "You have stopped. Nothing is heard or seen.",
};
const ERRORS = {
  NotAllowedError: "The browser does not allow it. Allow microphone and camera for this page in the browser's address bar, then try again.",
  NotFoundError: "There is no microphone or no camera. Plug one in, then try again.",
  NotReadableError: "Another program uses the microphone or the camera. Close it, then try again.",
};
const READY = {sound: "The session hears you.", pictures: "The session sees you."};
const THINGS = {"sound,pictures": "microphone and camera", sound: "microphone", pictures: "camera"};

export class Visit {
  #card = byId("visit"); #state = byId("visit-state"); #allow = byId("allow"); #stop = byId("stop");
  #mirror = byId("mirror"); #level = byId("level");
  #devices = null; #wants = []; #last = "";

  constructor() {
    this.#allow.addEventListener("click", () => this.#begin());
    this.#stop.addEventListener("click", () => { sessionStorage.removeItem("giving"); this.#devices?.end(); });
    byId("go-on").addEventListener("click", () => this.#devices?.goOn());
  }

  /** Shows what the session wants; `agreed`: whether the notice was agreed to. Who gave before a
   *  reload goes on. */
  render(wants, agreed) {
    if (wants.join() === this.#wants.join() && (this.#devices || !agreed)) return;
    this.#wants = wants;
    this.#card.hidden = !wants.length;
    const things = THINGS[wants.join()] ?? "devices";
    setText(byId("visit-title"), `Your ${things}`);
    setText(this.#allow, `Allow ${things}`);
    if (agreed && wants.length && !this.#devices && sessionStorage.getItem("giving")) this.#begin();
  }

  async #begin() {
    this.#devices?.end();
    const devices = this.#devices = new Devices(this.#wants, this.#mirror, state => this.#show(state));
    this.#allow.hidden = true;
    setText(this.#state, "The browser asks whether this page may use them …");
    try {
      if (!navigator.mediaDevices) throw new Error("This address is not safe enough for the browser: it needs https, or this machine");
      await devices.begin();
      sessionStorage.setItem("giving", "yes");
      this.#stop.hidden = false;
      this.#mirror.hidden = !this.#wants.includes("pictures");
      this.#level.closest("p").hidden = !this.#wants.includes("sound");
      this.#measure(devices);
      this.#show(devices.waits ? "waiting" : this.#last);
    } catch (error) {
      devices.end();
      setText(this.#state, ERRORS[error.name] ?? `It did not work: ${error.message}.`);
      this.#allow.hidden = false;
    }
  }

  #show(state) {
    if (SAY[state] || state === "ready") this.#last = state;
    byId("go-on").hidden = state !== "waiting";
    const gone = this.#last === "ended" || this.#last === "replaced";
    if (gone) {
      for (const part of [this.#stop, this.#mirror, this.#level.closest("p")]) part.hidden = true;
      this.#allow.hidden = false;
    }
    setText(this.#state, state === "waiting" ? "The browser holds the sound back until you press this." : this.#words());
    this.#card.classList.toggle("giving", this.#last === "ready" && state !== "waiting");
  }

  #words() {
    if (this.#last === "ready") return READY[this.#wants.join()] ?? "The session hears and sees you.";
    return SAY[this.#last] ?? "Connecting …";
  }

  #measure(devices) {
    if (this.#devices !== devices || this.#stop.hidden) return;
    this.#level.value = Math.min(1, Math.sqrt(devices.level));
    setTimeout(() => this.#measure(devices), 100);
  }
}
