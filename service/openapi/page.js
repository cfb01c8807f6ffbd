"use strict";
const at = (id) => document.getElementById(id);
const url = new URL("predict", location.href);
let columns = [];

// value reads a cell: a number, text, or nothing at all, which is a missing number.
function value(input) {
  if (input.value === "") return input.types.includes("null") ? null : "";
  const number = Number(input.value);
  return input.types.includes("number") && !Number.isNaN(number) ? number : input.value;
}

// compose writes the request that the form describes.
function compose() {
  const body = { x: [columns.map(value)] };
  if (columns.length && columns.every((c) => c.title)) {
    body.x = [Object.fromEntries(columns.map((c) => [c.title, value(c)]))];
  }
  for (const box of at("options").querySelectorAll("input")) if (box.checked) body[box.name] = true;
  at("body").value = JSON.stringify(body, null, 1);
  curl();
}

function curl() {
  let text = at("body").value;
  try { text = JSON.stringify(JSON.parse(text)); } catch { /* what is not JSON stays as it is */ }
  at("curl").textContent = `curl -d '${text.replaceAll("'", "'\\''")}' ${url}`;
}

async function send(event) {
  event.preventDefault();
  const answer = at("answer"), start = performance.now();
  answer.classList.remove("failed");
  try {
    const response = await fetch(url, {
      method: "POST", body: at("body").value, headers: { "Content-Type": "application/json" },
    });
    const took = (performance.now() - start).toFixed(1);
    const text = await response.text();
    answer.classList.toggle("failed", !response.ok);
    answer.textContent = `${response.status} ${response.statusText} in ${took} ms, ` +
      `release ${response.headers.get("X-Model-Release")}, request ${response.headers.get("X-Request-Id")}\n${text}`;
  } catch (error) {
    answer.classList.add("failed");
    answer.textContent = `No answer: ${error.message}`;
  }
}

// labelled puts an input with a label into a part of the page.
function labelled(into, text, attributes) {
  const label = document.createElement("label"), input = document.createElement("input");
  Object.assign(input, attributes);
  input.addEventListener("input", compose);
  label.append(...(input.type === "checkbox" ? [input, " ", text] : [text, input]));
  at(into).append(label, " ");
  return input;
}

function show(api) {
  const request = api.components.schemas.Request, example = request.examples[0];
  document.title = at("title").textContent = `${api.info.title} ${api.info.version}`;
  at("about").textContent = api.info.description;
  at("path").textContent = url.pathname;
  at("body").value = JSON.stringify(example, null, 1);
  for (const name of ["probabilities", "decision"]) {
    if (request.properties[name].type === "boolean") labelled("options", name, { type: "checkbox", name });
  }
  const list = request.properties.x.anyOf[0].items;
  const count = list.maxItems || 0, cells = list.prefixItems || Array(Math.min(count, 65)).fill(list.items);
  if (count && count <= 64) {
    at("row").hidden = false;
    columns = cells.map((cell, i) => {
      const types = [cell.type].flat();
      return labelled("cells", cell.title || `column ${i}`,
        { types, title: cell.title || "", value: types.includes("number") ? "0" : "text", inputMode: "text" });
    });
    compose();
  }
  for (const box of at("options").querySelectorAll("input")) if (!columns.length) box.disabled = true;
  curl();
}

at("request").addEventListener("submit", send);
at("body").addEventListener("input", curl);
at("body").addEventListener("keydown", (event) => {
  if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) send(event);
});
fetch("openapi.json").then(async (response) => {
  if (!response.ok) throw new Error((await response.json()).error);
  show(await response.json());
}).catch((error) => { at("about").textContent = `No description: ${error.message}`; });
