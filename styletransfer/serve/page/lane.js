// The chords above the roll; those of an arrangement can be changed.

import { $, make } from "./dom.js";
import { chordLine } from "./bars.js";
import { redo } from "./jobs.js";
import { shown, state } from "./store.js";
import { t } from "./words.js";

/** The chords of what is shown: {bar, quarter, symbol}. */
function chordsOf(piece) {
  if (piece.chords) return piece.chords;
  return (piece.harmony ?? []).flatMap(({ bar, chords }) =>
    chords.map(({ quarter, symbol }) => ({ bar, quarter, symbol })),
  );
}

/** The second at which a chord begins. */
function secondOf(chord, bar) {
  const share = bar.quarters ? chord.quarter / bar.quarters : 0;
  return Math.max(bar.start, bar.start + share * (bar.end - bar.start));
}

const DOT = 15; // pixels of a chord that is only hinted at

/** Write the chords above a roll; where there is no room for one, it is a dot, and downbeats come first. */
export function showLane(roll) {
  const piece = shown();
  const editable = state.view === "arrangement" && state.version && state.version.feel === "score";
  const bars = new Map(roll.bars.map((bar) => [bar.number, bar]));
  const buttons = [];
  const found = [];
  for (const chord of piece ? chordsOf(piece) : []) {
    const bar = bars.get(chord.bar);
    if (!bar || !chord.symbol) continue;
    found.push({ chord, bar, x: Math.round(secondOf(chord, bar) * roll.scale) + 2 });
  }
  let free = 0;
  found.forEach(({ chord, bar, x }, k) => {
    const text = chord.symbol.replace(/#/g, "♯").replace(/b/g, "♭");
    const wide = 8 + 9.5 * text.length;
    const later = found.slice(k + 1);
    const next = chord.quarter > 0 ? later[0] : later.find((one) => !(one.chord.quarter > 0));
    const start = Math.max(x, free);
    const fits = start + wide <= (next?.x ?? Infinity) && start < x + DOT;
    if (!fits && (start > x + 3 * DOT || start + DOT > (next?.x ?? Infinity))) return; // until it is zoomed in
    const button = make("button", {
      type: "button",
      className: fits ? "" : "dot",
      textContent: fits ? text : "•",
      title: text,
      disabled: !editable || chord.bar === 0,
      "aria-label": t("lane.chord", { symbol: chord.symbol, bar: chord.bar }),
      onclick: () => edit(button, chord, bar),
    });
    button.style.left = `${start}px`;
    free = start + (fits ? wide : DOT);
    buttons.push(button);
  });
  $("lane").replaceChildren(...buttons);
}

/** A field in a chord's place; Enter has its bar made again. */
function edit(button, chord, bar) {
  const field = make("input", {
    type: "text",
    value: chord.symbol,
    maxLength: 12,
    spellcheck: false,
    "aria-label": t("lane.edit", { bar: chord.bar }),
  });
  field.style.left = button.style.left;
  let over = false;
  const close = (focus) => {
    if (over) return;
    over = true;
    field.replaceWith(button);
    if (focus) button.focus();
  };
  field.onblur = () => close(false);
  field.onkeydown = (event) => {
    if (event.key === "Escape") close(true);
    if (event.key !== "Enter") return;
    event.preventDefault(); // the button that takes the focus must not hear it, too
    const symbol = field.value.trim().replace(/♯/g, "#").replace(/♭/g, "b");
    close(true);
    if (symbol && symbol !== chord.symbol) change(chord, bar, symbol);
  };
  button.replaceWith(field);
  field.focus();
  field.select();
}

function change(chord, bar, symbol) {
  const others = chordsOf(state.version).filter((one) => one.bar === chord.bar);
  const chords = others.map((one) => (one.quarter === chord.quarter ? { ...one, symbol } : one));
  const line = chordLine(chords, bar.quarters);
  const difference = { bar: chord.bar, from: chord.symbol, to: symbol };
  redo([chord.bar, chord.bar], { seed: Number($("redo-seed").value), chords: line, change: difference });
}
