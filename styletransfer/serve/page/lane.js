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

/** Write the chords above a roll; one that doesn't fit beside the one before is a dot. */
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
    if (x < free) return; // not even a dot fits: zooming in shows it
    const text = chord.symbol.replace(/#/g, "♯").replace(/b/g, "♭");
    const wide = 8 + 9.5 * text.length;
    const next = found.slice(k + 1).find((one) => one.x >= x + DOT) ?? { x: Infinity };
    const fits = x + wide <= next.x;
    const button = make("button", {
      type: "button",
      className: fits ? "" : "dot",
      textContent: fits ? text : "•",
      title: text,
      disabled: !editable || chord.bar === 0,
      "aria-label": t("lane.chord", { symbol: chord.symbol, bar: chord.bar }),
      onclick: () => edit(button, chord, bar),
    });
    button.style.left = `${x}px`;
    free = x + (fits ? wide : DOT);
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
