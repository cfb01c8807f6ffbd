// The list of all models: filtered, a page at a time, so that a thousand are as quick as ten.
import { bar, h, put } from "/assets/dom.js";
import { close, listen } from "/assets/live.js";
import { countdown, inStep, tag } from "/assets/text.js";

const pageSize = 100;
const models = (n) => `${n} model${n === 1 ? "" : "s"}`;
const waiting = ["Held", "NeedsHuman"];
const kinds = {
  all: ["All", () => true],
  active: ["Under way", (m) => m.rollout?.active],
  waiting: ["Waiting for a person", (m) => waiting.includes(m.rollout?.phase)],
  ill: ["Not all instances pass", (m) => m.health.passing < m.health.all],
};

export function list(main) {
  const all = new Map();
  let whole = false;
  let page = 0;
  let due = 0;
  const filter = h("input", { type: "search", id: "filter", class: "grow", placeholder: "Filter by name or release", "aria-label": "Filter by name or release", oninput: () => turn(0) });
  const kind = h("select", { id: "kind", "aria-label": "Which models", onchange: () => turn(0) }, Object.entries(kinds).map(([k, [name]]) => h("option", { value: k }, name)));
  const count = h("p", { class: "quiet", role: "status" });
  const rows = h("div", { class: "card" });
  const pager = h("nav", { class: "row", "aria-label": "Pages" });
  main.append(h("h1", {}, "Models"), h("div", { class: "row" }, filter, kind), count, rows, pager);

  function turn(to) {
    page = to;
    draw();
  }

  function draw() {
    due = 0;
    const words = filter.value.trim().toLowerCase();
    const chosen = [...all.values()].filter(kinds[kind.value][1])
      .filter((m) => !words || [m.model, m.stable, m.canary ?? ""].some((t) => t.toLowerCase().includes(words)))
      .sort((a, b) => (a.model < b.model ? -1 : 1));
    const pages = Math.max(1, Math.ceil(chosen.length / pageSize));
    page = Math.min(page, pages - 1);
    const text = !whole ? "Reading…" : chosen.length === all.size ? models(all.size) : `${chosen.length} of ${models(all.size)}`;
    if (count.textContent !== text) count.textContent = text;
    const here = chosen.slice(page * pageSize, (page + 1) * pageSize);
    put(rows, [whole, here], () => (here.length ? table(here) : h("p", { class: "quiet" }, !whole ? "" : all.size ? "None of the models is like that." : "No models yet: deployer deploy ships the first.")));
    put(pager, [page, pages], () => pages > 1 && [
      h("button", { id: "before", disabled: page === 0, onclick: () => turn(page - 1) }, "Before"),
      h("span", {}, `page ${page + 1} of ${pages}`),
      h("button", { id: "next", disabled: page === pages - 1, onclick: () => turn(page + 1) }, "Next")]);
  }

  listen("/api/v1/events", {
    models(news) {
      whole = true;
      if (news.full) all.clear();
      for (const m of news.changed) all.set(m.model, m);
      for (const name of news.removed) all.delete(name);
      due ||= requestAnimationFrame(draw); // several changes, one drawing
    },
  });
  draw();
  return close;
}

function table(here) {
  return h("table", { class: "models" },
    h("caption", { class: "hidden" }, "Models with their releases, traffic and rollout"),
    h("thead", {}, h("tr", {}, ["Model", "Stable", "Traffic", "Canary", "Rollout", "Passing"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, here.map(row)));
}

function row(m) {
  const canary = m.canary ?? (m.rollout?.active ? m.rollout.release : "");
  return h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `/models/${m.model}`, "data-link": true, id: `m-${m.model}` }, m.model)),
    h("td", { class: "id" }, m.stable || "not recorded"),
    h("td", { class: "wide" }, bar(m.weight)),
    h("td", { class: "id" }, canary && [canary, canary === m.canary && h("span", { class: "quiet" }, m.shadow ? " copies" : ` ${m.weight} %`)]),
    h("td", {}, m.rollout && brief(m.rollout)),
    h("td", { class: m.health.passing < m.health.all ? "num bad" : "num" }, `${m.health.passing} of ${m.health.all}`));
}

function brief(r) {
  return [tag(r.phase), inStep(r.phase) && ` step ${r.step + 1} of ${r.steps} `, r.active && r.deadline && countdown(r.deadline)];
}
