// The song: given as a file, an example, text or played in; what was read; corrections.

import { $, announce, choice, complain, make } from "./dom.js";
import { ask } from "./api.js";
import { changed, state } from "./store.js";
import { clock, number, t, told } from "./words.js";

const SEMITONES = 12;
let titles = new Map(); // of the examples

/** Fill the intake and listen to it. */
export async function setUpSong() {
  $("file").onchange = () => $("file").files[0] && sendFile($("file").files[0]);
  $("read-abc").onclick = () => readText($("abc").value);
  $("other-song").onclick = () => {
    $("intake").hidden = false;
    $("other-song").hidden = true;
    $("file").focus();
  };
  $("melody-track").onchange = () => readAgain({ melody_track: Number($("melody-track").value) });
  $("transpose").onchange = () => readAgain({ transpose: Number($("transpose").value) });
  for (let semitones = SEMITONES; semitones >= -SEMITONES; semitones--) {
    const sign = semitones > 0 ? "+" : semitones < 0 ? "−" : "";
    $("transpose").append(choice(semitones, `${sign}${Math.abs(semitones)}`));
  }
  listenToDrops();
  const examples = await ask("examples");
  titles = new Map(examples.map(({ name, title }) => [name, title]));
  for (const { name, title } of examples) {
    const click = () => give({ example: name }, { example: name });
    $("examples").append(make("button", { type: "button", textContent: title, onclick: click }));
  }
}

function listenToDrops() {
  let inside = 0;
  const files = (event) => event.dataTransfer?.types.includes("Files");
  addEventListener("dragenter", (event) => files(event) && document.body.classList.toggle("dropping", ++inside > 0));
  addEventListener("dragleave", (event) => files(event) && document.body.classList.toggle("dropping", --inside > 0));
  addEventListener("dragover", (event) => files(event) && event.preventDefault());
  addEventListener("drop", (event) => {
    if (!files(event)) return;
    event.preventDefault();
    inside = 0;
    document.body.classList.remove("dropping");
    if (!event.target.closest?.("dialog") && event.dataTransfer.files[0]) sendFile(event.dataTransfer.files[0]);
  });
}

function sendFile(file) {
  const form = new FormData();
  form.append("file", file);
  $("file").value = "";
  return give(form, null);
}

/** Text that was pasted: ABC where it has a field of its header, else a line of chords. */
export function readText(text) {
  const kind = /^\s*[A-Za-z]:/m.test(text) ? "abc" : "chords";
  return give({ [kind]: text }, { [kind]: text });
}

/** Give a song to the server; `origin` is what a link can say of it. */
export async function give(body, origin) {
  complain("song-error", state.job ? t("song.busy") : "");
  if (state.job) return false;
  $("intake").setAttribute("aria-busy", "true");
  try {
    take(await ask("songs", body), origin, {});
    announce(t("song.read", { name: songTitle(), key: keyName(state.song.key) }));
    return true;
  } catch (error) {
    complain("song-error", error.message);
    return false;
  } finally {
    $("intake").removeAttribute("aria-busy");
  }
}

async function readAgain(correction) {
  complain("song-error", "");
  const asked = { ...state.reading, ...correction };
  try {
    const song = await ask(`songs/${state.song.id}`, asked);
    take(song, state.origin, asked);
  } catch (error) {
    complain("song-error", error.message);
    showSong();
  }
}

/** A song is on the desk: its earlier versions go with it. */
export function take(song, origin, reading) {
  const same = state.song?.id === song.id;
  Object.assign(state, { song, origin, reading, view: "original", selection: null });
  if (!same) Object.assign(state, { version: null, history: [] });
  $("intake").hidden = true;
  $("other-song").hidden = false;
  changed("song");
}

/** How the song is called. */
export const songTitle = () => titles.get(state.origin?.example) ?? state.song.name;

/** A key in the page's language, from "F# minor". */
export function keyName(key) {
  if (!key) return "–";
  const [tonic, mode] = key.split(" ");
  const nice = tonic.replace("#", "♯").replace(/(?<=.)b/, "♭");
  if (t("key.german") !== "yes") return `${nice} ${t(`mode.${mode}`)}`;
  const names = { B: "H", Bb: "B", "A#": "Ais", "C#": "Cis", "D#": "Dis", "F#": "Fis", "G#": "Gis", Ab: "As", Db: "Des", Eb: "Es", Gb: "Ges", Cb: "Ces", "E#": "Eis", "B#": "His", Fb: "Fes" };
  const name = names[tonic] ?? tonic;
  return mode === "minor" ? `${name.toLowerCase()}-Moll` : `${name}-Dur`;
}

/** The tempo in beats a minute: those of 6/8 are dotted quarters. */
function tempoText({ tempo, bars }) {
  const [, , top, bottom] = bars[0] ?? [0, 0, 4, 4];
  const dotted = top > 3 && top % 3 === 0 && bottom === 8;
  return dotted ? t("tempo.dotted", { tempo: number(tempo / 1.5) }) : t("tempo.value", { tempo: number(tempo) });
}

/** Write what was read of the song. */
export function showSong() {
  const { song, reading } = state;
  $("song-facts").hidden = !song;
  if (!song) return;
  $("song-name").textContent = songTitle();
  $("fact-key").textContent = keyName(song.key);
  $("fact-metre").textContent = song.metre ?? t("metre.none");
  $("fact-tempo").textContent = song.tempo ? tempoText(song) : "–";
  $("fact-bars").textContent = song.bars.length ? number(song.bars.length) : "–";
  $("fact-length").textContent = clock(song.seconds);
  $("fact-melody").textContent = t("melody.value", {
    notes: number(song.melody.notes),
    share: number(song.melody.coverage * 100),
  });
  const parts = song.parts.map((part) =>
    choice(part.number, t("melody.choice", { number: part.number, name: part.name || t("part"), notes: part.notes })),
  );
  $("melody-track").replaceChildren(...parts);
  $("melody-track").value = String(song.melody_part ?? "");
  $("melody-track").disabled = parts.length < 2;
  $("transpose").value = String(song.transpose ?? reading.transpose ?? 0);
  const simplified = (song.simplified ?? []).map((one) => t("chord.simplified", one));
  const remarks = [...song.remarks.map(told), ...simplified];
  $("song-remarks").replaceChildren(...remarks.map((remark) => make("li", { textContent: remark })));
}
