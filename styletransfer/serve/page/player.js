// Playback: the synthesiser in the browser, or, where it can't be had, the server's sound.

import { groupOf } from "./roll.js";

const [OFF, ON, PEDAL] = [0, 1, 2];
const END_SECONDS = 1.2; // that the last notes may ring

/** Notes and pedal of a piece as events for the worklet: 5 numbers each, by time. */
export function eventsOf(piece, hands) {
  const rows = [];
  for (const note of piece.notes) {
    const channel = groupOf(note, hands);
    rows.push([note[0], ON, channel, note[2], note[3]]);
    rows.push([Math.max(note[1], note[0] + 0.02), OFF, channel, note[2], 0]);
  }
  for (const [seconds, value] of piece.pedals ?? []) {
    for (const channel of [0, 1, 2]) rows.push([seconds, PEDAL, channel, value, 0]);
  }
  rows.sort((a, b) => a[0] - b[0] || order(a) - order(b));
  return Float64Array.from(rows.flat());
}

/** At one time notes end first, then the pedal is lifted, pressed, and notes begin. */
const order = ([, kind, , value]) => (kind === OFF ? 0 : kind === ON ? 3 : value ? 2 : 1);

export class Player {
  /** `handlers` has `state(playing)`, called on starts and stops, and `status(key)` on the sound's state. */
  constructor(handlers) {
    this.handlers = handlers;
    this.piece = null;
    this.playing = false;
    this.at = 0;
    this.stamp = 0;
    this.rate = 1;
    this.loop = null;
    this.sounding = [true, true, true];
    this.starting = null;
  }

  get length() {
    return this.piece?.seconds ?? 0;
  }

  /** The second that sounds now. */
  get time() {
    if (this.audio) return this.audio.currentTime;
    if (!this.playing) return this.at;
    const ahead = ((performance.now() - this.stamp) / 1000) * this.rate;
    return Math.min(this.length, this.at + Math.min(ahead, 0.1));
  }

  /** Load a piece; `sound` is the address of the server's rendering of it. */
  load(piece, hands, sound, time) {
    this.piece = piece;
    this.hands = hands;
    this.sound = sound;
    this.at = Math.min(time, this.length);
    if (this.node) this.node.port.postMessage({ ...this.music(), time: this.at });
    if (this.audio) this.useAudio();
  }

  music() {
    return { events: eventsOf(this.piece, this.hands), length: this.length + END_SECONDS };
  }

  async play() {
    if (!this.piece) return;
    if (this.at >= this.length - 0.05) this.seek(this.loop?.[0] ?? 0);
    this.starting ??= this.start();
    await this.starting;
    if (this.audio) {
      await this.audio.play().catch(() => this.handlers.status("sound.none"));
    } else {
      await this.context.resume();
      this.node.port.postMessage({ playing: true });
    }
    this.turned(!this.audio || !this.audio.paused);
  }

  pause() {
    this.at = this.time;
    this.audio?.pause();
    this.node?.port.postMessage({ playing: false });
    this.turned(false);
  }

  seek(seconds) {
    this.at = Math.max(0, Math.min(seconds, this.length));
    this.stamp = performance.now();
    if (this.audio) this.audio.currentTime = this.at;
    this.node?.port.postMessage({ time: this.at });
  }

  setRate(rate) {
    this.rate = rate;
    if (this.audio) this.audio.playbackRate = rate;
    this.node?.port.postMessage({ rate });
  }

  setLoop(loop) {
    this.loop = loop;
    this.node?.port.postMessage({ loop });
  }

  setSounding(sounding) {
    this.sounding = sounding;
    this.node?.port.postMessage({ sounding });
  }

  turned(playing) {
    if (this.playing === playing) return;
    this.playing = playing;
    this.stamp = performance.now();
    this.handlers.state(playing);
  }

  /** Fetch soundfont and synthesiser, once; where that fails, the server's sound is played. */
  async start() {
    this.handlers.status("sound.loading");
    try {
      const font = await fetch("api/soundfont");
      if (!font.ok) throw new Error("no soundfont");
      const bank = await font.arrayBuffer();
      this.context = new AudioContext({ latencyHint: "interactive" });
      await this.context.audioWorklet.addModule("worklet.js");
      const node = new AudioWorkletNode(this.context, "piano", { outputChannelCount: [2] });
      await new Promise((resolve, reject) => {
        node.port.onmessage = ({ data }) => (data.ready ? resolve() : reject(new Error(data.failed)));
        node.port.postMessage({ bank }, [bank]);
      });
      node.port.onmessage = ({ data }) => this.receive(data);
      node.connect(this.context.destination);
      this.node = node;
      const { rate, loop, sounding } = this;
      node.port.postMessage({ ...this.music(), rate, loop, sounding, time: this.at });
      this.handlers.status("");
    } catch {
      this.useAudio();
      this.handlers.status("sound.server");
    }
  }

  receive({ time, playing }) {
    this.at = Math.min(time, this.length);
    this.stamp = performance.now();
    if (this.playing && !playing && time >= this.length) this.turned(false);
  }

  useAudio() {
    const begun = this.playing;
    this.audio?.pause();
    this.audio = new Audio(this.sound);
    this.audio.currentTime = this.at;
    this.audio.playbackRate = this.rate;
    this.audio.onended = () => this.turned(false);
    this.audio.ontimeupdate = () => {
      if (this.loop && this.audio.currentTime >= this.loop[1]) this.audio.currentTime = this.loop[0];
    };
    if (begun) this.audio.play();
  }
}
