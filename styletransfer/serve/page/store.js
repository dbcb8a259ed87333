// What the page knows, what of it survives a reload, and who is told of changes.

import { t } from "./words.js";

const KEY = "styletransfer.state";
const listeners = new Map();

export const DEFAULTS = {
  style: "bach",
  second: "",
  share: 50,
  strength: 1.5,
  candidates: 8,
  chords: "new",
  line: "",
  keep: "exact",
  feel: "auto",
  on_top: "auto",
  difficulty: "auto",
  span: "medium",
  seed: 0,
};

export const state = {
  song: null, // the song object of the API
  origin: null, // what a link can name: {example}, {abc} or {chords}
  reading: {}, // melody_track and transpose, as they were asked for
  version: null, // the version object of the API
  history: [], // {id, parent, label, note} of this song's versions, oldest first
  settings: { ...DEFAULTS },
  view: "original", // or "arrangement"
  selection: null, // numbers of the first and the last bar
  job: null, // {id, kind} of what runs
  styles: [],
};

/** Call a function whenever something has changed. */
export function on(name, listener) {
  listeners.set(name, [...(listeners.get(name) ?? []), listener]);
}

/** Say that something has changed. */
export function changed(name) {
  save();
  for (const listener of listeners.get(name) ?? []) listener();
}

/** What is on the stage: the song or the arrangement. */
export function shown() {
  return (state.view === "arrangement" && state.version) || state.song;
}

let keeping = false;

/** From now on, changes are kept: once what was kept before is on the desk. */
export function keep() {
  keeping = true;
  save();
}

/** Keep what survives a reload; the music itself is the server's. */
export function save() {
  if (!keeping) return;
  const { origin, reading, history, settings, view, job } = state;
  const kept = { origin, reading, history, settings, view, job };
  kept.song = state.song?.id ?? null;
  kept.version = state.version?.id ?? null;
  localStorage.setItem(KEY, JSON.stringify(kept));
}

/** What was kept. */
export function saved() {
  try {
    return JSON.parse(localStorage.getItem(KEY)) ?? {};
  } catch {
    return {};
  }
}

/** The request for a style, or for two with their shares. */
export function styleOf({ style, second, share }) {
  if (!second || second === style) return style;
  return `${style}:${(100 - share) / 100},${second}:${share / 100}`;
}

/** How one style is called. */
export function nameOf(id) {
  const title = state.styles.find((style) => style.name === id)?.title;
  const own = t(`style.${id}`);
  return title ?? (own === `style.${id}` ? id : own);
}

/** A composer's surname, or how else the style is called. */
export function shortName(id) {
  const style = state.styles.find((one) => one.name === id);
  return style?.kind === "composer" ? nameOf(id).split(" ").at(-1) : nameOf(id);
}

/** How a style is called, or a blend. */
export function styleTitle(name) {
  return name
    .split(",")
    .map((one) => {
      const [id, share] = one.split(":");
      const title = nameOf(id);
      return share ? `${title} ${Math.round(share * 100)} %` : title;
    })
    .join(" + ");
}
