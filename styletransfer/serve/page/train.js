// A style of one's own, learnt from files.

import { $, complain } from "./dom.js";
import { ask, follow } from "./api.js";
import { changed, state } from "./store.js";
import { loadStyles } from "./styles.js";
import { clock, number, t } from "./words.js";

let job = null;
let remarks = [];

export function setUpTraining() {
  $("train-button").onclick = () => $("train").showModal();
  $("train-cancel").onclick = async () => {
    if (!job) return $("train").close();
    $("train-text").textContent = t("job.stopping");
    return ask(`jobs/${job}/stop`, {}).catch(() => {});
  };
  $("train-form").onsubmit = (event) => {
    event.preventDefault();
    train();
  };
}

async function train() {
  complain("train-error", "");
  const form = new FormData();
  form.append("name", $("train-name").value);
  form.append("era", $("train-era").value);
  form.append("minutes", $("train-minutes").value);
  for (const file of $("train-files").files) form.append("files", file);
  busy(true);
  remarks = [];
  $("train-text").textContent = t("train.sending");
  try {
    ({ job } = await ask("styles", form));
  } catch (error) {
    over(error.message);
    return;
  }
  const name = $("train-name").value;
  let stage = "";
  follow(job, {
    queued: ({ position }) => say(position ? t("job.queued", { count: position }) : t("job.start")),
    stage: ({ title }) => {
      stage = title;
      say(stage);
    },
    remark: ({ text }) => {
      remarks.push(text);
      say(stage);
    },
    progress: ({ share, seconds_left: left }) => {
      $("train-progress").value = share;
      const time = left === null || left === undefined ? "" : ` · ${t("left", { left: clock(left) })}`;
      say(`${stage} ${number(share * 100)} %${time}`);
    },
    done: async () => {
      over("");
      await loadStyles();
      state.settings.style = name;
      changed("settings");
      changed("styles");
      say(t("train.done", { name }));
    },
    stopped: () => {
      over("");
      say(t("train.stopped"));
    },
    failed: ({ error }) => over(error),
    lost: () => over(t("job.lost")),
  });
}

/** What happens, and below it what was remarked. */
function say(sentence) {
  $("train-text").textContent = [sentence, ...remarks].filter(Boolean).join("\n");
}

function busy(on) {
  $("train-go").disabled = on;
  $("train-progress").hidden = !on;
  $("train-progress").removeAttribute("value");
}

function over(error) {
  job = null;
  busy(false);
  complain("train-error", error);
  if (error) $("train-text").textContent = remarks.join("\n");
}
