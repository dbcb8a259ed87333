// The page's languages: one file of JSON each.

import { $ } from "./dom.js";

const LANGUAGES = ["en", "de"];
let words = {};
export let language = "en";

/** The text of a key, with {names} replaced; a plural takes `key.one` where `count` is 1. */
export function t(key, values = {}) {
  const text = (values.count === 1 && words[`${key}.one`]) || words[key] || key;
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/** A number as the language writes it. */
export const number = (value, digits = 0) =>
  value.toLocaleString(language, { minimumFractionDigits: digits, maximumFractionDigits: digits });

/** Minutes and seconds. */
export function clock(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
}

/** The language that was chosen earlier, or the browser's. */
export function preferred() {
  const saved = localStorage.getItem("styletransfer.language");
  const found = [saved, ...navigator.languages.map((name) => name.slice(0, 2))];
  return found.find((name) => LANGUAGES.includes(name)) ?? "en";
}

/** Fetch a language and write the page in it. */
export async function speak(name) {
  words = await (await fetch(`locales/${name}.json`)).json();
  language = name;
  document.documentElement.lang = name;
  $("language").value = name;
  for (const node of document.querySelectorAll("[data-t]")) node.textContent = t(node.dataset.t);
  const attributes = { tLabel: "aria-label", tPlaceholder: "placeholder", tTitle: "title" };
  for (const [from, to] of Object.entries(attributes)) {
    const marked = `[data-${from.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}]`;
    for (const node of document.querySelectorAll(marked)) node.setAttribute(to, t(node.dataset[from]));
  }
}
