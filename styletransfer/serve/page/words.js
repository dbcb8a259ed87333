// The page's languages: one file of JSON each.

import { $ } from "./dom.js";

const LANGUAGES = ["en", "de"];
let words = {};
let sentences = []; // [pattern, text] for what the server says
export let language = "en";

/** The text of a key, with {names} replaced; a plural takes `key.one` where `count` is 1. */
export function t(key, values = {}) {
  const text = (values.count === 1 && words[`${key}.one`]) || words[key] || key;
  return text.replace(/\{(\w+)\}/g, (all, name) => values[name] ?? all);
}

/**
 * A sentence of the server as the page says it: it speaks English, and of options as the command
 * line does; one that isn't listed stays as it is.
 */
export function told(sentence) {
  for (const [pattern, text] of sentences) {
    const found = pattern.exec(sentence);
    if (found) return text.replace(/\{(\w+)\}/g, (all, name) => found.groups?.[name] ?? all);
  }
  return sentence;
}

const escaped = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

/** A pattern for a sentence in which {names} stand for anything. */
function patternOf(template) {
  const parts = template.split(/\{(\w+)\}/);
  const source = parts.map((part, k) => (k % 2 ? `(?<${part}>.+?)` : escaped(part))).join("");
  return new RegExp(`^${source}$`, "s");
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
  const files = [`locales/${name}.json`, `sentences/${name}.json`];
  const [own, rows] = await Promise.all(files.map(async (file) => (await fetch(file)).json()));
  words = own;
  sentences = Object.entries(rows).map(([template, text]) => [patternOf(template), text]);
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
