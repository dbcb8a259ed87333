// The engraved pages: shown one at a time, with notes that light up and bars that can be chosen.

import { $ } from "./dom.js";
import { ask, text } from "./api.js";
import { t } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";
const NARROW = 620; // pixels below which pages are laid out for a phone

export class Score {
  /** `handlers` has `seek(bar)` and `select([first, last])`, of bar numbers. */
  constructor(handlers) {
    this.handlers = handlers;
    this.pages = [];
    this.rows = [];
    this.lit = new Set();
    this.chosen = null;
    this.turn = 0; // counts what was asked for, so that late answers are dropped
    $("page-back").onclick = () => this.open(this.page - 1);
    $("page-on").onclick = () => this.open(this.page + 1);
    this.listen();
    new ResizeObserver(() => {
      if (this.pages.length && this.layout !== layoutFor($("sheet"))) this.load(...this.shown);
    }).observe($("sheet"));
  }

  /** Load the pages of a song or a version; `kind` is songs or versions. */
  async load(kind, id) {
    const turn = ++this.turn;
    this.pages = [];
    this.rows = [];
    this.at = -2;
    $("sheet-none").hidden = false;
    $("sheet-none").textContent = t("score.wait");
    $("sheet").setAttribute("aria-busy", "true");
    const layout = layoutFor($("sheet"));
    Object.assign(this, { layout, shown: [kind, id] });
    const place = `${kind}/${id}/pages`;
    try {
      const { pages } = await ask(`${place}?layout=${layout}`);
      const first = await text(`${place}/1.svg?layout=${layout}`);
      const rows = await ask(`${kind}/${id}/timemap?layout=${layout}`);
      if (turn !== this.turn) return;
      this.take(rows);
      this.pages = Array(pages).fill(null);
      this.pages[0] = readPage(first);
      this.open(1);
      for (let page = 2; page <= pages; page++) {
        const found = readPage(await text(`${place}/${page}.svg?layout=${layout}`));
        if (turn !== this.turn) return;
        this.pages[page - 1] = found;
        if (this.page === page) this.open(page);
      }
    } catch (error) {
      if (turn === this.turn) this.clear(error.message);
    } finally {
      if (turn === this.turn) $("sheet").removeAttribute("aria-busy");
    }
  }

  /** No pages, and why. */
  clear(sentence) {
    this.turn += 1;
    this.pages = [];
    this.rows = [];
    $("sheet").replaceChildren();
    $("sheet-none").hidden = !sentence;
    $("sheet-none").textContent = sentence ?? "";
    this.number();
  }

  take(rows) {
    this.rows = rows;
    this.barOf = new Map();
    let begins = null;
    this.begins = new Map(); // bar → the second at which it begins
    for (const row of rows) {
      for (const id of row.on) this.barOf.set(id, row.bar);
      if (row.bar !== begins) this.begins.set(row.bar, row.seconds);
      begins = row.bar;
    }
  }

  open(page) {
    if (page < 1 || page > this.pages.length) return;
    this.page = page;
    this.number();
    const found = this.pages[page - 1];
    if (!found) return;
    $("sheet-none").hidden = true;
    $("sheet").replaceChildren(found.svg);
    found.svg.setAttribute("aria-label", t("score.page", { page, pages: this.pages.length }));
    separate(found.svg);
    this.measures = this.measuresOf(found.svg);
    this.lit.clear();
    this.at = -2;
    this.choose(this.chosen);
  }

  number() {
    const pages = this.pages.length;
    $("page-number").textContent = pages ? `${this.page} / ${pages}` : "";
    $("page-back").disabled = !pages || this.page <= 1;
    $("page-on").disabled = !pages || this.page >= pages;
  }

  /** The measures of a page with their bar numbers; one without notes comes after the one before. */
  measuresOf(svg) {
    const found = [...svg.querySelectorAll("g.measure")].map((node) => {
      const notes = [...node.querySelectorAll("g.note")];
      const bars = notes.map((note) => this.barOf.get(note.id)).filter((bar) => bar !== undefined);
      return { node, bar: bars.length ? Math.min(...bars) : null };
    });
    const known = found.findIndex((measure) => measure.bar !== null);
    found.forEach((measure, k) => {
      if (measure.bar === null) measure.bar = k < known ? found[known].bar - (known - k) : (found[k - 1]?.bar ?? 0) + 1;
    });
    return found;
  }

