// A person: the conversation with a number, newest first, in pages. A message, its delivery and the replies to it
// are one entry.

import { ApiError, address, get, latest, messagePath, recipientPath } from "./api.js";
import { fill, h, untrusted } from "./dom.js";
import { contentOf, messageLink, numberLink, row } from "./events.js";
import { csvLink } from "./files.js";
import { personKind, plural, when } from "./format.js";
import { empty, failed, into } from "./states.js";
import { badge, chip } from "./status.js";

const PAGE = 50;
/** An empty page may not be the last one. Maximum of empty pages that are skipped before the user must continue. */
const PAGES_AT_ONCE = 10;

export const title = ({ id }) => `${personKind(id)} ${id}`;

export function mount({ main, signal, session, replace, announce }) {
  const run = latest(signal);
  const heading = h("h1", { tabindex: "-1" });
  const tools = h("p", { class: "tools" });
  const body = h("div", { class: "results" });
  fill(main, h("div", { class: "title" }, heading), tools, body);

  let number = "";
  let count = 0;
  /** Journeys by their first message, with the loaded events; newest first. */
  let journeys = new Map();
  let cursor = null;
  /** All ids of the person, the requested one first. */
  let ids = [];

  const page = async (from, inner) => {
    let next = from;
    const found = { events: [], journeys: [] };
    for (let turn = 0; turn < PAGES_AT_ONCE; turn += 1) {
      const answer = await get(recipientPath(number), { limit: PAGE, cursor: next }, { signal: inner });
      found.events = answer.events;
      found.journeys = answer.journeys;
      found.ids = answer.ids;
      next = answer.cursor;
      if (next === null || found.events.length) break;
    }
    return { ...found, cursor: next };
  };

  /** A text of digits and dashes may also be a message id. */
  const isMessage = async (inner) => {
    try {
      await get(messagePath(number), {}, { signal: inner });
      return true;
    } catch (error) {
      if (error instanceof ApiError && [400, 404].includes(error.status)) return false;
      throw error;
    }
  };

  async function first(fallback) {
    count = 0;
    journeys = new Map();
    cursor = null;
    ids = [];
    fill(body);
    const load = async (inner) => {
      let answer;
      try {
        answer = await page(null, inner);
      } catch (error) {
        // Without digits it is not a number. Without an index no number is found, but a message is.
        const isNone = error instanceof ApiError && (error.status === 400 || (error.status === 404 && fallback && (await isMessage(inner))));
        if (!isNone) throw error;
        answer = { events: [], journeys: [], cursor: null };
      }
      const message = !answer.events.length && answer.cursor === null && fallback && (await isMessage(inner));
      return { ...answer, message };
    };
    await into(body, "the events", run, load, (answer) => {
      if (answer.message) return replace("message", number, { from: "number" });
      add(answer);
      draw();
    });
  }

  async function more(button) {
    button.disabled = true;
    const place = button.parentElement;
    try {
      const answer = await run((inner) => page(cursor, inner));
      if (!answer) return;
      const had = count;
      add(answer);
      draw();
      announce(`${plural(count - had, "older event")} added.`);
      (body.querySelector(".more-events button") ?? body.querySelector(".end"))?.focus();
    } catch (error) {
      fill(place, failed(error, () => { fill(place, button); more(button); }));
    }
  }

  function add(answer) {
    ids = answer.ids ?? ids;
    for (const { journey, outcome, events } of answer.journeys) {
      const id = (journey[0] ?? outcome).message_id;
      const known = journeys.get(id) ?? { id, journey, outcome, events: [] };
      known.events.push(...events.map((position) => answer.events[position]));
      journeys.set(id, known);
    }
    count += answer.events.length;
    cursor = answer.cursor;
  }

  function draw() {
    if (!count && cursor === null) {
      fill(tools);
      fill(body, empty(number.includes(":") ? "Nothing is stored for this person" : "Nothing is stored for this number", h("p", null, "Write a number with its country code, such as 919209209291. Events expire after the retention time of this deployment.")));
      return;
    }
    if (!tools.childElementCount) {
      const csv = csvLink("Download as CSV", "events.csv", { href: address(recipientPath(number), { format: "csv" }), signal });
      fill(tools, csv.link, csv.status);
    }
    const opened = new Set([...body.querySelectorAll(".group > details[open]")].map((box) => box.dataset.group));
    fill(
      body,
      h("p", { class: "summary-line" }, `${plural(journeys.size, "message")}, ${plural(count, "event")}${cursor === null ? "" : " so far"}, the newest first.`),
      ids.length > 1 && h("p", { class: "muted" }, "Also known as ", ids.slice(1).map((id, index) => [index ? ", " : null, numberLink(id)]), "."),
      h("ol", { class: "groups" }, [...journeys.values()].map((one) => group(one, opened))),
      cursor === null
        ? h("p", { class: "end muted", tabindex: "-1" }, "These are all events of this person.")
        : h("p", { class: "more-events" }, h("button", { type: "button", onclick: (event) => more(event.currentTarget) }, "Load older events")),
    );
  }

  return {
    update({ id, from }) {
      number = id;
      fill(heading, `${personKind(id)} `, untrusted(id, { max: 40, class: "id" }));
      fill(tools);
      if (!session.may.see_numbers) {
        fill(body, empty("Your role does not see phone numbers", h("p", null, "It cannot search for them either. Open a message from the live view, or by an id that contains no number.")));
        return;
      }
      first(from !== "message");
    },
  };
}

