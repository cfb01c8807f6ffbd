// What an operator may do, each with a confirmation and a reason.
import { h, say } from "/assets/dom.js";

const ranks = { viewer: 1, operator: 2, admin: 3 };

// Each act: its button, when it makes sense, what the confirmation says, whether it goes back, whether a reason is a must.
const acts = [
  { verb: "approve", name: "Approve", when: (r) => gate(r), text: (r) => `${r.release} goes on past the gate.`, primary: true },
  { verb: "reject", name: "Reject", when: (r) => gate(r), text: (r) => `All requests go back to ${r.from}.`, danger: true, reason: true },
  { verb: "promote", name: "Promote", when: (r) => ["Baking", "Judging", "Watching"].includes(r.phase) || (r.phase === "Held" && r.manual), text: () => "The rollout goes on to its next step at once.", primary: true },
  { verb: "full", name: "Promote fully", when: (r) => r.active && !late(r) && r.phase !== "NeedsHuman", text: () => "The rollout goes to 100 % at once and commits without baking.", reason: true },
  { verb: "pause", name: "Pause", when: (r) => r.active && !late(r) && !r.paused && !["Held", "NeedsHuman"].includes(r.phase), text: () => "The rollout holds at its present weight. A canary that turns bad is still taken back." },
  { verb: "resume", name: "Resume", when: (r) => r.active && r.paused && !late(r), text: () => "The step is taken up again, with its bake anew.", primary: true },
  { verb: "abort", name: "Abort", when: (r) => r.active && r.phase !== "Aborting", text: (r) => `All requests go back to ${r.from}.`, danger: true, reason: true },
  { verb: "revert", name: "Go back a release", when: (r) => !r.active, text: (r, p) => `The release that was stable before ${p.stable} comes back, in one switch.`, danger: true, reason: true },
];

const gate = (r) => r.phase === "Held" && !r.manual && !r.paused;
const late = (r) => ["Aborting", "Promoting"].includes(r.phase);

// buttons are those that make sense now, for somebody who may act.
export function buttons(page, session) {
  if (ranks[session.role] < ranks.operator || !page.rollout) return [];
  return acts.filter((a) => a.when(page.rollout)).map((a) =>
    h("button", { id: `act-${a.verb}`, class: [a.primary && "primary", a.danger && "danger"].filter(Boolean).join(" "), onclick: () => ask(a, page, session) }, a.name));
}

const el = (id) => document.getElementById(id);

// ask opens the confirmation.
function ask(act, page, session) {
  el("ask-title").textContent = `${act.name}: ${page.model}`;
  el("ask-text").textContent = act.text(page.rollout, page);
  el("ask-do").textContent = act.name;
  el("ask-do").className = act.danger ? "primary danger" : "primary";
  el("ask-why").value = "";
  el("ask-why").required = !!act.reason;
  el("ask-trouble").textContent = document.body.classList.contains("is-stale") ? "What you see is stale." : "";
  for (const id of ["ask-by", "ask-by-label"]) el(id).hidden = !session.open;
  el("ask-by").value = localStorage.getItem("by") ?? "";
  const key = crypto.randomUUID?.() ?? String(Math.random()).slice(2) + Date.now(); // one act, however often it is sent
  el("ask-cancel").onclick = () => el("ask").close();
  el("ask-form").onsubmit = (e) => {
    e.preventDefault();
    send(act, page, session, key);
  };
  el("ask").showModal();
  el("ask-why").focus();
}

async function send(act, page, session, key) {
  const body = { verb: act.verb, why: el("ask-why").value.trim() };
  if (page.rollout.active) body.rollout = page.rollout.id;
  if (session.open && el("ask-by").value.trim()) {
    body.by = el("ask-by").value.trim();
    localStorage.setItem("by", body.by);
  }
  el("ask-do").disabled = true;
  try {
    const res = await fetch(`/api/v1/models/${page.model}/acts`, {
      method: "POST",
      headers: { "Content-Type": "application/json", "Idempotency-Key": key, "X-CSRF-Token": session.csrf ?? "" },
      body: JSON.stringify(body),
    });
    if (!res.ok) throw new Error((await res.json()).detail);
    el("ask").close();
    say(`${act.name}: asked`);
  } catch (err) {
    el("ask-trouble").textContent = `Not done: ${err.message}. Try again, or cancel.`;
  } finally {
    el("ask-do").disabled = false;
  }
}
