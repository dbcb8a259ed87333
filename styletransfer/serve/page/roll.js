// The piano roll: a canvas as wide as the window on it, on which only what is visible is drawn.

import { barAt, barsOf } from "./bars.js";

const TOP = 32; // pixels of the chords' lane
const NUMBERS = 16; // of the bar numbers below it
const BLACK = new Set([1, 3, 6, 8, 10]);
const NAMES = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];
const [START, END, PITCH, VELOCITY, PART, MELODY] = [0, 1, 2, 3, 4, 5];

/** 0 for a note of the melody, 1 of the right hand (or any accompaniment), 2 of the left. */
export function groupOf(note, hands) {
  if (note[MELODY]) return 0;
  return hands && note[PART] === 3 ? 2 : 1;
}

/** The name of a pitch, as C4. */
export const pitchName = (pitch) => `${NAMES[pitch % 12]}${Math.floor(pitch / 12) - 1}`;

export class Roll {
  /**
   * `handlers` has `seek(seconds)`, `select([first, last])` of bar numbers, and `zoomed()`.
   */
  constructor(scroller, inner, canvas, handlers) {
    Object.assign(this, { scroller, inner, canvas, handlers });
    this.context = canvas.getContext("2d");
    this.scale = 80; // pixels a second
    this.notes = [];
    this.ghosts = [];
    this.bars = [];
    this.chosen = null;
    this.cursor = 0;
    this.low = 48;
    this.high = 84;
    this.seconds = 1;
    this.hands = false;
    this.wanted = false;
    this.touched = 0;

    new ResizeObserver(() => this.resize()).observe(scroller);
    scroller.addEventListener("scroll", () => this.draw(), { passive: true });
    for (const kind of ["wheel", "pointerdown"]) {
      scroller.addEventListener(kind, () => (this.touched = performance.now()), { passive: true });
    }
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.recolour());
    this.listen();
    this.recolour();
  }

  /** Show a piece; `ghosts` are notes of another that are outlined. */
  show(piece, hands, ghosts = []) {
    this.hands = hands;
    this.bars = barsOf(piece);
    this.notes = [...(piece?.notes ?? [])].sort((a, b) => a[START] - b[START]);
    this.ghosts = ghosts;
    this.seconds = Math.max(1, piece?.seconds ?? 1, this.bars.at(-1)?.end ?? 1);
    this.frame();
  }

  /** Show notes that are being made, above outlines of the tune. */
  showLive(notes, tune, song) {
    this.hands = true;
    this.bars = barsOf(song);
    this.notes = notes.sort((a, b) => a[START] - b[START]);
    this.ghosts = tune;
    this.seconds = Math.max(1, song.seconds, this.bars.at(-1)?.end ?? 1);
    this.frame(false);
  }

  frame(tight = true) {
    this.longest = this.notes.reduce((most, note) => Math.max(most, note[END] - note[START]), 0);
    const pitches = [...this.notes, ...this.ghosts].map((note) => note[PITCH]);
    const low = pitches.reduce((least, pitch) => Math.min(least, pitch), 128);
    const high = pitches.reduce((most, pitch) => Math.max(most, pitch), 0);
    const centre = pitches.length ? (low + high) / 2 : 66;
    const span = Math.max(pitches.length ? high - low + 5 : 36, 30);
    if (tight || low - 1 < this.low || high + 1 > this.high) {
      this.low = Math.floor(Math.min(tight ? 200 : this.low, centre - span / 2));
      this.high = Math.ceil(Math.max(tight ? 0 : this.high, centre + span / 2));
    }
    this.resize();
  }

  resize() {
    const width = this.scroller.clientWidth;
    const height = this.inner.clientHeight;
    const ratio = window.devicePixelRatio || 1;
    this.width = width;
    this.height = height;
    this.inner.style.width = `${Math.max(width, this.seconds * this.scale + 12)}px`;
    this.canvas.style.width = `${width}px`;
    this.canvas.style.height = `${height}px`;
    if (this.canvas.width !== Math.round(width * ratio)) this.canvas.width = Math.round(width * ratio);
    if (this.canvas.height !== Math.round(height * ratio)) this.canvas.height = Math.round(height * ratio);
    this.draw();
  }

  recolour() {
    const style = getComputedStyle(document.documentElement);
    const names = ["paper", "sheet", "ink", "soft", "rule", "stripe", "melody", "right", "left", "chosen"];
    this.colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`)]));
    this.draw();
  }

  zoom(factor) {
    const middle = (this.scroller.scrollLeft + this.width / 2) / this.scale;
    this.scale = Math.min(400, Math.max(12, this.scale * factor));
    this.resize();
    this.scroller.scrollLeft = middle * this.scale - this.width / 2;
    this.handlers.zoomed?.();
  }

  /** Zoom so that a short song, or some ten seconds of a long one, fill the window. */
  fit() {
    const seen = Math.min(this.seconds, 9 + this.width / 160);
    this.scale = Math.min(160, Math.max(24, (this.width - 12) / seen));
    this.resize();
    this.scroller.scrollLeft = 0;
    this.handlers.zoomed?.();
  }

  /** Choose bars by number, or none. */
  choose(bars) {
    this.chosen = bars;
    this.draw();
  }

  /** Move the cursor; while it plays, the roll follows unless it was just scrolled by hand. */
  moveTo(seconds, follow) {
    this.cursor = seconds;
    if (follow && performance.now() - this.touched > 2500) {
      const x = seconds * this.scale - this.scroller.scrollLeft;
      if (x > this.width * 0.7 || x < 0) this.scroller.scrollLeft = seconds * this.scale - this.width * 0.25;
    }
    this.draw();
  }

  /** Bring a second into view. */
  reveal(seconds) {
    const x = seconds * this.scale - this.scroller.scrollLeft;
    if (x < 20 || x > this.width - 60) this.scroller.scrollLeft = seconds * this.scale - this.width * 0.3;
  }

  draw() {
    if (this.wanted) return;
    this.wanted = true;
    requestAnimationFrame(() => {
      this.wanted = false;
      this.paint();
    });
  }

  yOf(pitch) {
    const rows = this.high - this.low + 1;
    return TOP + NUMBERS + ((this.high - pitch) * (this.height - TOP - NUMBERS)) / rows;
  }

  paint() {
    const { context: pen, colours, width, height, scale } = this;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    const left = this.scroller.scrollLeft;
    const [from, to] = [left / scale, (left + width) / scale];
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = colours.sheet;
    pen.fillRect(0, 0, width, height);
    this.paintRows(pen);
    this.paintBars(pen, left, from, to);
    const row = (height - TOP - NUMBERS) / (this.high - this.low + 1);
    pen.strokeStyle = colours.soft;
    pen.lineWidth = 1;
    for (const note of this.ghosts) {
      if (note[START] > to || note[END] < from) continue;
      const x = note[START] * scale - left;
      const wide = Math.max(2, (note[END] - note[START]) * scale - 1);
      pen.strokeRect(x + 0.5, this.yOf(note[PITCH]) + 0.5, wide, Math.max(2, row - 1));
    }
    this.paintNotes(pen, left, from, to, row);
    const x = Math.round(this.cursor * scale - left);
    if (x >= -2 && x <= width) {
      pen.globalAlpha = 1;
      pen.fillStyle = colours.ink;
      pen.fillRect(x - 0.5, TOP, 1.5, height - TOP);
    }
  }

  paintRows(pen) {
    const { colours, width, height } = this;
    const row = (height - TOP - NUMBERS) / (this.high - this.low + 1);
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      const y = this.yOf(pitch);
      if (BLACK.has(pitch % 12)) {
        pen.fillStyle = colours.stripe;
        pen.fillRect(0, y, width, row);
      }
      if (pitch % 12 === 0) {
        pen.fillStyle = colours.rule;
        pen.fillRect(0, y + row, width, 1);
      }
    }
  }

  paintBars(pen, left, from, to) {
    const { colours, height, scale, width } = this;
    pen.font = "11px system-ui, sans-serif";
    pen.textBaseline = "middle";
    if (this.chosen) {
      const [first, last] = this.span(this.chosen);
      pen.fillStyle = colours.chosen;
      pen.globalAlpha = 0.75;
      pen.fillRect(first * scale - left, TOP, (last - first) * scale, height - TOP);
      pen.globalAlpha = 1;
    }
    let free = -1;
    for (let k = barAt(this.bars, from); k < this.bars.length && this.bars[k].start <= to; k++) {
      const x = Math.round(this.bars[k].start * scale - left);
      pen.fillStyle = colours.rule;
      pen.fillRect(x, TOP, 1, height - TOP);
      if (x >= free) {
        pen.fillStyle = colours.soft;
        pen.fillText(String(this.bars[k].number), x + 4, TOP + NUMBERS / 2);
        free = x + 8 + 7 * String(this.bars[k].number).length;
      }
    }
    const end = Math.round((this.bars.at(-1)?.end ?? 0) * scale - left);
    if (end <= width) pen.fillRect(end, TOP, 1, height - TOP);
    pen.fillStyle = colours.soft;
    for (let pitch = this.low; pitch <= this.high; pitch++) {
      if (pitch % 12 === 0) pen.fillText(pitchName(pitch), 3, this.yOf(pitch) - 6);
    }
  }

  paintNotes(pen, left, from, to, row) {
    const { notes, colours, scale } = this;
    const inks = [colours.melody, colours.right, colours.left];
    const tall = Math.max(2.5, row - 1);
    for (let k = firstFrom(notes, from - this.longest); k < notes.length; k++) {
      const note = notes[k];
      if (note[START] > to) break;
      if (note[END] < from) continue;
      const group = groupOf(note, this.hands);
      const sounds = note[START] <= this.cursor && this.cursor < note[END] && this.playing;
      const x = note[START] * scale - left;
      const wide = Math.max(2, (note[END] - note[START]) * scale - 1);
      pen.globalAlpha = note.faint ? 0.28 : 0.55 + 0.45 * Math.min(1, note[VELOCITY] / 100);
      pen.fillStyle = sounds ? colours.ink : inks[group];
      pen.beginPath();
      pen.roundRect(x, this.yOf(note[PITCH]), wide, tall, Math.min(2.5, wide / 2));
      pen.fill();
      if (group === 0 && !note.faint) {
        pen.globalAlpha = 1;
        pen.strokeStyle = inks[0];
        pen.lineWidth = 1.25;
        pen.stroke();
      }
    }
    pen.globalAlpha = 1;
  }

  /** The seconds at which chosen bars begin and end. */
  span([first, last]) {
    const begin = this.bars.find((bar) => bar.number === first) ?? this.bars[0];
    const end = this.bars.find((bar) => bar.number === last) ?? this.bars.at(-1);
    return [begin?.start ?? 0, end?.end ?? 0];
  }

  /** A click sets the cursor; dragging with mouse or pen chooses bars. */
  listen() {
    let begun = null;
    const second = (event) =>
      Math.max(0, (event.clientX - this.canvas.getBoundingClientRect().left + this.scroller.scrollLeft) / this.scale);
    const number = (event) => this.bars[barAt(this.bars, second(event))]?.number ?? 1;
    this.canvas.addEventListener("pointerdown", (event) => {
      if (event.button) return;
      begun = { x: event.clientX, bar: number(event), dragging: false };
      if (event.pointerType !== "touch") this.canvas.setPointerCapture(event.pointerId);
    });
    this.canvas.addEventListener("pointermove", (event) => {
      if (!begun || event.pointerType === "touch") return;
      if (!begun.dragging && Math.abs(event.clientX - begun.x) < 5) return;
      begun.dragging = true;
      const bar = number(event);
      this.handlers.select([Math.min(begun.bar, bar), Math.max(begun.bar, bar)]);
    });
    this.canvas.addEventListener("pointerup", (event) => {
      if (begun && !begun.dragging) this.handlers.seek(Math.min(second(event), this.seconds));
      begun = null;
    });
    this.canvas.addEventListener("pointercancel", () => (begun = null));
    this.scroller.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        this.zoom(event.deltaY < 0 ? 1.15 : 1 / 1.15);
      },
      { passive: false },
    );
  }
}

/** The first of sorted notes that begins at a second or later. */
function firstFrom(notes, seconds) {
  let low = 0;
  let high = notes.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (notes[middle][START] < seconds) low = middle + 1;
    else high = middle;
  }
  return low;
}
