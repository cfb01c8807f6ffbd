// What both releases do, live.
import { h, put } from "/assets/dom.js";
import { clock, ms, number, percent } from "/assets/text.js";

const kept = 600; // samples
const one = (x) => number(x);

// Each chart: its unit, the least height of its axis, and its lines, as side, name, value of a Stat, dashed or not.
const kinds = [
  { title: "Requests per second", unit: one, least: 1, lines: [["stable", "stable", (s) => s.rate], ["canary", "canary", (s) => s.rate]] },
  { title: "Errors (5xx)", unit: percent, least: 0.01, lines: [["stable", "stable", (s) => s.errors], ["canary", "canary", (s) => s.errors]] },
  { title: "Latency, median and 99 %", unit: ms, least: 0.001, lines: [["stable", "stable p50", (s) => s.p50], ["stable", "stable p99", (s) => s.p99, true], ["canary", "canary p50", (s) => s.p50], ["canary", "canary p99", (s) => s.p99, true]] },
];

// charts fills a part of the page and returns how to add samples, and how to end.
export function charts(box) {
  let samples = [];
  const all = kinds.map((kind) => chart(kind));
  const outputs = h("div", { class: "card" });
  box.append(...all.map((c) => c.card), outputs);
  drawOutputs(outputs, null);
  const draw = () => all.forEach((c) => c.draw(samples));
  const colours = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => { all.forEach((c) => c.forget()); draw(); };
  const wide = new ResizeObserver(() => all.forEach((c) => c.fit()));
  colours.addEventListener("change", repaint);
  wide.observe(box);
  draw();
  return {
    add(news) {
      samples = samples.concat(news.samples).slice(-kept);
      draw();
      drawOutputs(outputs, news.outputs);
    },
    end() {
      colours.removeEventListener("change", repaint);
      wide.disconnect();
      all.forEach((c) => c.forget());
    },
  };
}

function chart(kind) {
  const place = h("div", { class: "chart", role: "img" });
  const legend = h("div", { class: "legend" });
  const card = h("div", { class: "card" }, h("h2", {}, kind.title), place, legend);
  let plot = null;
  const size = () => ({ width: Math.max(200, place.clientWidth), height: 150 });
  return {
    card,
    forget() { plot?.destroy(); plot = null; },
    fit() { plot?.setSize(size()); },
    draw(samples) {
      const data = [samples.map((s) => new Date(s.at) / 1000), ...kind.lines.map(([side, , of]) => samples.map((s) => (s[side] ? of(s[side]) : null)))];
      plot ??= new uPlot(options(kind, size()), data, place);
      plot.setData(data);
      const last = samples.at(-1);
      const words = kind.lines.map(([side, name, of, dash]) => [side, name, last?.[side] ? kind.unit(of(last[side])) : "no data", dash]);
      place.setAttribute("aria-label", `${kind.title}: ${words.map(([, name, v]) => `${name} ${v}`).join(", ")}`);
      put(legend, words, () => words.map(([side, name, v, dash]) => h("span", { class: `of-${side}${dash ? " dash" : ""}` }, `${name} ${v}`)));
    },
  };
}

function options(kind, size) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("quiet"), grid: { stroke: colour("line"), width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  return {
    ...size,
    legend: { show: false },
    cursor: { drag: { x: false, y: false } },
    scales: { y: { range: (_, __, max) => [0, Math.max(kind.least, (max ?? 0) * 1.1)] } },
    axes: [{ ...axis, space: 80, values: (_, ticks) => ticks.map((t) => clock(t * 1000)) }, { ...axis, size: 56, values: (_, ticks) => ticks.map(kind.unit) }],
    series: [{}, ...kind.lines.map(([side, name, , dash]) => ({ label: name, stroke: colour(side), width: 2, dash: dash ? [2, 4] : undefined, points: { show: false } }))],
  };
}

// drawOutputs shows what was predicted in the last minute: classes, or scores by bucket.
function drawOutputs(box, outputs) {
  const rows = outputs ? distribution(outputs) : [];
  put(box, rows, () => [
    h("h2", {}, "Predictions of the last minute"),
    rows.length ? table(rows) : h("p", { class: "quiet" }, "No predictions were seen."),
  ]);
}

function distribution({ stable, canary }) {
  const [a, b] = [shares(stable), shares(canary)];
  const names = [...new Set([...a.keys(), ...b.keys()])].filter((n) => a.get(n) || b.get(n));
  const biggest = (n) => Math.max(a.get(n) ?? 0, b.get(n) ?? 0);
  const most = stable.classes || canary.classes ? names.sort((x, y) => biggest(y) - biggest(x)).slice(0, 8).sort((x, y) => x.localeCompare(y, undefined, { numeric: true })) : names.slice(0, 12);
  return most.map((n) => [n, a.size ? a.get(n) ?? 0 : null, b.size ? b.get(n) ?? 0 : null]);
}

function shares(counts) {
  let parts = Object.entries(counts.classes ?? {});
  if (!parts.length && counts.scores?.counts) {
    const { edges = [], counts: of } = counts.scores;
    parts = of.map((n, i) => [i < edges.length ? `≤ ${number(edges[i])}` : `> ${number(edges.at(-1) ?? 0)}`, n]);
  }
  const total = parts.reduce((sum, [, n]) => sum + n, 0);
  return new Map(total ? parts.map(([name, n]) => [name, n / total]) : []);
}

function table(rows) {
  const cell = (share, side) => h("td", { class: `num of-${side}` }, share === null ? "–" : percent(share, 1));
  return h("table", {},
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, "prediction"), h("th", { scope: "col", class: "num" }, "stable"), h("th", { scope: "col", class: "num" }, "canary"), h("th", { scope: "col", class: "num" }, "difference"))),
    h("tbody", {}, rows.map(([name, a, b]) => h("tr", {}, h("th", { scope: "row" }, name), cell(a, "stable"), cell(b, "canary"),
      h("td", { class: "num" }, a === null || b === null ? "–" : `${b >= a ? "+" : "−"}${percent(Math.abs(b - a), 1)}`)))));
}
