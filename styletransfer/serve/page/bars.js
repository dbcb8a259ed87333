// Bars of a song or a version: where they are, and how they are numbered.

const FREE_SECONDS = 2; // bars of a performance, which has no beats

/**
 * A piece's bars as {number, start, end, quarter, quarters, metre}, in seconds and quarters; those of
 * a performance last two seconds.
 */
export function barsOf(piece) {
  if (!piece) return [];
  const rows = piece.bars;
  if (!rows.length) {
    const count = Math.max(1, Math.ceil(piece.seconds / FREE_SECONDS));
    return Array.from({ length: count }, (_, k) => ({
      number: k + 1,
      start: k * FREE_SECONDS,
      end: (k + 1) * FREE_SECONDS,
      metre: "",
    }));
  }
  const first = rows[0][0] < 0 ? 0 : 1;
  return rows.map(([quarter, quarters, top, bottom, start], k) => {
    const known = rows[k + 1]?.[4];
    const pace = k && quarter > rows[k - 1][0] ? (start - rows[k - 1][4]) / (quarter - rows[k - 1][0]) : 0.6;
    const end = known ?? Math.max(start + pace * quarters, Math.min(piece.seconds, start + 3 * pace * quarters));
    const metre = `${top}/${bottom}`;
    return { number: first + k, start: Math.max(0, start), end, quarter, quarters, metre };
  });
}

/** The index of the bar that sounds at a second. */
export function barAt(bars, seconds) {
  let low = 0;
  let high = bars.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (bars[middle].start <= seconds + 1e-6) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** A second of one piece as the second of another that is as far in the same bar. */
export function translate(seconds, from, to) {
  if (!from.length || !to.length) return seconds;
  const bar = from[barAt(from, seconds)];
  const other = to.find((one) => one.number === bar.number) ?? to.at(-1);
  const share = (seconds - bar.start) / Math.max(1e-6, bar.end - bar.start);
  return other.start + Math.min(1, Math.max(0, share)) * (other.end - other.start);
}

/**
 * A bar's chords as one bar of a line that `--chords` takes: equal shares of the bar, each a symbol
 * or `-` for more of the same.
 */
export function chordLine(chords, quarters) {
  const most = 16;
  for (let shares = 1; shares <= most; shares++) {
    const places = chords.map((chord) => (chord.quarter * shares) / quarters);
    if (places.every((place) => Math.abs(place - Math.round(place)) < 0.01)) {
      const line = Array(shares).fill("-");
      places.forEach((place, k) => (line[Math.round(place)] = chords[k].symbol));
      if (line[0] === "-") line[0] = ".";
      return line.join(" ");
    }
  }
  return chords[0]?.symbol ?? ".";
}
