// The page: joins song, styles, jobs, versions, roll, score and player.

import { barAt, barsOf, translate } from "./bars.js";
import { $, announce, choice, complain, make, press } from "./dom.js";
import { ask } from "./api.js";
import { arrange, redo, setUpJobs, stop, watch } from "./jobs.js";
import { showLane } from "./lane.js";
import { setUpRecording } from "./midi.js";
import { Player } from "./player.js";
import { Roll } from "./roll.js";
import { Score } from "./score.js";
import { give, keyName, setUpSong, showSong, songTitle, take } from "./song.js";
import { DEFAULTS, changed, keep, on, save, saved, shown, state, styleTitle } from "./store.js";
import { revealStyle, setUpStyles, showSettings, showStyles, stopSample } from "./styles.js";
import { setUpTraining } from "./train.js";
import { add, compared, forgetCompared, open, setUpVersions, showVersions, undo } from "./versions.js";
import { clock, preferred, speak, t } from "./words.js";

const KEYS = [
  ["space", "keys.play"],
  ["← →", "keys.bar"],
  ["shift ← →", "keys.select"],
  ["a", "keys.ab"],
  ["l", "keys.loop"],
  ["r", "keys.redo"],
  ["z", "keys.undo"],
  ["esc", "keys.clear"],
  ["?", "keys.help"],
];
const NARROWEST_LOOP = 0.2; // seconds

const roll = new Roll($("roll"), $("roll-inner"), $("roll-canvas"), {
  seek: (seconds) => seek(seconds),
  select: (bars) => select(bars),
  zoomed: () => showLane(roll),
});
const score = new Score({
  seek: (bar) => seek(score.begins.get(bar) ?? roll.span([bar, bar])[0]),
  select: (bars) => select(bars),
});
const player = new Player({
  state: (playing) => {
    press($("play"), playing);
    $("play").setAttribute("aria-label", t(playing ? "pause" : "play"));
    roll.playing = playing;
    if (playing) requestAnimationFrame(tick);
    else showTime();
  },
  status: (key) => ($("sound-state").textContent = key ? t(key) : ""),
});

// --- time ------------------------------------------------------------------------------------

function tick() {
  showTime();
  if (player.playing) requestAnimationFrame(tick);
}

function showTime() {
  const { time, length } = player;
  roll.moveTo(time, player.playing);
  score.moveTo(time, player.playing);
  const text = `${clock(time)} / ${clock(length)}`;
  if ($("clock").textContent !== text) {
    $("clock").textContent = text;
    $("position").setAttribute("aria-valuetext", text);
  }
  if (document.activeElement !== $("position") || player.playing) {
    $("position").value = String(length ? Math.round((time / length) * 1000) : 0);
  }
}

function seek(seconds) {
  player.seek(seconds);
  roll.reveal(seconds);
  showTime();
}

/** Go some bars back or on; with `extend`, choose bars instead. */
function step(bars, extend) {
  const now = barAt(roll.bars, player.time + 0.02);
  if (extend) {
    const first = roll.bars[0].number;
    const last = roll.bars.at(-1).number;
    const [begin, end] = state.selection ?? [roll.bars[now].number, roll.bars[now].number - (bars > 0 ? 1 : 0)];
    select([begin, Math.min(last, Math.max(begin, first, end + bars))]);
    roll.reveal(roll.span(state.selection)[0]);
    return;
  }
  const late = bars < 0 && player.time - roll.bars[now].start > 0.4 ? 1 : 0;
  const target = roll.bars[Math.min(roll.bars.length - 1, Math.max(0, now + bars + late))];
  seek(target.start);
  announce(t("bar", { bar: target.number }));
}

// --- bars that are chosen -----------------------------------------------------------------------

function select(bars) {
  state.selection = bars;
  changed("selection");
}

function showSelection() {
  const { selection } = state;
  roll.choose(selection);
  score.choose(selection);
  $("bar-from").value = selection ? String(selection[0]) : "";
  $("bar-to").value = selection ? String(selection[1]) : "";
  const ready = Boolean(selection && state.version && state.view === "arrangement" && !state.job);
  $("redo-button").disabled = !ready;
  $("select-none").disabled = !selection;
  setLoop();
  if (selection) announce(t("selected", { bars: selection.join("–") }));
}

function readSelection(event) {
  const fields = [$("bar-from"), $("bar-to")];
  let [from, to] = fields.map((field) => field.valueAsNumber);
  for (const field of fields) field.setCustomValidity("");
  if (Number.isNaN(from) && Number.isNaN(to)) return select(null);

  if (Number.isNaN(from)) from = to;
  if (Number.isNaN(to) || (event.target === fields[0] && to < from)) to = from;
  const [first, last] = [roll.bars[0].number, roll.bars.at(-1).number];
  const whole = Number.isInteger(from) && Number.isInteger(to);
  if (whole && first <= from && from <= to && to <= last) return select([from, to]);

  const problem = t("bars.wrong", { first, last });
  $("redo-button").disabled = true;
  announce(problem);
  event.target.setCustomValidity(problem);
  return event.target.reportValidity();
}

