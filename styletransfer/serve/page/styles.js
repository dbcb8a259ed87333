// Styles as cards, blends, and the other settings of an arrangement.

import { $, choice, complain, make } from "./dom.js";
import { DEFAULTS, changed, nameOf, save, shortName, state } from "./store.js";
import { number, t } from "./words.js";
import { ask, sound } from "./api.js";

const ERAS = ["baroque", "classical", "romantic", "modern"];
const FIELDS = ["strength", "candidates", "chords", "keep", "on_top", "difficulty", "span", "feel", "seed"];
const NUMBERS = ["strength", "candidates", "seed"];
let era = "";
let sample = null; // {name, button, audio, waits}: the style that is heard, or waited for

/** Fill the choices and listen to them. */
export async function setUpStyles() {
  $("style-search").oninput = showCards;
  $("blend-style").onchange = () => set("second", $("blend-style").value);
  $("blend-slider").oninput = () => set("share", Number($("blend-slider").value));
  $("chord-line").oninput = () => set("line", $("chord-line").value);
  for (const name of FIELDS) {
    const read = () => ($(name).reportValidity() ? $(name).value : DEFAULTS[name]);
    const event = $(name).type === "range" ? "oninput" : "onchange";
    $(name)[event] = () => set(name, NUMBERS.includes(name) ? Number(read()) : read());
  }
  const { options } = await ask("options");
  for (const name of NUMBERS) {
    if ($(name).type === "range") $(name).max = String(Math.min(Number($(name).max), options[name].maximum));
  }
  await loadStyles();
}

export async function loadStyles() {
  state.styles = await ask("styles");
  if (!state.styles.some((style) => style.name === state.settings.style)) {
    state.settings.style = state.styles[0]?.name ?? "";
  }
  showStyles();
}

function set(name, value) {
  state.settings[name] = value;
  showSettings();
  changed("settings");
}

/** Write everything about styles and settings, as after a change of language. */
export function showStyles() {
  const eras = ["", ...ERAS.filter((name) => state.styles.some((style) => style.era === name))];
  const own = state.styles.some(isOwn) ? ["own"] : [];
  const chips = [...eras, ...own].map((name) =>
    make("button", {
      type: "button",
      textContent: t(`era.${name || "all"}`),
      "aria-pressed": String(name === era),
      onclick: () => {
        era = name;
        showStyles();
        $("eras").querySelector('[aria-pressed="true"]').focus();
      },
    }),
  );
  $("eras").replaceChildren(...chips);
  const options = sorted(state.styles).map((style) => choice(style.name, nameOf(style.name)));
  $("blend-style").replaceChildren(choice("", t("blend.none")), ...options);
  $("redo-style").replaceChildren(
    choice("", t("redo.same")),
    ...options.map((option) => option.cloneNode(true)),
  );
  $("train-era").replaceChildren(...[...ERAS, "unknown"].map((name) => choice(name, t(`era.${name}`))));
  showCards();
  showSettings();
}

const isOwn = (style) => style.kind === "user";

/** Styles as all lists have them: composers by surname, eras, the others. */
function sorted(styles) {
  const rank = (style) => (style.kind === "era" ? 1 : style.kind === "composer" ? 0 : 2);
  const last = (style) => `${shortName(style.name)} ${nameOf(style.name)}`;
  return [...styles].sort((a, b) => rank(a) - rank(b) || last(a).localeCompare(last(b)));
}

function showCards() {
  const plain = (text) => text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
  const searched = plain($("style-search").value.trim());
  const fits = (style) =>
    (!era || (era === "own" ? isOwn(style) : style.era === era)) &&
    plain(`${nameOf(style.name)} ${style.name} ${t(`era.${style.era}`)}`).includes(searched);
  const found = sorted(state.styles.filter(fits));
  stopSample();
  $("styles").replaceChildren(...found.map(card));
  $("style-none").hidden = found.length > 0;
  revealStyle();
}

