// The page of one model.
import { buttons } from "/assets/acts.js";
import { charts } from "/assets/charts.js";
import { bar, h, put, say } from "/assets/dom.js";
import { close, listen } from "/assets/live.js";
import { clock, countdown, day, held, inStep, number, outcome, phaseName, tag } from "/assets/text.js";

export function model(main, name, session) {
  const part = (cls = "card") => h("section", { class: cls });
  const top = part(), sides = h("div", { class: "two" }), steps = part(), log = part(), history = part();
  const live = h("section", { class: "charts", "aria-label": "Live charts" });
  main.append(h("h1", {}, name), top, live, sides, h("div", { class: "two" }, steps, log), history);
  const drawn = charts(live);
  const past = {}; // rollouts of the history that were opened
  let phase = "";

  function show(p) {
    const r = p.rollout;
    put(top, [p.stable, p.canary, p.weight, p.shadow, p.epoch, p.ingresses.map((i) => [i.node, i.epoch, i.weight, i.stale]), p.guardian, r && [r.id, r.phase, r.step, r.deadline, r.paused, r.manual, r.reason, r.asked]], () => head(p, session));
    put(sides, [p.releases, p.canary], () => p.releases.map((x) => side(x)));
    put(steps, r && [r.id, r.phase, r.step, r.deadline, r.plan, r.verdicts, r.hooks], () => r ? [h("h2", {}, "Steps"), timeline(r)] : [h("h2", {}, "Steps"), h("p", { class: "quiet" }, "No rollout yet.")]);
    put(log, r?.events, () => [h("h2", {}, "Events"), events(r?.events ?? [])]);
    put(history, p.history, () => [h("h2", {}, "History"), rollouts(p, past)]);
    const said = r ? `${phaseName(r.phase)}, ${p.weight} %` : "";
    if (phase && said !== phase) say(`${name}: ${said}`);
    phase = said;
  }

  listen(`/api/v1/models/${name}/events`, {
    page: show,
    samples: drawn.add,
    gone: (problem) => put(top, problem, () => h("p", { class: "bad" }, problem.detail)),
  });
  return () => { close(); drawn.end(); };
}

function head(p, session) {
  const r = p.rollout;
  return [
    h("div", { class: "row" }, r && tag(r.phase), h("p", { id: "state", class: "grow" }, state(p))),
    bar(p.weight, true),
    h("p", { class: "quiet" }, p.canary && `Intended: ${100 - p.weight} % stable, ${p.shadow ? "copies to the canary" : `${p.weight} % canary`}. `, served(p)),
    r?.reason && h("p", { class: r.phase === "Done" ? "" : "bad", id: "reason" }, r.reason),
    r?.active && h("p", { class: p.guardian ? "quiet" : "bad" }, p.guardian ? `Guarded by ${p.guardian}.` : "Nobody guards it at the moment."),
    (r?.asked ?? []).map((q) => h("p", { class: "warn" }, `Asked to ${q.verb} by ${q.by}${q.why ? `: ${q.why}` : ""}. The guardian has not taken it up yet.`)),
    h("div", { class: "row", role: "group", "aria-label": "Acts" }, buttons(p, session)),
  ];
}

function state(p) {
  const r = p.rollout;
  if (!r) return p.stable ? `${p.stable} serves.` : "Nothing is recorded: passing instances that are no canaries serve.";
  if (!r.active) return r.phase === "Done" ? `${r.release} is stable since ${day(r.since)}.` : `${r.release} was taken back ${day(r.since)}; ${p.stable} serves.`;
  return [`${r.from} → ${r.release}`, inStep(r.phase) && `, step ${r.step + 1} of ${r.plan.length}`, r.deadline && [", ", countdown(r.deadline)]];
}

// served says what the ingresses really do.
function served(p) {
  if (!p.ingresses.length) return "No ingress is there.";
  if (!p.canary) return `All requests go to stable, at ${p.ingresses.length === 1 ? "one ingress" : `${p.ingresses.length} ingresses`}.`;
  const words = p.ingresses.map((i) => {
    const what = i.stale ? "0 %, it is cut off from Consul" : i.weight === null ? `on the way (${i.epoch || "nothing yet"})` : `${i.weight} %`;
    return h("span", { class: i.stale ? "bad" : i.weight === p.weight ? "" : "warn" }, `${i.node}: ${what}`);
  });
  return ["The canary really gets, by ingress: ", words.flatMap((w, i) => (i ? ["; ", w] : [w])), "."];
}

