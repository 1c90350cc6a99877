// The dictionary of failure reasons: a row for each meaning, with the words of providers that have it. The
// sentences are in texts/.
//
// Sources: Netcore's documented samples; the error codes of the WhatsApp Cloud API
// <https://developers.facebook.com/documentation/business-messaging/whatsapp/support/error-codes>, which start
// the stored remarks; RCS for Business
// <https://developers.google.com/business-communications/rcs-business-messaging/reference/rest/v1/phones/getCapabilities>
// (404: no RCS, or the bot is not launched in the person's network); RFC 3463 (codes of mail servers).

/** Name of the meaning, and a pattern for the words of providers. The first match counts. */
const ROWS = [
  ["whatsapp_undeliverable", /^131026\b/],
  ["whatsapp_window", /^131047\b/],
  ["whatsapp_spam_limit", /^131048\b/],
  ["whatsapp_marketing_limit", /^131049\b|healthy ecosystem/i],
  ["opted_out", /^131050\b|unsubscri|opted? ?out|marked as spam/i],
  ["whatsapp_experiment", /^130472\b/],
  ["whatsapp_payment", /^131042\b/],
  ["whatsapp_account", /^(131031|368|131045|133010)\b/],
  ["content_unsupported", /^131051\b|message type unknown|unsupported message/i],
  ["media", /^13105[23]\b|media (download|upload)/i],
  ["template", /^132\d{3}\b|template (is )?(paused|disabled|not found|does not exist|mismatch)/i],
  ["parameters", /^13100[89]\b|invalid parameter|missing parameter/i],
  ["too_fast", /^(130429|131056|80007)\b|requests allowed per second|rate limit|too many requests|status code 429/i],
  ["no_rcs", /rcs (is )?(disabled|not (enabled|supported|available))|disabled rcs|not support(ed)? rcs|not rcs|no rcs|capability check failed|bot is not launched|status code 404\b/i],
  ["unreachable", /handset (is )?(unreachable|off)|device is off|switched off|absent subscriber|not reachable|out of coverage/i],
  ["phone_full", /memory is full|(sim|inbox|storage) (is )?full/i],
  ["operator", /operator rejected|rejected by (the )?(operator|carrier|network)/i],
  ["do_not_disturb", /\b(dnd|ndnc)\b|do not disturb/i],
  ["dlt", /\bdlt\b|tm-?chain|entity id|\btm ?id\b|header not (registered|approved)/i],
  ["no_credit", /cr[eé]dit|prepaid|insufficient (balance|funds)|low balance/i],
  ["duplicate", /duplic/i],
  ["mailbox_full", /\b[45]\.2\.2\b|mailbox (is )?full|over ?quota/i],
  ["no_mailbox", /\b5\.1\.[0136]\b|user unknown|unknown user|no such user|invalid (recipient|email|e-mail)|mailbox (unavailable|not found)/i],
  ["no_mail_host", /\b[45]\.(1\.2|4\.4)\b|(domain|host) (name )?not found/i],
  ["mail_refused", /\b5\.7\.\d+\b|blacklist|blocked by|spam (message|content)|policy reasons/i],
  ["mail_later", /\b4\.\d\.\d+\b|greylist|try again later/i],
  ["wrong_number", /invalid (number|mobile|msisdn|destination)|unknown subscriber|number (is )?(invalid|not valid)/i],
  ["expired", /\bexpired\b|ttl|validity period/i],
  ["provider_fault", /^(131000|131016|131057)\b|status code (401|5\d\d)|internal( server)? error|service unavailable/i],
];

/** Longer words than these are not searched. */
const MAX_SEARCHED = 600;

/** The name of the meaning of a provider's words; null if the dictionary has none. */
export function meaningOf(words) {
  if (!words) return null;
  const searched = String(words).slice(0, MAX_SEARCHED);
  return ROWS.find(([, pattern]) => pattern.test(searched))?.[0] ?? null;
}

/** All names of meanings: every language must have their sentences. */
export const MEANINGS = ROWS.map(([name]) => name);