function redoSelected() {
  if ($("redo-button").disabled) return;
  redo(state.selection, { style: $("redo-style").value, seed: Number($("redo-seed").value) || 0 });
  $("redo-seed").value = String((Number($("redo-seed").value) || 0) + 1);
}

function setLoop() {
  const looping = $("loop").getAttribute("aria-pressed") === "true";
  const span = state.selection ? roll.span(state.selection) : [0, player.length];
  player.setLoop(looping && span[1] - span[0] > NARROWEST_LOOP ? span : null);
}

// --- the stage ------------------------------------------------------------------------------------

/** Show the song or the arrangement, at the place that corresponds to where the other one was. */
function show(view) {
  if (view === state.view || (view === "arrangement" && !state.version)) return;
  const before = barsOf(shown());
  const time = player.time;
  state.view = view;
  stage(translate(time, before, barsOf(shown())));
  save();
}

function stage(time = 0) {
  const piece = shown();
  if (!piece) return;
  const arranged = piece !== state.song;
  const { playing } = player;
  const address = `${arranged ? "versions" : "songs"}/${piece.id}`;
  roll.show(piece, arranged, arranged ? compared() : []);
  roll.reveal(time);
  player.load(piece, arranged, `api/${address}/sound.wav`, time);
  if (playing) player.play();
  press($("show-original"), !arranged);
  press($("show-arrangement"), arranged);
  $("show-original").disabled = false;
  $("show-arrangement").disabled = !state.version;
  const style = arranged ? styleTitle(state.version.style) : "";
  const last = arranged ? state.version.report.stopped_after_bar : null;
  const title = arranged ? t("title", { song: songTitle(), style }) : songTitle();
  const part = last === null || last === undefined ? "" : ` (${t("version.stopped", { bar: last })})`;
  $("stage-title").textContent = title + part;
  $("part-1").textContent = t(arranged ? "right" : "accompaniment");
  $("part-2").hidden = !arranged;
  const named = arranged ? ["melody", "right", "left.hand"] : ["melody", "accompaniment"];
  const classes = ["of-melody", "of-right", "of-left"];
  $("legend").replaceChildren(
    ...named.map((key, k) => make("span", { className: classes[k] }, make("i", { textContent: t(key) }))),
  );
  const values = { notes: piece.notes.length, bars: roll.bars.length, key: keyName(piece.key) };
  $("roll-canvas").setAttribute("aria-label", t("roll.text", values));
  showLane(roll);
  showSelection();
  showTime();
  if (piece.feel === "score") score.load(arranged ? "versions" : "songs", piece.id);
  else score.clear(t("score.free"));
}

function songChanged() {
  document.body.classList.toggle("empty", !state.song);
  forgetCompared();
  showSong();
  showVersions();
  if (!state.song) return;
  revealStyle();
  stage();
  roll.fit();
}

async function showResult(version, parent, change) {
  if (version) {
    const time = player.time;
    await add(version, parent, change);
    if (parent) seek(Math.min(time, player.length));
  } else stage();
}

/** What is being written is an arrangement already, and no longer the song. */
function showBegun() {
  press($("show-original"), false);
  press($("show-arrangement"), true);
  for (const name of ["original", "arrangement"]) $(`show-${name}`).disabled = true;
  const style = styleTitle(state.job.style ?? state.settings.style);
  $("stage-title").textContent = t("title.begun", { song: songTitle(), style });
}

function showLive(notes) {
  const tune = state.song.notes.filter((note) => note[5]);
  if (player.playing) player.pause();
  roll.showLive(notes, notes.some((note) => note[5]) ? [] : tune, state.song);
  const last = notes.reduce((most, note) => (note[5] ? most : Math.max(most, note[0])), 0);
  roll.reveal(last);
  $("lane").replaceChildren();
}

// --- controls ------------------------------------------------------------------------------------