function side(x) {
  return h("section", { class: `card side ${x.role}` },
    h("h2", {}, `${x.role[0].toUpperCase()}${x.role.slice(1)}: `, h("span", { class: "id" }, x.release)),
    h("dl", {},
      h("dt", {}, "Traffic"), h("dd", {}, `${x.weight} %`),
      x.version && [h("dt", {}, "Version"), h("dd", {}, x.version, x.color && h("span", { class: "quiet" }, ` ${x.color}`))],
      x.digest && [h("dt", {}, "Digest"), h("dd", { class: "mono", title: x.digest }, `${x.digest.slice(0, 19)}…`)]),
    x.instances.length ? h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": `Instances of ${x.release}` }, instances(x.instances)) : h("p", { class: "quiet" }, "No instances."));
}

function instances(all) {
  return h("table", {},
    h("thead", {}, h("tr", {}, ["Instance", "Health", "Checks"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, all.map((i) => h("tr", {},
      h("th", { scope: "row", class: "mono", title: i.alloc }, i.addr),
      h("td", { class: i.status === "passing" ? "good" : "bad" }, i.status),
      h("td", {}, checks(i.checks))))));
}

// checks names those that pass, and tells what the others say.
function checks(all) {
  const well = all.filter((c) => c.status === "passing").map((c) => c.name);
  return [
    all.filter((c) => c.status !== "passing").map((c) => h("div", { class: "bad" }, `${c.name}: ${c.output || c.status}`)),
    well.length > 0 && h("div", { class: "quiet" }, well.join(", ")),
  ];
}

// timeline shows the steps of a rollout with what was judged in each.
function timeline(r) {
  const failed = r.phase === "RolledBack" || r.phase === "Aborting";
  const before = ["Pending", "Placing", "Verifying"].includes(r.phase) || (r.phase === "Held" && r.held_from === "Verifying");
  const over = ["Watching", "Promoting", "Done"].includes(r.phase) || (r.phase === "Held" && r.held_from === "Watching");
  const items = [item(before ? "now" : "done", "Place and verify", before && r)];
  r.plan.forEach((s, i) => {
    const mark = before ? "" : over || i < r.step ? "done" : i > r.step ? "" : failed ? "failed" : "now";
    const what = `${s.shadow ? "Copies of the requests" : `${s.weight} %`}, bakes ${held(s.bake)}${s.manual ? ", then a gate" : ""}`;
    items.push(item(mark, what, mark === "now" && r, r.verdicts.filter((v) => v.step === i && v.weight <= 100), `v-${r.id}-${i}`));
  });
  items.push(item(r.phase === "Done" ? "done" : over ? "now" : "", `Watch ${held(r.watch)} at 100 %, promote`, over && r.phase !== "Done" && r));
  if (failed) items.push(item(r.phase === "Aborting" ? "now" : "failed", r.phase === "Aborting" ? "Goes back" : "Taken back", null));
  return [h("ol", { class: "steps" }, items), r.hooks.map((k) => h("p", { class: k.ok ? "quiet" : "bad" }, `hook ${k.key}: ${k.ok ? "succeeded" : "failed"} ${k.said ?? ""}`))];
}

function item(mark, what, now, verdicts = [], id = "") {
  return h("li", { class: mark, "aria-current": mark === "now" ? "step" : undefined }, what,
    now && h("p", {}, phaseName(now.phase), now.deadline && [", ", countdown(now.deadline)]),
    verdicts.map((v, i) => [
      h("p", {}, outcome(v.outcome), ` at ${clock(v.at)}: ${v.evidence}`),
      v.results.length > 0 && h("details", { id: `${id}-${i}` }, h("summary", {}, "Numbers"), numbers(v.results)),
    ]));
}

function numbers(results) {
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Numbers of the verdict" }, h("table", {},
    h("thead", {}, h("tr", {}, ["metric", "outcome", "canary", "stable", "n", "p"].map((t, i) => h("th", { scope: "col", class: i > 1 ? "num" : "" }, t)))),
    h("tbody", {}, results.map((m) => h("tr", { title: m.reason }, h("th", { scope: "row" }, m.metric), h("td", {}, outcome(m.outcome)), [m.canary, m.stable, m.n, m.p].map((x) => h("td", { class: "num" }, number(x))))))));
}

function events(all) {
  if (!all.length) return h("p", { class: "quiet" }, "Nothing yet.");
  return h("ol", { class: "log", reversed: true, tabindex: 0, "aria-label": "Events, newest first" }, all.toReversed().map((e) =>
    h("li", {}, h("time", { datetime: e.at, title: day(e.at) }, clock(e.at)), h("span", {}, phaseName(e.phase)), h("span", {}, e.what, e.by && h("span", { class: "quiet" }, ` (${e.by})`)))));
}

function rollouts(p, past) {
  if (!p.history.length) return h("p", { class: "quiet" }, "No rollout yet.");
  return h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Rollouts, newest first" }, h("table", {},
    h("thead", {}, h("tr", {}, ["Begun", "Release", "From", "End", "By", "Why"].map((t) => h("th", { scope: "col" }, t)))),
    h("tbody", {}, p.history.map((x) => h("tr", {},
      h("td", {}, day(x.created)),
      h("th", { scope: "row", class: "id" }, x.release, more(p.model, x, past)),
      h("td", { class: "id" }, x.from), h("td", {}, tag(x.phase)), h("td", {}, x.by), h("td", {}, x.reason ?? ""))))));
}

// more unfolds a rollout of the history.
function more(model, x, past) {
  const body = h("div", {});
  const fill = (r) => body.replaceChildren(timeline(r)[0], events(r.events));
  const open = async (e) => {
    if (!e.target.open || past[x.id]) return;
    const res = await fetch(`/api/v1/models/${model}/rollouts/${x.id}`).catch(() => null);
    if (!res?.ok) return body.replaceChildren(h("p", { class: "bad" }, "It can't be read now. Fold it and try again."));
    fill((past[x.id] = await res.json()));
  };
  if (past[x.id]) fill(past[x.id]);
  return h("details", { id: `past-${x.id}`, ontoggle: open }, h("summary", {}, "more"), body);
}
