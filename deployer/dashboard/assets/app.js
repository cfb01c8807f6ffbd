// The dashboard: which page is shown, to whom.
import { h } from "/assets/dom.js";
import { list } from "/assets/list.js";
import { show } from "/assets/live.js";
import { model } from "/assets/model.js";
import { setClock, tick } from "/assets/text.js";

const main = document.getElementById("main");
let session = null;
let leave = () => {};

function route() {
  leave();
  main.replaceChildren();
  const name = location.pathname.match(/^\/models\/([^/]+)$/)?.[1];
  document.title = name ? `${name} · Weir` : "Weir";
  leave = (name ? model(main, decodeURIComponent(name), session) : list(main)) ?? (() => {});
}

// Links inside the page don't load it anew.
document.addEventListener("click", (e) => {
  const a = e.target.closest("a[data-link]");
  if (!a || e.ctrlKey || e.metaKey || e.shiftKey || e.button !== 0) return;
  e.preventDefault();
  history.pushState(null, "", a.href);
  route();
  main.focus({ preventScroll: true });
  scrollTo(0, 0);
});
addEventListener("popstate", route);
setInterval(() => { tick(); show(); }, 1000);

async function begin() {
  const res = await fetch("/api/v1/session").catch(() => null);
  if (res?.status === 401) return location.assign("/login");
  if (!res?.ok) {
    main.replaceChildren(h("p", { class: "bad" }, "The daemon does not answer. Trying again…"));
    return setTimeout(begin, 2000);
  }
  setClock(res.headers.get("Date"));
  session = await res.json();
  document.getElementById("who").textContent = session.open ? "" : `${session.name}, ${session.role}`;
  document.getElementById("logout").hidden = session.open;
  route();
}

begin();
