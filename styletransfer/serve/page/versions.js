// Versions: their history, what differs between two, downloads, the judges' verdict.

import { $, announce, choice, make } from "./dom.js";
import { ask } from "./api.js";
import { forgotten } from "./jobs.js";
import { changed, nameOf, save, shortName, state, styleTitle } from "./store.js";
import { keyName } from "./song.js";
import { number, t, told } from "./words.js";

const SHOWN = 5; // labels of a verdict
let files = ["mid", "json"];

export async function setUpVersions() {
  $("undo").onclick = undo;
  $("compare").onchange = compare;
  $("copy-link").onclick = copyLink;
  $("assess").onclick = assess;
  files = (await ask("options")).files;
}

/** Bring a version onto the stage. */
export async function open(id) {
  try {
    state.version = await ask(`versions/${id}`);
    state.view = "arrangement";
  } catch (error) {
    if (!forgotten(error)) throw error;
    state.history = state.history.filter((one) => one.id !== id);
    announce(error.message);
  }
  changed("version");
}

/** A version that was just made: it is added to the history and shown. */
export async function add(id, parent, change) {
  const before = parent ? state.version : null;
  const version = await ask(`versions/${id}`);
  const differs = before ? differences(before, version) : null;
  state.version = version;
  state.view = "arrangement";
  state.history = state.history.filter((one) => one.id !== id);
  state.history.push({
    id,
    parent,
    style: version.style,
    bars: parent ? (version.bars_redone ?? version.report.bars ?? null) : null,
    seed: version.report.seed,
    change,
    stopped: version.report.stopped_after_bar ?? null,
    differs: differs && [differs.added.length, differs.gone.length],
  });
  changed("version");
}

/** Go back to what the version was made from, or to the one before it. */
export async function undo() {
  const at = state.history.findIndex((one) => one.id === state.version?.id);
  if (at < 0 || state.job) return;
  const before = state.history[at].parent ?? state.history[at - 1]?.id;
  if (!before) return;
  announce(t("undone"));
  await open(before);
}

const label = (one) => `${state.history.indexOf(one) + 1}. ${styleTitle(one.style)}`;

function note(one) {
  const seed = t("version.seed", { seed: one.seed });
  const stopped = (one.stopped ?? null) === null ? "" : ` · ${t("version.stopped", { bar: one.stopped })}`;
  return whatChanged(one, seed) + stopped;
}

function whatChanged(one, seed) {
  if (!one.bars) return seed;
  const [added, gone] = one.differs ?? [0, 0];
  const [first, last] = one.bars.split("-");
  const again =
    first === last || !last ? t("version.bar", { bar: first }) : t("version.bars", { bars: `${first}–${last}` });
  const chord = one.change ? ` (${t("version.chord", one.change)})` : "";
  return `${again}${chord}, ${seed} · ${t("version.differs", { added, gone })}`;
}

export function showVersions() {
  const { version, history } = state;
  $("below").hidden = !version;
  $("show-arrangement").disabled = !version;
  if (!version) return;
  const items = history.map((one) => {
    const current = one.id === version.id;
    const button = make(
      "button",
      { type: "button", onclick: () => open(one.id) },
      label(one),
      make("span", { textContent: note(one) }),
    );
    if (current) button.setAttribute("aria-current", "true");
    return make("li", {}, button);
  });
  $("history").replaceChildren(...items.reverse());
  const at = history.findIndex((one) => one.id === version.id);
  $("undo").disabled = at < 0 || !(history[at].parent ?? history[at - 1]);
  const others = history.filter((one) => one.id !== version.id);
  $("compare").replaceChildren(choice("", t("compare.none")), ...others.map((one) => choice(one.id, label(one))));
  $("compare").disabled = !others.length;
  $("compare-text").textContent = "";
  showDownloads();
  showReport();
  $("assess-title").textContent = t("assess.title", { style: shortName(version.style.split(",")[0].split(":")[0]) });
  $("assess").hidden = false;
  $("verdict").replaceChildren();
}

