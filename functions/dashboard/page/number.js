// A person: everything sent to a number and what came back, grouped by message, page by page.

import { ApiError, address, get, latest, messagePath, recipientPath } from "./api.js";
import { fill, foreign, h } from "./dom.js";
import { messageLink, row } from "./events.js";
import { csvLink } from "./files.js";
import { plural, when } from "./format.js";
import { empty, failed, into } from "./states.js";
import { badge, chip } from "./status.js";
import { keyOf } from "./story.js";

const PAGE = 50;
/** A page may be empty and still not the last one; this many are asked for at once before the reader decides. */
const PAGES_AT_ONCE = 10;

const RANK = ["received", "sent", "not_sent", "blocked", "failed", "delivered", "read", "clicked"];

export const title = ({ id }) => `Number ${id}`;

export function mount({ main, signal, session, replace, announce }) {
  const run = latest(signal);
  const heading = h("h1", { tabindex: "-1" });
  const tools = h("p", { class: "tools" });
  const body = h("div", { class: "results" });
  fill(main, h("div", { class: "title" }, heading), tools, body);

  let number = "";
  let events = new Map();
  let cursor = null;

  const page = async (from, inner) => {
    let next = from;
    const found = [];
    for (let turn = 0; turn < PAGES_AT_ONCE; turn += 1) {
      const answer = await get(recipientPath(number), { limit: PAGE, cursor: next }, { signal: inner });
      found.push(...answer.events);
      next = answer.cursor;
      if (next === null || found.length) break;
    }
    return { events: found, cursor: next };
  };

  /** A text of digits and dashes may be a message id after all. */
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
    events = new Map();
    cursor = null;
    fill(body);
    const load = async (inner) => {
      let answer;
      try {
        answer = await page(null, inner);
      } catch (error) {
        // No digit in it: it cannot be a number.
        if (!(error instanceof ApiError && error.status === 400)) throw error;
        answer = { events: [], cursor: null };
      }
      const message = !answer.events.length && answer.cursor === null && fallback && (await isMessage(inner));
      return { ...answer, message };
    };
    await into(body, "the events", run, load, (answer) => {
      if (answer.message) return replace("message", number, { from: "number" });
      take(answer);
      draw();
    });
  }

  async function more(button) {
    button.disabled = true;
    const place = button.parentElement;
    try {
      const answer = await run((inner) => page(cursor, inner));
      if (!answer) return;
      const had = events.size;
      take(answer);
      draw();
      announce(`${plural(events.size - had, "older event")} added.`);
      (body.querySelector(".more-events button") ?? body.querySelector(".end"))?.focus();
    } catch (error) {
      fill(place, failed(error, () => { fill(place, button); more(button); }));
    }
  }

  function take(answer) {
    for (const event of answer.events) events.set(keyOf(event), event);
    cursor = answer.cursor;
  }

  function draw() {
    if (!events.size && cursor === null) {
      fill(tools);
      fill(body, empty("Nothing is stored for this number", h("p", null, "Write the number with its country code, such as 919209209291. Events expire after the retention time of this deployment.")));
      return;
    }
    if (!tools.childElementCount) {
      const csv = csvLink("Download as CSV", "events.csv", { href: address(recipientPath(number), { format: "csv" }), signal });
      fill(tools, csv.link, csv.told);
    }
    const opened = new Set([...body.querySelectorAll(".group > details[open]")].map((box) => box.dataset.group));
    const groups = grouped([...events.values()]);
    fill(
      body,
      h("p", { class: "said-short" }, `${plural(groups.length, "message")}, ${plural(events.size, "event")}${cursor === null ? "" : " so far"}, the newest first.`),
      h("ol", { class: "groups" }, groups.map((one) => group(one, opened))),
      cursor === null
        ? h("p", { class: "end muted", tabindex: "-1" }, "These are all events of this number.")
        : h("p", { class: "more-events" }, h("button", { type: "button", onclick: (event) => more(event.currentTarget) }, "Load older events")),
    );
  }

  return {
    update({ id, from }) {
      number = id;
      fill(heading, "Number ", foreign(id, { most: 40, class: "id" }));
      fill(tools);
      if (!session.may.see_numbers) {
        fill(body, empty("Your role sees no numbers", h("p", null, "So it cannot look one up either. Open a message from the live view, or by an id that contains no number.")));
        return;
      }
      first(from !== "message");
    },
  };
}

/**
 * Events by what they belong to: a message with its answers, and with its fallback on another
 * channel, which shares the request. The newest first, as the events are.
 */
function grouped(events) {
  const ids = new Set(events.map((event) => event.message_id));
  const byMessage = new Map();
  for (const event of events) {
    // An answer belongs to what it answers, if that is on this list.
    const id = ids.has(event.in_reply_to) ? event.in_reply_to : event.message_id;
    byMessage.set(id, [...(byMessage.get(id) ?? []), event]);
  }
  const groups = [];
  const byRequest = new Map();
  for (const [id, list] of byMessage) {
    const own = list.filter((event) => event.message_id === id);
    const request = own.find((event) => event.request_id)?.request_id;
    const legs = legsOf(id, own);
    const other = request === undefined ? undefined : byRequest.get(request);
    if (other && !legs.some((leg) => other.legs.some((known) => known.channel === leg.channel))) {
      other.legs.push(...legs);
      other.events.push(...list);
      continue;
    }
    const one = { id, legs, events: [...list] };
    groups.push(one);
    if (request !== undefined) byRequest.set(request, one);
  }
  for (const one of groups) {
    one.legs.sort((a, b) => a.began - b.began);
    one.events.sort((a, b) => b.event_time - a.event_time);
  }
  return groups;
}

/** For each channel of a message the event that got furthest. */
function legsOf(id, own) {
  return [...new Set(own.map((event) => event.channel))].map((channel) => {
    const list = own.filter((event) => event.channel === channel);
    const top = list.reduce((best, event) => (RANK.indexOf(event.status) > RANK.indexOf(best.status) ? event : best));
    return { id, channel, top, began: Math.min(...list.map((event) => event.event_time)) };
  });
}

function group({ id, legs, events }, opened) {
  const ids = new Set(legs.map((leg) => leg.id));
  const answers = events.filter((event) => !ids.has(event.message_id)).length;
  const box = h("details", { "data-group": id }, h("summary", null, plural(events.length, "event"), answers ? `, ${plural(answers, "answer")}` : null));
  const open = () => box.childElementCount === 1 && box.append(h("ol", { class: "events" }, events.map((event) => row(event, { message: event.message_id !== legs[0].id, number: false }))));
  box.addEventListener("toggle", () => box.open && open());
  if (opened.has(id)) {
    open();
    box.open = true;
  }
  return h(
    "li",
    { class: "group panel" },
    h("h2", null, messageLink(legs[0].id)),
    legs.map((leg, index) =>
      h(
        "p",
        { class: "event-head" },
        index > 0 && h("span", { class: "muted" }, "then"),
        badge(leg.channel),
        chip(leg.top.status),
        when(leg.top.event_time),
        leg.id !== legs[0].id && messageLink(leg.id),
        leg.top.remarks && h("span", { class: "remark" }, foreign(leg.top.remarks, { most: 160 })),
      ),
    ),
    box,
  );
}
