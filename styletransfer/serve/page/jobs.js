// Arranging: a job is sent, followed while it runs, and can be stopped.

import { $, announce, complain, make } from "./dom.js";
import { Refused, ask, follow } from "./api.js";
import { changed, save, state, styleOf } from "./store.js";
import { optionsOf } from "./styles.js";
import { clock, number, t } from "./words.js";

const COLUMNS = 1020; // pixels from which the settings stand beside the music
const MINIATURE = 52; // pixels of a candidate's picture

/**
 * What has been made so far: notes by phrase and candidate, the tune, and each phrase's choice.
 */
let live = null;
let handlers = null; // {begun(), live(notes), done(version, parent, change)}

export function setUpJobs(listener) {
  handlers = listener;
  $("arrange").onclick = arrange;
  $("stop").onclick = stop;
}

/** Arrange the song as the settings say. */
export async function arrange() {
  if (!state.song || state.job) return;
  const body = { song: state.song.id, style: styleOf(state.settings), ...optionsOf(state.settings) };
  await send("arrange", body, {});
}

/** Make some bars of the version again. */
export async function redo(bars, { style, seed, chords, change = null }) {
  if (!state.version || state.job) return;
  const { strength, candidates } = state.settings;
  const body = { version: state.version.id, bars: [...new Set(bars)].join("-"), seed, strength, candidates };
  if (style) body.style = style;
  if (chords) body.chords = chords;
  await send("redo", body, { parent: state.version.id, change });
}

async function send(kind, body, { parent = null, change = null }) {
  complain("job-error", "");
  $("job-note").textContent = "";
  try {
    const { job, simplified } = await ask("jobs", body);
    state.job = { id: job, kind, parent, change, style: body.style ?? state.version?.style };
    const notes = simplified.map((one) => t("chord.simplified", one));
    $("job-note").textContent = notes.join(" ");
    notes.forEach(announce);
    save();
    watch();
  } catch (error) {
    complain("job-error", error.message);
  }
}

export async function stop() {
  if (!state.job) return;
  $("stop").disabled = true;
  $("progress-text").textContent = t("job.stopping");
  await ask(`jobs/${state.job.id}/stop`, {}).catch(() => {});
}

/** Follow the job that runs, from its start; also after the page was loaded again. */
export function watch() {
  live = { phrases: new Map(), chosen: new Map(), tune: [], wanted: false };
  working(true);
  handlers.begun();
  $("progress").removeAttribute("value");
  $("progress-text").textContent = t("job.start");
  announce(t("job.start"));
  follow(state.job.id, {
    queued: ({ position }) => {
      if (position) $("progress-text").textContent = t("job.queued", { count: position });
    },
    progress: ({ share, seconds_left: left }) => {
      $("progress").value = share;
      const known = left !== null && left !== undefined;
      const values = { percent: number(share * 100), left: known ? clock(left) : "" };
      $("progress-text").textContent = t(known ? "job.left" : "job.share", values);
    },
    melody: ({ notes }) => {
      live.tune = notes;
      drawLive();
    },
    notes: ({ candidate, phrase, notes }) => {
      const made = live.phrases.get(phrase) ?? new Map();
      live.phrases.set(phrase, made);
      made.set(candidate, [...(made.get(candidate) ?? []), ...notes]);
      drawLive();
    },
    chosen: ({ phrase, candidate }) => {
      live.chosen.set(phrase, candidate);
      drawLive();
    },
    done: ({ version }) => finish(version, "job.done"),
    stopped: ({ version }) => finish(version, version ? "job.stopped" : "job.nothing"),
    failed: ({ error }) => finish(null, "", error),
    lost: () => finish(null, "", t("job.lost")),
  });
}

async function finish(version, key, error = "") {
  const { kind, parent, change } = state.job ?? {};
  state.job = null;
  live = null;
  working(false);
  complain("job-error", error);
  if (key) announce(t(key));
  save();
  await handlers.done(version, kind === "redo" ? parent : null, change ?? null);
}

function working(on) {
  const narrow = innerWidth < COLUMNS;
  if (on) (narrow ? document.querySelector(".transport") : document.querySelector(".go")).prepend($("working"));
  $("working").hidden = !on;
  $("arrange").hidden = on;
  $("other-song").disabled = on;
  if (on && narrow) $("stage").scrollIntoView({ block: "start" });
  $("stop").disabled = false;
  for (const id of ["redo-button", "undo"]) $(id).disabled = on;
  if (!on) $("candidates-live").hidden = true;
  changed("job");
}

/** Draw what is there, at most once a frame. */
function drawLive() {
  if (live.wanted) return;
  live.wanted = true;
  requestAnimationFrame(() => {
    if (!live) return;
    live.wanted = false;
    const notes = [];
    const phrases = [...live.phrases.keys()].sort((a, b) => a - b);
    for (const phrase of phrases) {
      const made = live.phrases.get(phrase);
      const chosen = live.chosen.get(phrase);
      for (const [candidate, some] of made) {
        if (chosen !== undefined && candidate !== chosen) continue;
        const faint = chosen === undefined && candidate !== [...made.keys()][0];
        notes.push(...(faint ? some.map((note) => Object.assign([...note], { faint: true })) : some));
      }
    }
    const tune = live.tune;
    handlers.live([...tune, ...notes.filter((note) => !note[5] || !tune.length)], phrases.length);
    drawCandidates(live.phrases.get(phrases.at(-1)));
  });
}

/** The phrase's candidates beside each other, each a small picture. */
function drawCandidates(made) {
  const box = $("candidates-live");
  box.hidden = !made || made.size < 2;
  if (box.hidden) return;
  while (box.children.length < made.size) box.append(make("canvas", { height: MINIATURE }));
  while (box.children.length > made.size) box.lastChild.remove();
  const all = [...made.values()].flat();
  const from = Math.min(...all.map((note) => note[0]));
  const to = Math.max(from + 1, ...all.map((note) => note[1]));
  const low = Math.min(...all.map((note) => note[2])) - 1;
  const high = Math.max(...all.map((note) => note[2])) + 1;
  const style = getComputedStyle(document.documentElement);
  [...made.values()].forEach((notes, k) => {
    const canvas = box.children[k];
    canvas.width = canvas.clientWidth;
    canvas.height = MINIATURE;
    const pen = canvas.getContext("2d");
    for (const note of notes) {
      pen.fillStyle = style.getPropertyValue(note[5] ? "--melody" : note[4] === 3 ? "--left" : "--right");
      const x = ((note[0] - from) / (to - from)) * canvas.width;
      const wide = Math.max(1.5, ((note[1] - note[0]) / (to - from)) * canvas.width);
      pen.fillRect(x, (1 - (note[2] - low) / (high - low)) * (MINIATURE - 3), wide, 2.5);
    }
  });
}

/** Whether a failure means that the server has forgotten what was asked for. */
export const forgotten = (error) => error instanceof Refused && error.status === 404;