/** Notes of one version that the other hasn't, by onset, pitch and length. */
export function differences(before, after) {
  const name = (note) => `${note[6]} ${note[2]} ${note[7]} ${note[5]}`;
  const without = (notes, others) => {
    const there = new Map();
    for (const one of others) there.set(name(one), (there.get(name(one)) ?? 0) + 1);
    return notes.filter((one) => {
      const left = there.get(name(one)) ?? 0;
      there.set(name(one), left - 1);
      return left <= 0;
    });
  };
  return { added: without(after.notes, before.notes), gone: without(before.notes, after.notes) };
}

let ghosts = [];

/** Notes that are outlined on the roll: those of the version that is compared with. */
export const compared = () => ghosts;

async function compare() {
  const id = $("compare").value;
  ghosts = [];
  if (id) {
    const other = await ask(`versions/${id}`);
    const { added, gone } = differences(other, state.version);
    ghosts = gone;
    $("compare-text").textContent = t("compare.text", { added: added.length, gone: gone.length });
  } else $("compare-text").textContent = "";
  changed("ghosts");
}

/** Forget what was compared. */
export function forgetCompared() {
  ghosts = [];
}

function showDownloads() {
  const links = files.map((type) =>
    make("a", {
      href: `api/versions/${state.version.id}/file?type=${type}`,
      download: "",
      textContent: t(`file.${type}`),
    }),
  );
  $("downloads").replaceChildren(...links);
  $("link-state").textContent = "";
  $("link").hidden = true;
}

/** The address of this page with everything that is needed to make the version again. */
export function linkOf() {
  const asked = new URLSearchParams();
  for (const [name, value] of Object.entries(state.origin ?? {})) {
    asked.set(name === "chords" ? "chords_alone" : name, value);
  }
  for (const [name, value] of Object.entries(state.reading)) asked.set(name, value);
  for (const [name, value] of Object.entries(state.settings)) asked.set(name, value);
  return `${location.origin}${location.pathname}#${asked}`;
}

async function copyLink() {
  const link = linkOf();
  try {
    await navigator.clipboard.writeText(link);
    $("link-state").textContent = t(state.origin ? "link.copied" : "link.file");
  } catch {
    Object.assign($("link"), { hidden: false, value: link }).select();
  }
}

async function assess() {
  const { version } = state;
  $("assess").hidden = true;
  $("verdict").replaceChildren(make("p", { className: "small", textContent: t("assess.wait") }));
  try {
    const found = await ask(`versions/${version.id}/assessment`);
    if (version.id === state.version?.id) showVerdict(found);
  } catch (error) {
    $("verdict").replaceChildren(make("p", { className: "error", textContent: error.message }));
  }
}

/** What a judge's features are about, by how their names begin. */
const TRAITS = [
  [/^(melody|degree in the melody|pitch of the melody|distance of melody)/, "tune"],
  [/^(bass|degree in the bass|pitch of the bass|distance of bass)/, "bass"],
  [/^left hand/, "left"],
  [/^(right hand|interval \d|nearest)/, "lines"],
  [/^outer/, "outer"],
  [/^(chord|degree|pitch classes)/, "harmony"],
  [/^(interval above|spacing|tones|span|gap|notes in the hands)/, "spacing"],
  [/^(rhythm|distance)/, "rhythm"],
  [/^notes on/, "density"],
  [/^comes back/, "returns"],
  [/^(pitch|moment)/, "range"],
];

/** What speaks for a label, or against it, in a musician's words: each trait once. */
function traits(evidence, sign) {
  const sums = new Map();
  for (const [feature, weight] of Object.entries(evidence)) {
    const name = TRAITS.find(([begins]) => begins.test(feature))?.[1];
    if (name) sums.set(name, (sums.get(name) ?? 0) + weight);
  }
  const names = [...sums].filter(([, sum]) => Math.sign(sum) === sign).map(([name]) => name);
  return names.map((name) => t(`trait.${name}`)).join(", ");
}

