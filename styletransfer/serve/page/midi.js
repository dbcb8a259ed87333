// A song that is played in on a MIDI keyboard.

import { $, complain } from "./dom.js";
import { give } from "./song.js";
import { t } from "./words.js";

const MOST_SECONDS = 600;
let take = null; // what is being recorded: {held, notes, begun, inputs}

export function setUpRecording() {
  $("record").hidden = !navigator.requestMIDIAccess;
  $("record-button").onclick = () => (take ? finish() : begin());
}

async function begin() {
  complain("song-error", "");
  let access;
  try {
    access = await navigator.requestMIDIAccess();
  } catch {
    $("record-state").textContent = t("record.refused");
    return;
  }
  const inputs = [...access.inputs.values()];
  if (!inputs.length) {
    $("record-state").textContent = t("record.none");
    return;
  }
  take = { held: new Map(), notes: [], begun: null, inputs };
  for (const input of inputs) input.onmidimessage = receive;
  $("record-button").textContent = t("record.stop");
  $("record-state").textContent = t("record.on", { name: inputs.map((input) => input.name).join(", ") });
}

/** A message of the keyboard; the first note is at 0 seconds. */
function receive({ data: [status, pitch, velocity], timeStamp }) {
  const kind = status & 0xf0;
  if (!take || (kind !== 0x90 && kind !== 0x80)) return;
  take.begun ??= timeStamp;
  const now = (timeStamp - take.begun) / 1000;
  if (now > MOST_SECONDS) {
    finish();
    return;
  }
  release(pitch, now);
  if (kind === 0x90 && velocity) take.held.set(pitch, { now, velocity });
  $("record-state").textContent = t("record.notes", { count: take.notes.length + take.held.size });
}

function release(pitch, now) {
  const begun = take.held.get(pitch);
  if (!begun) return;
  take.held.delete(pitch);
  take.notes.push([begun.now, Math.max(0.03, now - begun.now), pitch, begun.velocity]);
}

async function finish() {
  const last = Math.max(0, ...take.notes.map(([begin, length]) => begin + length));
  for (const [pitch, { now }] of take.held) release(pitch, Math.max(last, now + 0.5));
  for (const input of take.inputs) input.onmidimessage = null;
  const notes = take.notes.sort((a, b) => a[0] - b[0]);
  take = null;
  $("record-button").textContent = t("record.start");
  if (notes.length) await give({ notes, name: t("record.name") }, null);
  else $("record-state").textContent = t("record.empty");
}
