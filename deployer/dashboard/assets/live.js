// The stream of what changes, and whether what is shown is still true.
import { clock, now, span } from "/assets/text.js";

const silence = 8000; // milliseconds; the daemon sends something at least every 3 s
let source = null;
let retry = 0;
let heard = 0; // when the daemon was last heard
let fresh = null; // what it said of Consul

// listen opens the stream of a path; it replaces the one before. The browser resumes a broken one by itself, with the id
// of the last event; one that was refused is tried again.
export function listen(path, on) {
  close();
  heard = 0;
  fresh = null;
  open(path, on);
}

export function close() {
  clearTimeout(retry);
  source?.close();
  source = null;
}

function open(path, on) {
  const mine = (source = new EventSource(path));
  const take = (name, then) =>
    mine.addEventListener(name, (e) => {
      if (mine !== source) return;
      heard = now();
      then(JSON.parse(e.data));
      show();
    });
  for (const [name, then] of Object.entries(on)) take(name, then);
  take("alive", (f) => (fresh = f));
  mine.onerror = async () => {
    if (mine !== source || mine.readyState !== EventSource.CLOSED) return;
    const res = await fetch("/api/v1/session").catch(() => null);
    if (res?.status === 401) location.assign("/login");
    retry = setTimeout(() => mine === source && open(path, on), 2000);
  };
}

// age is how old the state is, in milliseconds, and why, where that is too old.
function age() {
  if (!heard) return [0, ""];
  const quiet = now() - heard;
  if (quiet > silence) return [quiet, "The daemon does not answer."];
  const confirmed = new Date(fresh?.confirmed ?? 0).getTime();
  if (fresh?.trouble) return [confirmed > 0 ? now() - confirmed : quiet, `The daemon can't read Consul: ${fresh.trouble}.`];
  return [quiet, ""];
}

// show says how old the state is; what is stale is grey.
export function show() {
  const [old, why] = age();
  const line = document.getElementById("fresh");
  const text = !heard ? "connecting…" : why ? `stale for ${span(old)}` : "live";
  if (line.textContent !== text) line.textContent = text;
  document.body.classList.toggle("is-stale", why !== "");
  const banner = document.getElementById("stale");
  const told = why && `${why} What you see is from ${clock(now() - old)}.`;
  if (banner.textContent !== told) banner.textContent = told;
  banner.hidden = !why;
}
