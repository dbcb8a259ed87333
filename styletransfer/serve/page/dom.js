// Small helpers around the document.

/** The element with an id. */
export const $ = (id) => document.getElementById(id);

/** Make an element; `on…` properties are listeners, names with a hyphen attributes. */
export function make(tag, properties = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name.includes("-") || name === "role") node.setAttribute(name, value);
    else node[name] = value;
  }
  node.append(...children);
  return node;
}

/** An option of a select. */
export const choice = (value, text) => make("option", { value, textContent: text });

/** Show a sentence of error at its place, or hide it. */
export function complain(id, sentence) {
  $(id).textContent = sentence ?? "";
  $(id).hidden = !sentence;
}

/** Have a screen reader say a sentence. */
export function announce(sentence) {
  $("live").textContent = sentence;
}

/** Press or release a toggle. */
export const press = (node, on) => node.setAttribute("aria-pressed", String(on));