  /** Light up what sounds at a second; while it plays, the page turns. */
  moveTo(seconds, playing) {
    if (!this.rows.length) return;
    let low = -1;
    let high = this.rows.length - 1;
    while (low < high) {
      const middle = (low + high + 1) >> 1;
      if (this.rows[middle].seconds <= seconds + 1e-3) low = middle;
      else high = middle - 1;
    }
    if (low === this.at && playing === this.was) return;
    this.was = playing;
    const sounding = new Set();
    if (playing) {
      for (let k = low === this.at + 1 && this.now ? low : 0; k <= low; k++) {
        if (k === low && low === this.at + 1 && this.now) this.now.forEach((id) => sounding.add(id));
        for (const id of this.rows[k].off) sounding.delete(id);
        for (const id of this.rows[k].on) sounding.add(id);
      }
    }
    this.at = low;
    this.now = playing ? sounding : null;
    if (playing && low >= 0) this.follow(this.rows[low]);
    for (const id of this.lit) if (!sounding.has(id)) document.getElementById(id)?.classList.remove("sounding");
    for (const id of sounding) document.getElementById(id)?.classList.add("sounding");
    this.lit = sounding;
  }

  follow(row) {
    const id = row.on[0];
    if (!id || this.pages[this.page - 1]?.ids.has(id)) return;
    const page = this.pages.findIndex((one) => one?.ids.has(id));
    if (page >= 0) this.open(page + 1);
  }

  /** Mark chosen bars. */
  choose(bars) {
    this.chosen = bars;
    for (const { node, bar } of this.measures ?? []) {
      node.querySelector(":scope > .band")?.remove();
      if (!bars || bar < bars[0] || bar > bars[1] || !node.isConnected) continue;
      const box = stavesOf(node);
      const band = document.createElementNS(SVG, "rect");
      band.setAttribute("class", "band");
      const sizes = { x: box.x, y: box.y - 150, width: box.width, height: box.height + 300 };
      for (const [name, value] of Object.entries(sizes)) band.setAttribute(name, value);
      node.prepend(band);
    }
  }

  barUnder(event) {
    for (const { node, bar } of this.measures ?? []) {
      const box = node.getBoundingClientRect();
      const inside = event.clientX >= box.left && event.clientX <= box.right;
      if (inside && event.clientY >= box.top - 8 && event.clientY <= box.bottom + 8) return bar;
    }
    return null;
  }

  listen() {
    let begun = null;
    const sheet = $("sheet");
    sheet.addEventListener("pointerdown", (event) => {
      const bar = event.button ? null : this.barUnder(event);
      begun = bar === null ? null : { bar, x: event.clientX, y: event.clientY, dragging: false };
      if (begun && event.pointerType === "mouse") event.preventDefault();
    });
    sheet.addEventListener("pointermove", (event) => {
      if (!begun || event.pointerType === "touch") return;
      if (!begun.dragging && Math.hypot(event.clientX - begun.x, event.clientY - begun.y) < 6) return;
      begun.dragging = true;
      const bar = this.barUnder(event);
      if (bar !== null) this.handlers.select([Math.min(begun.bar, bar), Math.max(begun.bar, bar)]);
    });
    window.addEventListener("pointerup", () => {
      if (begun && !begun.dragging) this.handlers.seek(begun.bar);
      begun = null;
    });
    window.addEventListener("pointercancel", () => (begun = null));
  }
}

const layoutFor = (sheet) => (sheet.clientWidth < NARROW ? "narrow" : "wide");

/** A page from its text: the drawing, and the ids that are in it. */
function readPage(source) {
  const parsed = new DOMParser().parseFromString(source, "image/svg+xml").documentElement;
  const svg = document.importNode(parsed, true);
  svg.setAttribute("role", "img");
  const ids = new Set([...svg.querySelectorAll("g.note")].map((note) => note.id));
  return { svg, ids };
}

const GAP = 60; // between two chord symbols, in the drawing's own units
const NARROWEST = 0.55; // of a symbol's own width

/** Condense chord symbols that would run into the next one of their line. */
function separate(svg) {
  const texts = [...svg.querySelectorAll("g.harm text")];
  const boxes = texts.map((node) => node.getBBox());
  texts.forEach((node, k) => {
    const [box, next] = [boxes[k], boxes[k + 1]];
    if (!next || next.x <= box.x || Math.abs(next.y - box.y) > box.height) return;
    const room = next.x - box.x - GAP;
    if (room >= box.width) return;
    node.setAttribute("textLength", Math.max(room, NARROWEST * box.width));
    node.setAttribute("lengthAdjust", "spacingAndGlyphs");
  });
}

/** The box around a measure's staves. */
function stavesOf(measure) {
  const boxes = [...measure.querySelectorAll("g.staff > path")].map((line) => line.getBBox());
  const left = Math.min(...boxes.map((box) => box.x));
  const right = Math.max(...boxes.map((box) => box.x + box.width));
  const top = Math.min(...boxes.map((box) => box.y));
  const bottom = Math.max(...boxes.map((box) => box.y + box.height));
  return { x: left, y: top, width: right - left, height: bottom - top };
}
