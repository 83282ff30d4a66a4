// The pictures of the session's own camera: the newest one, drawn as it comes.

import {byId} from "./dom.js";

const PAUSE = 2000;

export class Camera {
  #canvas = byId("camera"); #socket = null; #drawing = false;

  /** Looks as long as the session shows pictures and the notice was agreed to. */
  render(shows, agreed) {
    if (!shows || !agreed || this.#socket) return;
    const address = new URL("camera", location.href);
    address.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    address.search = address.hash = "";
    this.#socket = new WebSocket(address);
    this.#socket.binaryType = "blob";
    this.#socket.onmessage = ({data}) => this.#draw(data);
    this.#socket.onclose = () => {
      this.#canvas.hidden = true;
      setTimeout(() => { this.#socket = null; }, PAUSE);
    };
  }

  async #draw(jpeg) {
    if (this.#drawing || document.hidden) return;
    this.#drawing = true;
    try {
      const picture = await createImageBitmap(jpeg);
      Object.assign(this.#canvas, {width: picture.width, height: picture.height, hidden: false});
      this.#canvas.getContext("2d").drawImage(picture, 0, 0);
      picture.close();
      byId("view").hidden = false;
    } catch { /* the next one comes soon */ } finally { this.#drawing = false; }
  }
}
