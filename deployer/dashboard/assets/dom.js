// Building and replacing parts of the page.

// h makes an element: h("p", {class: "quiet", onclick: f}, "text", child, [more]). Text is never read as HTML.
export function h(tag, props = {}, ...children) {
  const el = document.createElement(tag);
  for (const [name, value] of Object.entries(props)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) el.addEventListener(name.slice(2), value);
    else el.setAttribute(name, value === true ? "" : value);
  }
  el.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false));
  return el;
}

const shown = new WeakMap();

// put fills a part of the page, if its data is other than what it shows. The focus, and what was unfolded, stay.
export function put(el, data, build) {
  const text = JSON.stringify(data);
  if (shown.get(el) === text) return;
  shown.set(el, text);
  const active = el.contains(document.activeElement) ? document.activeElement.id : "";
  const open = new Set([...el.querySelectorAll("details[open][id]")].map((d) => d.id));
  const scroll = el.querySelector(".log")?.scrollTop ?? 0;
  el.replaceChildren(...[build()].flat(Infinity).filter(Boolean));
  for (const d of el.querySelectorAll("details[id]")) d.open = open.has(d.id);
  const log = el.querySelector(".log");
  if (log) log.scrollTop = scroll;
  if (active) document.getElementById(active)?.focus();
}

// say tells a screen reader.
export function say(text) {
  document.getElementById("said").textContent = text;
}

// bar shows how the requests are split.
export function bar(canary, big = false, label = `${100 - canary} % stable, ${canary} % canary`) {
  const box = h("div", { class: big ? "bar big" : "bar", role: "img", "aria-label": label });
  const ns = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(ns, "svg");
  svg.setAttribute("viewBox", "0 0 100 1");
  svg.setAttribute("preserveAspectRatio", "none");
  svg.setAttribute("aria-hidden", "true");
  for (const [x, width, side] of [[0, 100 - canary, "stable"], [100 - canary, canary, "canary"]]) {
    const r = document.createElementNS(ns, "rect");
    for (const [k, v] of Object.entries({ x, width, height: 1, class: `fill-${side}` })) r.setAttribute(k, v);
    svg.append(r);
  }
  box.append(svg);
  return box;
}