function showVerdict(found) {
  const rows = (shares) => {
    const list = Object.entries(shares).sort((a, b) => b[1] - a[1]).slice(0, SHOWN);
    const cells = list.flatMap(([name, share]) => {
      const title = name === found.style ? make("b", { textContent: labelName(name) }) : make("span", { textContent: labelName(name) });
      const meter = make("meter", { min: 0, max: 1, value: share, "aria-label": labelName(name) });
      return [title, meter, make("span", { textContent: `${number(share * 100)} %` })];
    });
    return make("div", { className: "bars-list" }, ...cells);
  };
  const small = (textContent) => make("p", { className: "small", textContent });
  const parts = [small(t("assess.composers")), rows(found.composers), small(t("assess.eras")), rows(found.eras)];
  for (const [name, evidence] of Object.entries(found.evidence)) {
    const items = Object.entries(evidence).map(([feature, weight]) => {
      const sign = weight > 0 ? "for" : "against";
      return make("li", { textContent: t(`assess.${sign}`, { feature, weight: number(Math.abs(weight), 2) }) });
    });
    const title = make("summary", { textContent: t("assess.evidence", { name: labelName(name) }) });
    parts.push(make("details", {}, title, make("ul", { className: "evidence" }, ...items)));
  }
  const numbers = make("details", { id: "verdict-numbers" }, make("summary", { textContent: t("assess.numbers") }));
  numbers.append(make("div", { className: "verdict-numbers" }, ...parts));
  $("verdict").replaceChildren(...sentences(found), numbers);
}

/** What the verdict says in a few words. */
function sentences(found) {
  const parts = [];
  const shares = found.style in found.eras ? found.eras : found.composers;
  const likeliest = Object.keys(shares).reduce((best, one) => (shares[one] > shares[best] ? one : best));
  const share = shares[found.style] ?? 0;
  const values = {
    first: labelName(likeliest),
    share: number(share * 100),
    name: found.style ? labelName(found.style) : "",
    rank: 1 + Object.values(shares).filter((other) => other > share).length,
    all: Object.keys(shares).length,
  };
  const verdict = likeliest === found.style ? "assess.yes" : found.style in shares ? "assess.no" : "assess.like";
  parts.push(make("p", {}, make("b", { textContent: t(verdict, values) })));
  const heard = found.style in found.evidence ? found.style : likeliest;
  for (const [key, sign] of [["assess.pro", 1], ["assess.contra", -1]]) {
    const list = traits(found.evidence[heard] ?? {}, sign);
    if (list) parts.push(make("p", { textContent: t(key, { name: labelName(heard), list }) }));
  }
  if (found.melody_f1 !== null && found.melody_f1 !== undefined) {
    parts.push(make("p", { textContent: t("assess.melody", { share: number(found.melody_f1 * 100) }) }));
  }
  const run = found.longest_match_notes;
  if (run !== null && run !== undefined) {
    const text = run ? t("assess.match", { count: run, where: found.longest_match_in ?? "" }) : t("assess.original");
    parts.push(make("p", { textContent: text }));
  }
  return parts;
}

const labelName = (name) => (t(`era.${name}`) === `era.${name}` ? nameOf(name) : t(`era.${name}`));

function showReport() {
  const { report } = state.version;
  const facts = [
    [t("key"), keyName(report.key)],
    [t("report.kept"), t("report.of", { kept: report.melody_notes_kept, all: report.melody_notes })],
    [t("report.notes"), number(report.notes)],
    [t("report.match"), report.longest_match_notes ? number(report.longest_match_notes) : t("report.none")],
    [t("seed"), String(report.seed)],
    [t("report.took"), t("report.seconds", { seconds: number(report.seconds_taken ?? 0, 1) })],
  ];
  const rows = facts.map(([name, value]) =>
    make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value ?? "–" })),
  );
  $("report").replaceChildren(...rows);
  const remarks = (report.remarks ?? []).map(told);
  if (report.octaves_moved) remarks.unshift(t("report.octaves", { count: report.octaves_moved }));
  if (report.copied) remarks.unshift(t("report.copied"));
  if (report.stopped_after_bar !== null && report.stopped_after_bar !== undefined) {
    remarks.unshift(t("report.stopped", { bar: report.stopped_after_bar }));
  }
  $("report-remarks").replaceChildren(...remarks.map((textContent) => make("li", { textContent })));
  save();
}
