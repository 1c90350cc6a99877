// The delivery path and the timeline of a message.

import { h, icon } from "./dom.js";
import { details, flags, messageLink, remark } from "./events.js";
import { dayOf, duration, plural, when } from "./format.js";
import { badge, channelName, chip, status, tone } from "./status.js";
import { answeredOf, isSameLeg, keyOf, nameOf } from "./story.js";

/** Maximum lanes for channels; further channels share the last lane. */
const MAX_LANES = 3;

/** The legs as a row of boxes: channel and final state. */
export function journey(message) {
  return h(
    "section",
    { class: "panel", "aria-labelledby": "journey" },
    h("h2", { id: "journey" }, "Delivery path"),
    h(
      "ol",
      { class: "legs" },
      message.journey.map((leg) =>
        h(
          "li",
          { class: `leg ${tone(leg.state)}`, "data-leg": leg.channel },
          h("div", { class: "leg-head" }, badge(leg.channel), chip(leg.state)),
          h("div", null, when(leg.state_time)),
          nameOf(leg) === nameOf(message) ? h("div", { class: "muted" }, "this message") : h("div", { class: "leg-id" }, messageLink(leg.message_id, nameOf(leg))),
          isSameLeg(leg, message.outcome) && h("div", { class: "muted" }, "final result"),
        ),
      ),
    ),
  );
}

/** Events of the whole journey by time, with one lane for each channel and one for replies. */
export function timeline(message, events) {
  const answers = new Set(message.answers.map(keyOf));
  const channels = [...new Set(message.journey.map((leg) => leg.channel))];
  const count = Math.min(MAX_LANES, Math.max(1, channels.length)) + (answers.size ? 1 : 0);
  const laneOf = (event) => {
    if (answers.has(keyOf(event))) return count - 1;
    return Math.min(Math.max(0, channels.indexOf(event.channel)), MAX_LANES - 1);
  };
  const lanes = events.map(laneOf);
  // A lane branches off the lane of the previous event; a reply branches off the message that it replies to.
  const ends = Array.from({ length: count }, (_, lane) => lanes.lastIndexOf(lane));
  const origins = events.map((event, index) => {
    const lane = lanes[index];
    let from = null;
    if (answers.has(keyOf(event))) {
      const answered = events.findIndex((other) => nameOf(other) === answeredOf(event) && !answers.has(keyOf(other)));
      from = answered >= 0 && answered < index ? lanes[answered] : null;
    } else if (index > 0 && lanes.indexOf(lane) === index) {
      from = lanes[index - 1];
    }
    if (from === null || from >= lane) return null;
    ends[from] = Math.max(ends[from], index);
    return from;
  });
  const rails = (index, heading) =>
    h(
      "span",
      { class: "rails", "aria-hidden": "true" },
      Array.from({ length: count }, (_, lane) => {
        const first = lanes.indexOf(lane);
        const up = first >= 0 && index > first && index <= ends[lane];
        const down = heading ? up : first >= 0 && index < ends[lane] && index >= first;
        return h(
          "span",
          { class: `rail${up ? " up" : ""}${down ? " down" : ""}` },
          !heading && origins[index] === lane && h("span", { class: `hop hop-${lanes[index] - lane}` }),
          !heading && lanes[index] === lane && h("span", { class: "dot" }, icon(status(events[index].status).icon)),
        );
      }),
    );
  let day = null;
  const items = events.flatMap((event, index) => {
    const isAnswer = answers.has(keyOf(event));
    const gap = index ? event.event_time - events[index - 1].event_time : 0;
    const today = dayOf(event.event_time);
    const heading = today === day ? [] : [h("li", { class: "step day" }, rails(index, true), h("div", null, today))];
    day = today;
    const other = nameOf(event) !== nameOf(message);
    return [
      ...heading,
      h(
        "li",
        { class: `step ${tone(event.status)}${isAnswer ? " is-reply" : ""}`, "data-channel": event.channel, "data-status": event.status, "data-event": keyOf(event) },
        rails(index, false),
        h(
          "div",
          { class: "step-body" },
          h("div", { class: "event-head" }, chip(event.status), badge(event.channel), when(event.event_time, { clock: true }), gap > 0 && h("span", { class: "muted" }, `+${duration(gap)}`), isAnswer && h("span", { class: "flag" }, "reply"), flags(event)),
          h("div", { class: "event-text" }, remark(event)),
          other &&
            h(
              "div",
              { class: "event-meta" },
              h("span", null, h("span", { class: "muted" }, isAnswer ? "Reply " : "Message "), messageLink(event.message_id, nameOf(event))),
              isAnswer && event.in_reply_to && h("span", null, h("span", { class: "muted" }, "to "), answeredOf(event) === nameOf(message) ? "this message" : messageLink(event.in_reply_to, answeredOf(event))),
            ),
          details(event),
        ),
      ),
    ];
  });
  return h(
    "section",
    { class: "panel", "aria-labelledby": "timeline" },
    h("h2", { id: "timeline" }, "Timeline"),
    h("p", { class: "summary-line" }, `${plural(events.length, "event")}${events.length > 1 ? " in order of time" : ""}${channels.length > 1 ? `, ${channels.map(channelName).join(" then ")}` : ""}${answers.size ? `, with ${plural(answers.size, "reply", "replies")}` : ""}.`),
    h("ol", { class: "timeline" }, items),
  );
}
