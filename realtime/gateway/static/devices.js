// This browser's microphone and camera: opened when somebody allows it, never before.

import {clock, Giving} from "./giving.js";

/** Opens the devices and gives what they capture. */
export class Devices {
  #wants; #onState; #mirror; #giving = null; #stream = null; #context = null; #canvas = document.createElement("canvas");
  #wanted = {width: 640, height: 480, rate: 10};
  #due = 0; #encoding = false;
  level = 0;

  /** `wants` has "sound", "pictures"; `mirror` is the video element that shows the camera. `onState`
   *  gets a word, see `Giving`, "waiting" or "ended", and an error. */
  constructor(wants, mirror, onState) {
    this.#wants = wants;
    this.#mirror = mirror;
    this.#onState = onState;
  }

  /** Asks for the devices. Throws the browser's error if they are not allowed or not there. */
  async begin() {
    // Nothing that changes the voice: emotions are read from it.
    const audio = this.#wants.includes("sound") && {channelCount: 1, echoCancellation: false, noiseSuppression: false, autoGainControl: false};
    const {width, height, rate} = this.#wanted;
    const video = this.#wants.includes("pictures") && {width: {ideal: width}, height: {ideal: height}, frameRate: {ideal: Math.max(15, rate)}};
    this.#stream = await navigator.mediaDevices.getUserMedia({audio, video});
    for (const track of this.#stream.getTracks()) track.addEventListener("ended", () => this.end());
    let sampling = 16000;
    if (audio) sampling = await this.#listen();
    this.#giving = new Giving(sampling, (state, answer) => {
      if (answer) this.#wanted = answer.pictures;
      if (state === "replaced") this.#close();
      this.#onState(state);
    });
    if (video) await this.#watch();
  }

  /** Sound that a browser holds back until somebody presses something goes on. */
  get waits() { return this.#context?.state === "suspended"; }
  goOn() { return this.#context?.resume(); }

  end() {
    if (!this.#stream) return;
    this.#close();
    this.#onState("ended");
  }

  #close() {
    this.#giving?.end();
    for (const track of this.#stream?.getTracks() ?? []) track.stop();
    this.#context?.close();
    this.#mirror.srcObject = null;
    this.#stream = this.#giving = this.#context = null;
  }

  async #listen() {
    const source = new MediaStream(this.#stream.getAudioTracks());
    let context, node;
    try {
      context = new AudioContext({sampleRate: 16000, latencyHint: "interactive"});
      node = context.createMediaStreamSource(source);
    } catch {
      // Not every browser changes the rate of a microphone: the session does it then.
      context = new AudioContext({latencyHint: "interactive"});
      node = context.createMediaStreamSource(source);
    }
    this.#context = context;
    await context.audioWorklet.addModule("static/sound-worklet.js");
    const blocks = new AudioWorkletNode(context, "blocks", {numberOfOutputs: 0, channelCount: 1, channelCountMode: "explicit"});
    blocks.port.onmessage = ({data: {samples, loudest}}) => {
      this.level = Math.max(loudest, .9 * this.level);
      this.#giving?.sound(samples, clock() - samples.byteLength / 2 / context.sampleRate);
    };
    node.connect(blocks);
    context.addEventListener("statechange", () => this.#onState(this.waits ? "waiting" : "resumed"));
    context.resume();
    return context.sampleRate;
  }

  async #watch() {
    this.#mirror.srcObject = new MediaStream(this.#stream.getVideoTracks());
    await this.#mirror.play();
    const next = (now, metadata) => {
      if (!this.#stream) return;
      this.#take((metadata?.captureTime ?? now) / 1000);
      this.#mirror.requestVideoFrameCallback(next);
    };
    this.#mirror.requestVideoFrameCallback(next);
  }

  #take(time) {
    const {width, rate} = this.#wanted;
    if (time * rate < this.#due || this.#encoding) return;
    this.#due = Math.floor(time * rate) + 1;
    if (!this.#giving?.askForRoom()) return;
    const {videoWidth, videoHeight} = this.#mirror;
    if (!videoWidth) return;
    const scale = Math.min(1, width / videoWidth);
    this.#canvas.width = Math.round(videoWidth * scale);
    this.#canvas.height = Math.round(videoHeight * scale);
    this.#canvas.getContext("2d").drawImage(this.#mirror, 0, 0, this.#canvas.width, this.#canvas.height);
    this.#encoding = true;
    this.#canvas.toBlob(async blob => {
      this.#encoding = false;
      if (blob && this.#giving) this.#giving.picture(await blob.arrayBuffer(), time);
    }, "image/jpeg", .85);
  }
}