function setUpControls() {
  $("play").onclick = () => (player.playing ? player.pause() : player.play());
  $("position").oninput = () => seek((Number($("position").value) / 1000) * player.length);
  $("tempo").oninput = () => {
    player.setRate(Number($("tempo").value) / 100);
    $("tempo-value").textContent = `${$("tempo").value} %`;
  };
  $("loop").onclick = () => {
    press($("loop"), $("loop").getAttribute("aria-pressed") !== "true");
    setLoop();
  };
  const parts = [0, 1, 2].map((k) => $(`part-${k}`));
  for (const part of parts) {
    part.onclick = () => {
      press(part, part.getAttribute("aria-pressed") !== "true");
      player.setSounding(parts.map((one) => one.getAttribute("aria-pressed") === "true"));
    };
  }
  $("more-sound").onclick = () => {
    const opened = document.querySelector(".transport").classList.toggle("open");
    $("more-sound").setAttribute("aria-expanded", String(opened));
  };
  $("show-original").onclick = () => show("original");
  $("show-arrangement").onclick = () => show("arrangement");
  $("zoom-in").onclick = () => roll.zoom(1.4);
  $("zoom-out").onclick = () => roll.zoom(1 / 1.4);
  for (const field of [$("bar-from"), $("bar-to")]) {
    field.onchange = readSelection;
    field.onfocus = () => field.select();
  }
  $("redo-button").onclick = redoSelected;
  $("select-none").onclick = () => select(null);
  addEventListener("visibilitychange", () => document.hidden && stopSample());
  $("help-button").onclick = () => $("help").showModal();
  $("language").onchange = async () => {
    localStorage.setItem("styletransfer.language", $("language").value);
    await speak($("language").value);
    rewrite();
  };
  $("theme").value = document.documentElement.dataset.theme;
  $("theme").onchange = () => {
    document.documentElement.dataset.theme = $("theme").value;
    localStorage.setItem("styletransfer.theme", $("theme").value);
    roll.recolour();
  };
  addEventListener("keydown", key);
  addEventListener("hashchange", fromLink);
}

/** Shortcuts, except where text is typed or a control has a use for the key. */
function key(event) {
  if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  const { target } = event;
  const typed = target.closest("input:not([type=radio], [type=range]), textarea, select");
  if (typed) return;
  const moves = target.closest("input") && event.key.startsWith("Arrow");
  const clicks = target.closest("button, summary, a, input") && event.key === " ";
  if (moves || clicks) return;
  const actions = {
    " ": () => $("play").click(),
    ArrowLeft: () => step(-1, event.shiftKey),
    ArrowRight: () => step(1, event.shiftKey),
    a: () => show(state.view === "original" ? "arrangement" : "original"),
    l: () => $("loop").click(),
    r: redoSelected,
    z: undo,
    Escape: () => (state.job ? stop() : select(null)),
    "?": () => $("help").showModal(),
  };
  const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!action || (!state.song && event.key !== "?")) return;
  event.preventDefault();
  action();
}

/** Everything that the scripts have written, in the language that was just chosen. */
function rewrite() {
  const rows = KEYS.flatMap(([keys, name]) => {
    const caps = keys.split(" ").map((one) => make("kbd", { textContent: t(`key.${one}`) === `key.${one}` ? one : t(`key.${one}`) }));
    return [make("dt", {}, ...caps), make("dd", { textContent: t(name) })];
  });
  $("keys").replaceChildren(...rows);
  showStyles();
  showSong();
  showVersions();
  if (state.song) stage(player.time);
  if (state.job) showBegun();
}

// --- the beginning -----------------------------------------------------------------------------------

/** Settings and song from the address, if it has any. */
async function fromLink() {
  const asked = new URLSearchParams(location.hash.slice(1));
  if (!asked.size) return false;
  for (const [name, value] of Object.entries(DEFAULTS)) {
    const given = asked.get(name);
    if (given === null) continue;
    const read = typeof value === "number" ? Number(given) : given;
    if (!Number.isNaN(read)) state.settings[name] = read;
  }
  history.replaceState(null, "", location.pathname + location.search);
  showSettings();
  const kind = ["example", "abc", "chords_alone"].find((name) => asked.has(name));
  if (!kind) return false;
  const origin = { [kind === "chords_alone" ? "chords" : kind]: asked.get(kind) };
  if (!(await give(origin, origin))) return false;
  const reading = {};
  for (const name of ["melody_track", "transpose"]) if (asked.has(name)) reading[name] = Number(asked.get(name));
  if (Object.keys(reading).length) take(await ask(`songs/${state.song.id}`, reading), state.origin, reading);
  return true;
}

/** What was on the desk before the page was loaded again, as far as the server still has it. */
async function restore() {
  const kept = saved();
  if (location.hash.length > 1 && (await fromLink())) return;
  if (!kept.song) return;
  try {
    const song = await ask(`songs/${kept.song}`, {});
    take(song, kept.origin, kept.reading ?? {});
  } catch {
    return; // the server was started again
  }
  state.history = kept.history ?? [];
  if (kept.version) {
    await open(kept.version);
    if (kept.view === "original") show("original");
  }
  if (kept.job) {
    state.job = kept.job;
    watch();
  }
}

async function begin() {
  Object.assign(state.settings, saved().settings);
  on("song", songChanged);
  on("version", () => {
    forgetCompared();
    showVersions();
    stage();
  });
  on("ghosts", () => stage(player.time));
  on("selection", showSelection);
  on("job", showSelection);
  on("settings", showSettings);
  on("styles", showStyles);
  setUpControls();
  setUpRecording();
  setUpTraining();
  setUpJobs({ begun: showBegun, live: showLive, done: showResult });
  await speak(preferred());
  await Promise.all([setUpSong(), setUpStyles(), setUpVersions()]);
  rewrite();
  await restore();
  keep();
  document.body.dataset.ready = "yes";
}

begin().catch((error) => complain("song-error", error.message));
