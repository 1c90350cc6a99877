// Dead letters: depths of the queues, reasons, and actions.

import { get, latest, post } from "./api.js";
import { fill, h, table, untrusted } from "./dom.js";
import { fact } from "./events.js";
import { save } from "./files.js";
import { figure, number, plural, when } from "./format.js";
import { empty, failed, into } from "./states.js";

const REASONS = {
  malformed: ["Malformed", "not JSON, or no known envelope"],
  unreadable: ["Unreadable", "a record missing required fields"],
  conflict: ["Conflict", "another event with this key is stored; the first one was kept"],
  exhausted: ["Retries used up", "it could not be stored for twelve days"],
  uncountable: ["Uncountable", "the event is stored, but the counters do not accept it; rebuild the counters, then discard this"],
};
/** Longer than the visibility timeout of one second with which the API reads the queue. */
const INVISIBLE_MS = 1300;
const TRIES = 4;
/** Maximum of dead letters in a response. */
const MAX_SHOWN = 10;

const wait = (ms, signal) =>
  new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); reject(signal.reason); }, { once: true });
  });

export const title = () => "Dead letters";

export function mount({ main, signal, session, announce }) {
  const run = latest(signal);
  const body = h("div", { class: "results" });
  const refresh = h("button", { type: "button", onclick: () => load() }, "Refresh");
  const done = h("p", { class: "tools" });
  /** Discarded dead letters, kept until the user leaves the view. */
  const discarded = [];
  let depths = null;
  let deadLetters = [];
  // One response has the payloads of all; the next request must wait until the messages are visible again.
  const bodies = new Map();
  fill(
    main,
    h("div", { class: "title" }, h("h1", { tabindex: "-1" }, "Dead letters"), h("p", { class: "subtitle" }, "Payloads that could not be stored. They stay in the queue until you try them again or discard them.")),
    h("p", { class: "tools" }, refresh),
    done,
    body,
  );

  async function load({ again = true } = {}) {
    const read = async (inner) => {
      const found = new Map();
      for (let turn = 1; ; turn += 1) {
        const { depths: deep, newest } = await get("api/dead-letters", { content: "masked" }, { signal: inner });
        for (const deadLetter of newest) found.set(deadLetter.id, deadLetter);
        // After a request, also by another user, the dead letters are invisible for a moment.
        if (turn === TRIES || found.size >= Math.min(MAX_SHOWN, total(deep))) {
          return { depths: deep, newest: [...found.values()].sort((a, b) => b.sent_at - a.sent_at) };
        }
        await wait(INVISIBLE_MS, inner);
      }
    };
    const shown = await into(body, "the queues", run, read, (answer) => {
      depths = answer.depths;
      deadLetters = answer.newest;
      draw();
    });
    if (!shown) return;
    announce(`${plural(total(depths), "dead letter")}.`);
    // While other users read the queue, it can seem empty.
    if (again && !deadLetters.length) await wait(INVISIBLE_MS, signal).then(() => load({ again: false }), () => {});
  }

  const total = (of) => of.dead_letter.visible + of.dead_letter.in_flight;

  function draw() {
    const all = total(depths);
    fill(
      body,
      h(
        "dl",
        { class: "cards", "aria-label": "Depth of the queues" },
        card("Dead letters", "dead", all, all ? "action needed" : "no action needed", all ? "failed" : "delivered"),
        card("Waiting to be retried", "retry", depths.retry.visible + depths.retry.in_flight, `${number(depths.retry.in_flight)} being tried now`, "sent"),
      ),
      deadLetters.length > 0 && why(),
      all === 0 && !deadLetters.length
        ? empty("No dead letters", h("p", null, "Every received event is stored, or waits to be stored."))
        : h(
            "section",
            { "aria-labelledby": "dead-letters" },
            h("h2", { id: "dead-letters" }, "Dead letters in the queue"),
            h("p", { class: "summary-line" }, all > deadLetters.length ? `${plural(deadLetters.length, "dead letter")} of about ${number(all)}: a sample, because the queue is not ordered.` : `${plural(deadLetters.length, "dead letter")}, the newest first.`),
            h("ol", { class: "groups" }, deadLetters.map(item)),
          ),
    );
  }

  const card = (name, key, value, note, word) =>
    h("div", { class: `card s-${word}`, "data-kpi": key }, h("dt", null, name), h("dd", null, figure(value, { class: "big" })), h("dd", { class: "note" }, note));

  function why() {
    const counts = new Map();
    for (const deadLetter of deadLetters) counts.set(deadLetter.reason ?? "", (counts.get(deadLetter.reason ?? "") ?? 0) + 1);
    return h(
      "section",
      { class: "panel", "aria-labelledby": "why" },
      h("h2", { id: "why" }, "Reasons"),
      table({
        caption: "Reasons of the dead letters shown below",
        head: ["Reason", "What it means", "Dead letters"],
        rows: [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => [nameOf(reason), REASONS[reason]?.[1] ?? "not from these functions, or part of a large payload", figure(count)]),
        numeric: [2],
      }),
    );
  }

  const nameOf = (reason) => (reason ? (REASONS[reason]?.[0] ?? untrusted(reason, { max: 60 })) : "Foreign");

  function item(deadLetter) {
    const id = `dead-letter-${deadLetters.indexOf(deadLetter)}`;
    const content = h("div", { class: "dead-letter-content" });
    const result = h("div", { class: "dead-letter-result" });
    const box = h(
      "li",
      { class: "group panel", "data-dead-letter": deadLetter.id, "aria-labelledby": id },
      h("h3", { id }, nameOf(deadLetter.reason), deadLetter.function && [" in ", untrusted(deadLetter.function, { max: 60 })]),
      deadLetter.detail && h("p", { class: "remark" }, untrusted(deadLetter.detail)),
      h(
        "dl",
        { class: "facts" },
        deadLetter.received_at !== undefined && fact("Received", when(deadLetter.received_at)),
        fact("In the queue since", when(deadLetter.sent_at)),
        deadLetter.body_bytes !== undefined && fact("Body", plural(deadLetter.body_bytes, "byte")),
        deadLetter.parts !== undefined && fact("Part", `${number(deadLetter.part)} of ${number(deadLetter.parts)} of dead letter `, untrusted(deadLetter.letter, { max: 80 })),
        fact("Id", untrusted(deadLetter.id, { max: 120, class: "id" })),
      ),
      h(
        "p",
        { class: "tools" },
        session.may.see_numbers && deadLetter.body !== undefined && h("button", { type: "button", "data-do": "show", "aria-expanded": "false", onclick: (event) => reveal(event.currentTarget, deadLetter, content) }, "Show content"),
        session.may.redrive && h("button", { type: "button", "data-do": "redrive", onclick: () => act("redrive", deadLetter, box, result) }, "Try again (redrive)"),
        session.may.discard && h("button", { type: "button", class: "danger", "data-do": "discard", onclick: () => act("discard", deadLetter, box, result) }, "Discard"),
      ),
      content,
      result,
    );
    return box;
  }

  /** Shows the payload. Roles that may not see it have no button for it. */
  async function reveal(button, deadLetter, place) {
    if (button.getAttribute("aria-expanded") === "true") {
      fill(place);
      button.setAttribute("aria-expanded", "false");
      fill(button, "Show content");
      return;
    }
    button.disabled = true;
    fill(place, h("p", { class: "loading", role: "status" }, "Loading the content…"));
    try {
      const found = await payload(deadLetter.id);
      const about = found.encoding === "base64" ? "Not text; shown in base64." : "As it was received.";
      fill(
        place,
        h("p", { class: "muted" }, about, found.truncated && ` This is the beginning; the command netcore-webhooks dead-letters show prints all of it.`),
        h("div", { class: "scroll", role: "region", tabindex: "0", "aria-label": "Content of the dead letter" }, untrusted(found.body === "" ? "(empty)" : found.body, { tag: "pre", max: 20_000 })),
      );
      button.setAttribute("aria-expanded", "true");
      fill(button, "Hide content");
    } catch (error) {
      if (signal.aborted) return;
      fill(place, failed(error, () => reveal(button, deadLetter, place)));
    } finally {
      button.disabled = false;
      if (document.activeElement === document.body) button.focus();
    }
  }

  async function payload(id) {
    for (let turn = 0; turn < TRIES && !bodies.has(id); turn += 1) {
      if (turn) await wait(INVISIBLE_MS, signal);
      const answer = await get("api/dead-letters", { content: "full" }, { signal });
      for (const deadLetter of answer.newest) bodies.set(deadLetter.id, deadLetter);
    }
    if (bodies.has(id)) return bodies.get(id);
    throw new Error("The queue did not return this dead letter: it may be handled elsewhere, or the queue is too long.");
  }

  async function act(what, deadLetter, box, result) {
    const confirmed = await confirm(
      what === "redrive"
        ? { title: "Try this dead letter again?", text: "It goes to the retry queue and is read again by the function. If it fails again, it comes back here.", yes: "Try again" }
        : { title: "Discard this dead letter?", text: "It is deleted from the queue; its events will never be stored. You can save it as a file afterwards, until you leave this view.", yes: "Discard", danger: true },
    );
    if (!confirmed) return;
    for (const button of box.querySelectorAll("button")) button.disabled = true;
    fill(result, h("p", { class: "loading", role: "status" }, what === "redrive" ? "Sending it to the retry queue…" : "Discarding…"));
    let answer;
    try {
      // The action applies to all parts of a dead letter.
      answer = await post(`api/dead-letters/${encodeURIComponent(deadLetter.letter ?? deadLetter.id)}/${what}`, {}, { signal });
    } catch (error) {
      if (signal.aborted) return;
      for (const button of box.querySelectorAll("button")) button.disabled = false;
      fill(result, failed(error, () => act(what, deadLetter, box, result)));
      result.querySelector("button").focus();
      return;
    }
    announce(what === "redrive" ? "The dead letter was sent to the retry queue." : "The dead letter was discarded.");
    deadLetters = deadLetters.filter((other) => other !== deadLetter);
    depths = { ...depths, dead_letter: { visible: Math.max(0, total(depths) - 1), in_flight: 0 } };
    draw();
    if (answer.letter) discarded.push(answer.letter);
    fill(done, discarded.length > 0 && [`${plural(discarded.length, "dead letter")} discarded. `, h("button", { type: "button", class: "link", onclick: () => save("discarded-dead-letters.json", "application/json", [JSON.stringify(discarded, null, 2)]) }, "Save what was discarded as a file")]);
    refresh.focus();
    await wait(INVISIBLE_MS, signal).then(() => load(), () => {});
  }

  /** Asks for confirmation. The dialog manages the focus itself. */
  function confirm({ title: heading, text, yes, danger }) {
    return new Promise((resolve) => {
      const dialog = h(
        "dialog",
        { "aria-labelledby": "sure-title", "aria-describedby": "sure-text" },
        h("h2", { id: "sure-title" }, heading),
        h("p", { id: "sure-text" }, text),
        h(
          "p",
          { class: "tools" },
          h("button", { type: "button", autofocus: true, onclick: () => dialog.close("") }, "Cancel"),
          h("button", { type: "button", class: danger ? "danger" : "primary", onclick: () => dialog.close("yes") }, yes),
        ),
      );
      dialog.addEventListener("close", () => {
        dialog.remove();
        resolve(dialog.returnValue === "yes");
      });
      signal.addEventListener("abort", () => dialog.close(""), { once: true });
      document.body.append(dialog);
      dialog.showModal();
    });
  }

  return { update: () => load() };
}