/** Scroll the chosen card into view within its list; the page stays where it is. */
export function revealStyle() {
  const one = $("styles").querySelector("input:checked")?.parentElement.getBoundingClientRect();
  const list = $("styles").getBoundingClientRect();
  if (one && (one.top < list.top || one.bottom > list.bottom)) $("styles").scrollTop += one.top - list.top - 60;
}

function card(style) {
  const id = `style-${style.name}`;
  const radio = make("input", {
    type: "radio",
    name: "style",
    id,
    value: style.name,
    checked: style.name === state.settings.style,
    onchange: () => set("style", style.name),
  });
  const short = shortName(style.name);
  const first = nameOf(style.name).slice(0, -short.length).trim();
  const lines = [style.kind === "era" ? t("style.kind.era") : t(`era.${style.era}`)];
  if (style.years) lines.unshift(style.years.replace("-", "–"));
  if (style.pieces) lines.push(t("style.pieces", { count: style.pieces }));
  const face = make("label", { className: "card-face", htmlFor: id });
  face.append(make("b", { textContent: short }));
  if (first) face.append(make("span", { textContent: first }));
  face.append(make("span", { textContent: lines.join(" · ") }));
  const button = make("button", {
    type: "button",
    className: "sample",
    textContent: "▸",
    title: t("style.sample", { name: nameOf(style.name) }),
    "aria-label": t("style.sample", { name: nameOf(style.name) }),
    onclick: () => playSample(style.name, button),
  });
  return make("div", { className: "card" }, radio, face, button);
}

/** Hear four bars in a style; the server makes them when they are first asked for. */
async function playSample(name, button) {
  const again = sample?.name === name;
  stopSample();
  if (again) return;
  const own = (sample = { name, button, waits: new AbortController(), audio: null });
  button.setAttribute("aria-busy", "true");
  complain("sample-error", "");
  try {
    const address = await sound(`styles/${encodeURIComponent(name)}/sample.wav`, own.waits.signal);
    if (sample !== own) return;
    button.removeAttribute("aria-busy");
    button.classList.add("on");
    own.audio = new Audio(address);
    own.audio.onended = stopSample;
    await own.audio.play();
  } catch (error) {
    if (sample !== own) return;
    stopSample();
    complain("sample-error", error.message);
  }
}

/** Be silent, and wait for no sample. */
export function stopSample() {
  if (!sample) return;
  const { button, waits, audio } = sample;
  sample = null;
  waits.abort();
  audio?.pause();
  button.removeAttribute("aria-busy");
  button.classList.remove("on");
}

/** Write the settings into their fields. */
export function showSettings() {
  const { settings } = state;
  for (const name of FIELDS) $(name).value = String(settings[name]);
  $("strength-value").textContent = number(settings.strength, 1);
  $("candidates-value").textContent = number(settings.candidates);
  $("chord-line-box").hidden = settings.chords !== "line";
  if ($("chord-line").value !== settings.line) $("chord-line").value = settings.line;
  const radio = document.querySelector(`input[name="style"][value="${CSS.escape(settings.style)}"]`);
  if (radio && !radio.checked) {
    radio.checked = true;
    revealStyle();
  }
  const second = settings.second && settings.second !== settings.style ? settings.second : "";
  $("blend-style").value = second;
  $("blend-share").hidden = !second;
  $("blend-slider").value = String(settings.share);
  $("blend-text").textContent = t("blend.share", {
    first: nameOf(settings.style),
    one: 100 - settings.share,
    second: nameOf(second),
    two: settings.share,
  });
  save();
}

/** The options of a job, from the settings. */
export function optionsOf(settings) {
  const { strength, candidates, keep, span, feel, seed } = settings;
  const tops = { below: true, around: false };
  const chords = settings.chords === "line" ? settings.line.trim() || "new" : settings.chords;
  const difficulty = settings.difficulty === "auto" ? null : settings.difficulty;
  const on_top = tops[settings.on_top] ?? null;
  return { strength, candidates, keep, span, feel, seed, chords, on_top, difficulty };
}
