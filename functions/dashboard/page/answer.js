// An answer for a customer: the result of a message in one plain sentence. Pure functions of the API's response.

import { meaningOf } from "./reasons.js";
import { FAILURES } from "./status.js";
import { isSameLeg } from "./story.js";

/** The answer in a language. `timeZone` is an IANA name; default the user's. */
export function answerOf({ outcome, journey }, { answer, reasons }, timeZone) {
  if (!outcome) return answer.none;
  const way = (channel) => (Object.hasOwn(answer.ways, channel) ? answer.ways[channel] : answer.way(channel));
  const clause = (leg) => answer.because(reasons[meaningOf(leg.reason)]?.because ?? answer.unknownReason(way(leg.channel)));
  const [over, time] = [way(outcome.channel), answer.time(new Date(outcome.state_time), timeZone)];
  const lost = journey.filter((leg) => FAILURES.includes(leg.state));
  const before = lost.findLast((leg) => !isSameLeg(leg, outcome));
  const why = before ? clause(before) : "";
  if (outcome.incoming) return answer.incoming(over, time);
  if (outcome.state === "read") return (outcome.clicked ? answer.clicked : answer.read)(over, time, why);
  if (outcome.state === "delivered") return answer.delivered(over, time, why);
  if (outcome.state === "sent") return answer.sent(over, time);
  if (!FAILURES.includes(outcome.state)) return answer.other(over, time, outcome.state);
  const last = lost.find((leg) => isSameLeg(leg, outcome));
  const known = [last, before].find((leg) => leg && meaningOf(leg.reason));
  return answer.failed([...new Set(lost.map((leg) => way(leg.channel)))], time, known ? clause(known) : "");
}

/** The failures of a journey that the dictionary explains: `{channel, reason, means, next}`, each meaning once. */
export function explained({ journey }, { reasons }) {
  const found = new Map();
  for (const { channel, state, reason } of journey) {
    const name = FAILURES.includes(state) ? meaningOf(reason) : null;
    if (name && !found.has(name)) found.set(name, { channel, reason, ...reasons[name] });
  }
  return [...found.values()];
}