/** A journey as a list item: the message with its result, the replies below it, and all events collapsed. */
function group({ id, journey, outcome, events }, opened) {
  const ids = new Set(journey.map((leg) => leg.message_id));
  const answers = events.filter((event) => !ids.has(event.message_id)).length;
  const box = h("details", { "data-group": id }, h("summary", null, plural(events.length, "event"), answers ? `, ${plural(answers, "reply", "replies")}` : null));
  const open = () => box.childElementCount === 1 && box.append(h("ol", { class: "events" }, events.map((event) => row(event, { message: event.message_id !== id, number: false }))));
  box.addEventListener("toggle", () => box.open && open());
  if (opened.has(id)) {
    open();
    box.open = true;
  }
  const inOrder = [...events].sort((a, b) => a.event_time - b.event_time);
  const own = inOrder.filter((event) => ids.has(event.message_id) && event.status !== "clicked" && !outcome.incoming);
  const replies = inOrder.filter((event) => !own.includes(event) && (outcome.incoming || event.status === "clicked" || event.status === "received"));
  const text = own.map(contentOf).find((parts) => parts.length > 0);
  return h(
    "li",
    { class: "group" },
    h(
      "div",
      { class: outcome.incoming ? "bubble is-person" : "bubble" },
      h("h2", null, messageLink(id)),
      text,
      !outcome.incoming && campaign(own),
      journey.map((leg, index) =>
        h(
          "p",
          { class: "event-head" },
          index > 0 && h("span", { class: "muted" }, "then"),
          badge(leg.channel),
          chip(leg.state),
          when(leg.state_time),
          leg.message_id !== id && messageLink(leg.message_id),
          leg.reason && h("span", { class: "remark" }, untrusted(leg.reason, { max: 160 })),
        ),
      ),
      outcome.incoming && inOrder.map(contentOf),
      outcome.incoming && box,
    ),
    !outcome.incoming && replies.map(reply),
    !outcome.incoming && box,
  );
}

const campaign = (events) => {
  const name = events.map((event) => event.campaign).find((value) => typeof value === "string" && value);
  return name && h("p", { class: "muted" }, "Campaign ", untrusted(name, { max: 80 }));
};

/** What the person answered or tapped. */
const reply = (event) =>
  h("div", { class: "bubble is-person", "data-reply": event.message_id }, contentOf(event), h("p", { class: "event-head" }, badge(event.channel), chip(event.status), when(event.event_time)));
