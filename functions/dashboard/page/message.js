// A message: its result in one sentence, what failures mean, its delivery path, and its timeline. It updates
// itself while its result can still change.

import { answerOf, explained } from "./answer.js";
import { ApiError, get, latest, messagePath, now } from "./api.js";
import { copyButton } from "./copy.js";
import { fill, h, icon, untrusted } from "./dom.js";
import { fact, messageLink, numberLink } from "./events.js";
import { duration, personKind, when } from "./format.js";
import { empty, into } from "./states.js";
import { badge, chip, status, tone } from "./status.js";
import { answeredOf, everything, headline, isFinal } from "./story.js";
import { texts } from "./texts/all.js";
import { journey, timeline } from "./timeline.js";

const NUMBER_DIGITS = { min: 6, max: 15 };
/** Maximum pages of events that are loaded for a message. */
const MAX_PARTS = 10;
/** Prefix of tokens, which replace ids that the user's role may not see. */
const TOKEN = "~";

/** Pauses between two requests while the page is open: the first, and the longest. */
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;
/** An open page stops to ask after this time; the button continues. */
const WATCHED_MS = 30 * 60_000;

export const title = ({ id }) => (id ? (id.startsWith(TOKEN) ? "Message" : `Message ${id}`) : "Messages");

export function mount({ main, signal, session, replace, announce }) {
  const run = latest(signal);
  const heading = h("h1", { tabindex: "-1" });
  const notice = h("p", { class: "tools" });
  const body = h("div", { class: "results" });
  const live = h("span", { class: "muted" });
  fill(main, h("div", { class: "title" }, heading), notice, body);
  let timer = null;
  /** The shown response as text, to see changes. */
  let shown = "";
  let pause = FIRST_PAUSE_MS;
  let until = 0;
  /** The message whose result can still change: `{id, message}`, or null. */
  let watched = null;

  const hidden = () => document.visibilityState === "hidden";
  const stop = () => clearTimeout(timer);
  signal.addEventListener("abort", stop);

  function none(id) {
    fill(
      body,
      empty(
        "No message or person found",
        h("p", null, "No message or number found for ", untrusted(id, { max: 120, tag: "code" }), ". Ids must be complete, and events expire after the retention time."),
        h("p", null, "Try the person’s number with its country code instead, such as 919209209291."),
      ),
    );
  }

  async function ask(id, inner) {
    try {
      const message = await get(messagePath(id), {}, { signal: inner });
      // The first response already has the state for all events; the others only add events.
      for (let part = 1; message.cursor && part < MAX_PARTS; part += 1) {
        const { events, cursor } = await get(messagePath(id), { cursor: message.cursor }, { signal: inner });
        message.events.push(...events);
        message.cursor = cursor;
      }
      return message;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return null;
      throw error;
    }
  }

  async function load(id, fallback) {
    stop();
    await into(body, "the message", run, (inner) => ask(id, inner), (message) => {
      if (message) {
        pause = FIRST_PAUSE_MS;
        until = now() + WATCHED_MS;
        return show(id, message);
      }
      const count = id.replace(/\D/g, "").length;
      // A number with brackets or a word looks like an id.
      if (fallback && session.may.see_numbers && count >= NUMBER_DIGITS.min && count <= NUMBER_DIGITS.max) return replace("number", id, { from: "message" });
      none(id);
    });
  }

  function show(id, message) {
    const opened = new Set([...body.querySelectorAll("[data-event]:has(details[open])")].map((step) => step.dataset.event));
    shown = JSON.stringify(message);
    fill(notice);
    fill(heading, "Message ", untrusted(message.message_id, { max: 120, class: "id" }));
    draw(message, body, { reload: () => load(id, false), announce, live });
    watch(id, message);
    for (const step of body.querySelectorAll("[data-event]")) if (opened.has(step.dataset.event)) step.querySelector("details").open = true;
  }

  /** Asks again while the result can change. */
  function watch(id, message) {
    stop();
    watched = isFinal(message, now()) || now() > until ? null : { id, message };
    fill(live, watched && "Updates automatically.");
    if (!watched) return;
    timer = setTimeout(check, pause);
    pause = Math.min(LONGEST_PAUSE_MS, pause * 1.5);
  }

  async function check() {
    if (hidden() || !watched) return;
    const { id, message } = watched;
    let fresh;
    try {
      fresh = await run((inner) => ask(id, inner));
    } catch {
      // The shown result stays; the next request may succeed.
      watch(id, message);
      return;
    }
    if (!fresh) return;
    if (JSON.stringify(fresh) === shown) {
      watch(id, message);
      return;
    }
    pause = FIRST_PAUSE_MS;
    const first = headline(fresh).text;
    // Nothing moves under the focus of a user.
    if (body.contains(document.activeElement)) {
      announce("There are new events.");
      fill(notice, h("button", { type: "button", class: "show-new", onclick: () => { show(id, fresh); heading.focus(); } }, "Show the new events"));
      return;
    }
    show(id, fresh);
    announce(first);
  }

  document.addEventListener("visibilitychange", check, { signal });

  return {
    update({ id, from }) {
      stop();
      watched = null;
      fill(notice);
      if (!id) {
        fill(heading, "Find a message");
        fill(
          body,
          h(
            "div",
            { class: "panel" },
            h("p", null, "Type into the search field above what you know: a message id, a person’s number or its last digits, an e-mail address, a request id, callback data or a campaign. The key / goes to the field."),
            h("p", null, "A message shows its result and its events on all channels. A number shows everything that was sent to a person, and the replies."),
            h("p", { class: "muted" }, "Include the country code if you know it. Spaces, dashes and + are ignored."),
          ),
        );
        return;
      }
      fill(heading, "Message ", !id.startsWith(TOKEN) && untrusted(id, { max: 120, class: "id" }));
      // While this message loads, the previous message must not be shown under its name.
      fill(body);
      load(id, from !== "number");
    },
  };
}

