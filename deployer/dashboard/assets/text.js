// How things are put into words and numbers.
import { h } from "/assets/dom.js";

let skew = 0; // of the daemon's clock against this one, in milliseconds

export function setClock(date) {
  skew = date ? new Date(date) - Date.now() : 0;
  if (Math.abs(skew) < 2000) skew = 0; // the header has whole seconds
}

export const now = () => Date.now() + skew;
export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const day = (at) => new Date(at).toLocaleString([], { dateStyle: "medium", timeStyle: "short" });

// span writes a time of so many milliseconds.
export function span(ms) {
  const s = Math.max(0, Math.round(ms / 1000));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
}

// held writes a duration of the daemon, like 1m0s, without its zeros.
export const held = (text) => text.replace(/m0s$/, "m").replace(/h0m$/, "h");

const tones = { Done: "good", RolledBack: "bad", NeedsHuman: "bad", Aborting: "warn", Held: "warn" };
const outcomes = { pass: "good", fail: "bad", inconclusive: "warn", source_down: "warn" };
const names = { RolledBack: "Rolled back", NeedsHuman: "Needs a person" };

export const phaseName = (p) => names[p] ?? p;
export const tag = (p) => h("span", { class: `tag ${tones[p] ?? ""}` }, phaseName(p));
export const outcome = (o) => h("span", { class: outcomes[o] ?? "quiet" }, o.replace("_", " "));
export const inStep = (p) => ["Shifting", "Settling", "Baking", "Judging"].includes(p);
export const percent = (share, digits = 2) => `${(share * 100).toLocaleString([], { maximumFractionDigits: digits })} %`;
export const ms = (seconds) => `${(seconds * 1000).toLocaleString([], { maximumSignificantDigits: 3 })} ms`;
export const number = (x) => x.toLocaleString([], { maximumSignificantDigits: 4 });

// countdown is an element that counts down by itself.
export function countdown(deadline) {
  return h("span", { class: "countdown", "data-deadline": deadline }, left(deadline));
}

function left(deadline) {
  const ms = new Date(deadline) - now();
  return ms > 0 ? `${span(ms)} left` : "due";
}

// tick brings all countdowns up to date.
export function tick() {
  for (const el of document.querySelectorAll("[data-deadline]")) {
    const text = left(el.dataset.deadline);
    if (el.textContent !== text) el.textContent = text;
  }
}
