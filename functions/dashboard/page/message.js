// One message: the first answer in a sentence, its way over the channels, and the timeline.

import { ApiError, get, latest, messagePath } from "./api.js";
import { fill, foreign, h, icon } from "./dom.js";
import { details, flags, messageLink, numberLink, remark } from "./events.js";
import { dayOf, duration, plural, when } from "./format.js";
import { empty, into } from "./states.js";
import { badge, channelName, chip, status, tone } from "./status.js";
import { everything, headline, present } from "./story.js";

const NUMBER_DIGITS = { least: 6, most: 15 };

export const title = ({ id }) => (id ? `Message ${id}` : "Messages");

export function mount({ main, signal, replace }) {
  const run = latest(signal);
  const heading = h("h1", { tabindex: "-1" });
  const body = h("div", { class: "results" });
  fill(main, h("div", { class: "title" }, heading), body);

  function none(id) {
    fill(
      body,
      empty(
        "No message and no person found",
        h("p", null, "Nothing is stored under ", foreign(id, { most: 120, tag: "code" }), ". Events expire after the retention time of this deployment, and an id must be complete."),
        h("p", null, "Try the person’s number with its country code instead, such as 919209209291."),
      ),
    );
  }

  async function load(id, fallback) {
    const ask = async (inner) => {
      try {
        return await get(messagePath(id), {}, { signal: inner });
      } catch (error) {
        if (error instanceof ApiError && error.status === 404) return null;
        throw error;
      }
    };
    await into(body, "the message", run, ask, (message) => {
      if (message) return draw(message, body, () => load(id, false));
      const count = id.replace(/\D/g, "").length;
      // A number somebody wrote with brackets or a word looks like an id at first.
      if (fallback && count >= NUMBER_DIGITS.least && count <= NUMBER_DIGITS.most) return replace("number", id, { from: "message" });
      none(id);
    });
  }

  return {
    update({ id, from }) {
      if (!id) {
        fill(heading, "Find a message");
        fill(
          body,
          h(
            "div",
            { class: "panel" },
            h("p", null, "Type a message id or a person’s number into the search field above."),
            h("p", null, "A message shows what became of it and how, over all channels. A number shows everything that was sent to a person and what they answered."),
            h("p", { class: "muted" }, "Numbers with country code; spaces, dashes and + do not matter."),
          ),
        );
        return;
      }
      fill(heading, "Message ", foreign(id, { most: 120, class: "id" }));
      load(id, from !== "number");
    },
  };
}

function draw(message, body, reload) {
  const first = headline(message);
  const events = everything(message);
  const number = message.recipient ?? events.find((event) => event.recipient)?.recipient;
  const times = events.map((event) => event.event_time);
  fill(
    body,
    h("p", { class: `answer ${tone(first.state)}` }, icon(status(first.state).icon), h("span", { class: "foreign", dir: "auto" }, foreign(first.text, { most: 2000 }))),
    h(
      "dl",
      { class: "facts" },
      number && [h("dt", null, "Number"), h("dd", null, numberLink(number))],
      h("dt", null, "State"),
      h("dd", null, chip(present(message.journey)?.state ?? message.state ?? "other")),
      message.state_time !== null && message.state_time !== undefined && [h("dt", null, "Since"), h("dd", null, when(present(message.journey)?.state_time ?? message.state_time))],
      message.provider && [h("dt", null, "Provider"), h("dd", null, foreign(message.provider))],
      h("dt", null, "Took"),
      h("dd", null, events.length > 1 ? `${duration(Math.max(...times) - Math.min(...times))}, ${plural(events.length, "event")}` : plural(events.length, "event")),
    ),
    journey(message),
    timeline(message, events),
    h("p", null, h("button", { type: "button", onclick: reload }, "Refresh")),
  );
}

/** The legs as a row of boxes: which channel, how it ended. */
function journey(message) {
  const speaks = present(message.journey);
  return h(
    "section",
    { class: "panel", "aria-labelledby": "journey" },
    h("h2", { id: "journey" }, message.journey.length > 1 ? "The way over the channels" : "Channel"),
    h(
      "ol",
      { class: "legs" },
      message.journey.map((leg) =>
        h(
          "li",
          { class: `leg ${tone(leg.state)}`, "data-leg": leg.channel },
          h("div", { class: "leg-head" }, badge(leg.channel), chip(leg.state)),
          h("div", null, when(leg.state_time)),
          leg.message_id === message.message_id ? h("div", { class: "muted" }, "this message") : h("div", { class: "leg-id" }, messageLink(leg.message_id)),
          leg === speaks && message.journey.length > 1 && h("div", { class: "muted" }, "decides the outcome"),
        ),
      ),
    ),
  );
}

/** Events of the whole journey in order of time, one lane for each channel and one for answers. */
function timeline(message, events) {
  const answers = new Set(message.answers.map((event) => `${event.message_id} ${event.status_key}`));
  const lanes = [...new Set(message.journey.map((leg) => leg.channel))];
  const many = lanes.length > 1;
  let day = null;
  let before = null;
  const items = events.flatMap((event) => {
    const isAnswer = answers.has(`${event.message_id} ${event.status_key}`);
    const lane = Math.min(2, Math.max(0, lanes.indexOf(event.channel)));
    const today = dayOf(event.event_time);
    const gap = before === null ? null : event.event_time - before;
    const heading = today === day ? null : h("li", { class: "day" }, today);
    day = today;
    before = event.event_time;
    const item = h(
      "li",
      { class: `step ${tone(event.status)} lane-${lane}${isAnswer ? " is-answer" : ""}`, "data-channel": event.channel, "data-status": event.status },
      h("span", { class: "dot" }, icon(status(event.status).icon)),
      h(
        "div",
        { class: "step-body" },
        h("div", { class: "event-head" }, chip(event.status), badge(event.channel), when(event.event_time, { clock: true }), gap > 0 && h("span", { class: "muted" }, `+${duration(gap)}`), isAnswer && h("span", { class: "flag" }, "answer"), flags(event)),
        h("div", { class: "event-said" }, remark(event)),
        event.message_id !== message.message_id &&
          h("div", { class: "event-who" }, h("span", { class: "muted" }, isAnswer ? "Answer " : "Message "), messageLink(event.message_id), isAnswer && event.in_reply_to && event.in_reply_to !== message.message_id && [h("span", { class: "muted" }, " to "), messageLink(event.in_reply_to)]),
        isAnswer && event.in_reply_to === message.message_id && h("div", { class: "muted" }, "in reply to this message"),
        details(event),
      ),
    );
    return heading ? [heading, item] : [item];
  });
  return h(
    "section",
    { class: "panel", "aria-labelledby": "timeline" },
    h("h2", { id: "timeline" }, "Timeline"),
    h("p", { class: "said-short" }, `${plural(events.length, "event")} in order of time${many ? `, ${lanes.map((lane) => channelName(lane)).join(" then ")}` : ""}${answers.size ? `, with ${plural(answers.size, "answer")}` : ""}.`),
    h("ol", { class: "timeline" }, items),
  );
}
