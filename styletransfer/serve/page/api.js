// The server's API; all addresses are relative, so that a proxy may serve the page under any path.

import { t, told } from "./words.js";

const [SHORT, LONG] = [500, 10_000]; // milliseconds
let leaving = false; // a page that is left or loaded again loses its connections, too
addEventListener("beforeunload", () => {
  leaving = true;
  setTimeout(() => (leaving = false), LONG);
});

/** What the server refuses, with its sentence. */
export class Refused extends Error {
  constructor(sentence, status) {
    super(sentence);
    this.status = status;
  }
}

/** Ask for JSON; a body that isn't a form is sent as JSON. */
export async function ask(path, body) {
  const form = body instanceof FormData;
  const request =
    body === undefined
      ? {}
      : {
          method: "POST",
          body: form ? body : JSON.stringify(body),
          headers: form ? {} : { "Content-Type": "application/json" },
        };
  const answer = await reach(path, request);
  return answer.json();
}

/** Ask for a file, as an address that the page can play; `signal` cancels it. */
export async function sound(path, signal) {
  return URL.createObjectURL(await (await reach(path, { signal })).blob());
}

/** Ask for text, as a page of score. */
export async function text(path) {
  return (await reach(path, {})).text();
}

async function reach(path, request) {
  let answer;
  try {
    answer = await fetch(`api/${path}`, request);
  } catch (error) {
    if (request.signal?.aborted) throw error;
    throw new Refused(t("server.lost"), 0);
  }
  if (!answer.ok) {
    const details = await answer.json().catch(() => ({}));
    const sentence = details.error ? told(details.error) : `${answer.status} ${answer.statusText}`;
    throw new Refused(sentence, answer.status);
  }
  return answer;
}

/** Follow a job's events; `handlers` has a function for each name, and `lost`. */
export function follow(job, handlers) {
  const source = new EventSource(`api/jobs/${encodeURIComponent(job)}/events`);
  const last = ["done", "failed", "stopped"];
  for (const name of ["queued", "progress", "stage", "remark", "melody", "notes", "chosen", ...last]) {
    source.addEventListener(name, (event) => {
      if (last.includes(name)) source.close();
      const data = JSON.parse(event.data);
      for (const key of ["error", "title", "text"]) if (data[key]) data[key] = told(data[key]);
      handlers[name]?.(data);
    });
  }
  source.onerror = () => {
    if (source.readyState === EventSource.CLOSED) setTimeout(() => handlers.lost?.(), leaving ? LONG : SHORT);
  };
}
