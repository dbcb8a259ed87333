// The synthesiser, on the audio thread: plays a list of events at their samples.

import { SoundBankLoader, SpessaSynthProcessor } from "./vendor/spessasynth_core.js";

const [OFF, ON, PEDAL] = [0, 1, 2];
const SIZE = 5; // numbers an event: seconds, kind, channel, pitch or value, velocity
const PARTS = 3;
const REPORT = 1024; // samples between reports of the time

class Piano extends AudioWorkletProcessor {
  constructor() {
    super();
    this.synth = new SpessaSynthProcessor(sampleRate, { eventsEnabled: false });
    this.events = new Float64Array(0);
    this.next = 0;
    this.time = 0;
    this.length = 0;
    this.rate = 1;
    this.playing = false;
    this.loop = null;
    this.sounding = [true, true, true];
    this.since = 0;
    this.port.onmessage = ({ data }) => this.receive(data);
  }

  receive(message) {
    if (message.bank) {
      try {
        this.synth.soundBankManager.addSoundBank(SoundBankLoader.fromArrayBuffer(message.bank), "piano");
        for (let channel = 0; channel < PARTS; channel++) this.synth.programChange(channel, 0);
        this.port.postMessage({ ready: true });
      } catch (error) {
        this.port.postMessage({ failed: String(error) });
      }
    }
    if (message.events) {
      this.events = message.events;
      this.length = message.length;
      this.seek(Math.min(this.time, this.length));
    }
    if ("rate" in message) this.rate = message.rate;
    if ("loop" in message) this.loop = message.loop;
    if (message.sounding) {
      this.sounding = message.sounding;
      this.sounding.forEach((on, channel) => on || this.silence(channel));
    }
    if ("time" in message) this.seek(message.time);
    if ("playing" in message) {
      this.playing = message.playing;
      if (!this.playing) this.quiet();
      else this.seek(this.time);
    }
  }

  quiet() {
    for (let channel = 0; channel < PARTS; channel++) this.silence(channel);
  }

  silence(channel) {
    this.synth.controllerChange(channel, 64, 0);
    this.synth.controllerChange(channel, 123, 0);
  }

  /** Go to a second: nothing sounds on, the pedal is as it is there. */
  seek(time) {
    this.quiet();
    this.time = time;
    this.next = 0;
    const held = new Map();
    while (this.next < this.events.length && this.events[this.next] < time - 1e-6) {
      const [, kind, channel, value] = this.events.subarray(this.next, this.next + SIZE);
      if (kind === PEDAL) held.set(channel, value);
      this.next += SIZE;
    }
    for (const [channel, value] of held) this.synth.controllerChange(channel, 64, value);
    this.report();
  }

  report() {
    this.since = 0;
    this.port.postMessage({ time: this.time, playing: this.playing });
  }

  advance(samples) {
    const until = this.time + (samples / sampleRate) * this.rate;
    while (this.next < this.events.length && this.events[this.next] <= until) {
      const [, kind, channel, pitch, velocity] = this.events.subarray(this.next, this.next + SIZE);
      if (kind === ON && this.sounding[channel]) this.synth.noteOn(channel, pitch, velocity);
      else if (kind === OFF) this.synth.noteOff(channel, pitch);
      else if (kind === PEDAL) this.synth.controllerChange(channel, 64, pitch);
      this.next += SIZE;
    }
    this.time = until;
    if (this.loop && this.time >= this.loop[1]) this.seek(this.loop[0]);
    else if (this.time >= this.length) {
      if (this.loop) this.seek(this.loop[0]);
      else {
        this.playing = false;
        this.time = this.length;
        this.report();
      }
    }
  }

  process(inputs, outputs) {
    const [left, right] = outputs[0];
    if (this.playing) this.advance(left.length);
    this.synth.process(left, right ?? new Float32Array(left.length));
    this.since += left.length;
    if (this.playing && this.since >= REPORT) this.report();
    return true;
  }
}

registerProcessor("piano", Piano);
