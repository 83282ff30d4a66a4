// Collects the microphone's samples into blocks of 20 ms, as 16-bit PCM. Runs on the sound thread.

class Blocks extends AudioWorkletProcessor {
  #block = new Int16Array(Math.round(sampleRate / 50));
  #filled = 0;
  #loudest = 0;

  process([channels]) {
    const samples = channels?.[0];
    if (!samples) return true;
    for (const sample of samples) {
      const bounded = Math.max(-1, Math.min(1, sample));
      this.#loudest = Math.max(this.#loudest, Math.abs(bounded));
      this.#block[this.#filled++] = Math.round(bounded * 32767);
      if (this.#filled === this.#block.length) this.#send();
    }
    return true;
  }

  #send() {
    const samples = this.#block.slice();
    this.port.postMessage({samples: samples.buffer, loudest: this.#loudest}, [samples.buffer]);
    this.#filled = 0;
    this.#loudest = 0;
  }
}

registerProcessor("blocks", Blocks);