function draw(message, body, { reload, announce, live }) {
  const first = headline(message);
  const events = everything(message);
  const number = message.recipient ?? events.find((event) => event.recipient)?.recipient;
  const further = [...new Set(events.flatMap((event) => event.identities ?? []))].filter((id) => id !== number).slice(0, 16);
  const times = events.map((event) => event.event_time);
  const answered = message.events.find((event) => event.in_reply_to);
  const answer = answerOf(message, texts());
  fill(
    body,
    h("p", { class: `headline ${tone(first.state)}` }, icon(status(first.state).icon), h("span", { class: "untrusted", dir: "auto" }, untrusted(first.text, { max: 2000 }))),
    h("p", { class: "for-customer" }, h("span", { class: "muted" }, "For the customer: "), h("span", { "data-answer": "" }, untrusted(answer, { max: 600 }))),
    h(
      "p",
      { class: "tools" },
      copyButton("Copy answer", () => answer, announce),
      copyButton("Copy link", () => location.href, announce),
      h("button", { type: "button", onclick: reload }, "Refresh"),
      live,
    ),
    meanings(message),
    h(
      "dl",
      { class: "facts" },
      number && fact(personKind(number), numberLink(number)),
      further.length > 0 && fact("Also known as", further.map((id, index) => [index ? ", " : null, numberLink(id)])),
      fact("State", chip(first.state)),
      message.outcome && fact("Since", when(message.outcome.state_time)),
      answered && fact("In reply to", messageLink(answered.in_reply_to, answeredOf(answered))),
      message.provider && fact("Provider", untrusted(message.provider)),
      fact("Events", events.length > 1 ? `${events.length} within ${duration(times.at(-1) - times[0])}` : String(events.length)),
    ),
    message.journey.length > 1 && journey(message),
    message.cursor && h("p", { class: "muted" }, "This message has more events than this page shows."),
    timeline(message, events),
  );
}

/** What the reasons of failures mean, and what to do next; null if the dictionary knows none of them. */
function meanings(message) {
  const found = explained(message, texts());
  if (!found.length) return null;
  return h(
    "section",
    { class: "panel", "aria-labelledby": "meaning" },
    h("h2", { id: "meaning" }, "Why it did not arrive at once"),
    h(
      "ul",
      { class: "meanings" },
      found.map(({ channel, reason, means, next }) =>
        h("li", null, h("p", null, badge(channel), " ", h("span", { class: "remark" }, untrusted(reason, { max: 160 }))), h("p", null, means), h("p", null, h("strong", null, "Next: "), next)),
      ),
    ),
  );
}
