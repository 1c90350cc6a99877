// English. A further language is another file with the same names, and a row in ./all.js.

export const language = "en";

/** Sentences for customers. `time` is a day and a time, `way` a channel, `because` a clause of `reasons`. */
export const answer = {
  time: (at, timeZone) => {
    const year = at.getFullYear() === new Date().getFullYear() ? {} : { year: "numeric" };
    const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "long", ...year, timeZone }).format(at);
    const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone }).format(at);
    return `on ${day} at ${clock}`;
  },
  ways: { RCS: "by RCS", SMS: "as SMS", WHATSAPP: "by WhatsApp", EMAIL: "by e-mail" },
  way: (channel) => `by ${channel}`,
  sent: (way, time) => `Sent ${way} ${time}. No delivery is reported yet.`,
  delivered: (way, time, why) => `Delivered ${way} ${time}${why}.`,
  read: (way, time, why) => `Read ${way} ${time}${why}.`,
  clicked: (way, time, why) => `Read and tapped ${way} ${time}${why}.`,
  failed: (ways, time, why) => `Not delivered ${ways.join(" or ")}; last try ${time}${why}.`,
  incoming: (way, time) => `Received from the person ${way} ${time}.`,
  other: (way, time, word) => `The last status ${way} is “${word}”, ${time}.`,
  none: "No status of this message is known yet.",
  because: (clause) => `, because ${clause}`,
  unknownReason: (way) => `the message could not be delivered ${way}`,
};

/** Meanings of failures: a clause after "because", what it means, and what to do next. */
export const reasons = {
  whatsapp_undeliverable: {
    because: "WhatsApp could not deliver it to this number",
    means: "The number has no WhatsApp account, the app is too old, or the person has not accepted WhatsApp’s terms.",
    next: "Check the number, and ask the person to update WhatsApp. Use another channel until then.",
  },
  whatsapp_window: {
    because: "the person last wrote more than 24 hours ago",
    means: "WhatsApp allows free text only within 24 hours after the person’s last message.",
    next: "Send an approved template.",
  },
  whatsapp_spam_limit: {
    because: "WhatsApp limits this sender at the moment",
    means: "Too many people blocked or reported earlier messages of this sender.",
    next: "Check the quality rating in WhatsApp Manager, and send less until it recovers.",
  },
  whatsapp_marketing_limit: {
    because: "WhatsApp limits how many marketing messages a person gets",
    means: "The person got many marketing messages recently, also from other companies.",
    next: "Do not send it again at once. Wait at least a day, or use another channel.",
  },
  opted_out: {
    because: "the person does not want these messages",
    means: "The person unsubscribed, stopped marketing messages, or reported one as spam.",
    next: "Respect this: remove the person from the campaign’s list.",
  },
  whatsapp_experiment: {
    because: "WhatsApp holds back marketing messages to this number at the moment",
    means: "The number is part of an experiment of WhatsApp, which delivers no marketing templates to it.",
    next: "Use another channel, or wait for a message from the person.",
  },
  whatsapp_payment: {
    because: "the sender’s WhatsApp account has a payment problem",
    means: "The payment method of the WhatsApp Business account is missing or not valid, or its credit is used up.",
    next: "Correct the payment settings in WhatsApp Manager.",
  },
  whatsapp_account: {
    because: "the sender’s WhatsApp account may not send at the moment",
    means: "The account is locked or restricted, or the number is not registered.",
    next: "Check the account in WhatsApp Manager, or ask Netcore.",
  },
  content_unsupported: {
    because: "this kind of message is not supported there",
    means: "The provider or the app does not know this type of message.",
    next: "Send it as text, or as a type that the provider documents.",
  },
  media: {
    because: "its file could not be transferred",
    means: "The provider could not fetch the file, or the file’s type or size is not allowed.",
    next: "Check that the file’s address is public, and its type and size.",
  },
  template: {
    because: "its template could not be used",
    means: "The template does not exist in this language, is paused or disabled, or its variables do not match.",
    next: "Compare the campaign with the template in the provider’s console.",
  },
  parameters: {
    because: "a value in it was missing or not valid",
    means: "A required value of the message is missing or has the wrong form.",
    next: "Check the campaign’s variables: each needs a value for every person.",
  },
  too_fast: {
    because: "too many messages were sent at once",
    means: "The provider’s limit of messages per second was exceeded.",
    next: "Send it again later, and slower.",
  },
  no_rcs: {
    because: "the phone does not support RCS",
    means: "RCS is off on this phone or not supported, or the bot is not launched with the person’s mobile operator.",
    next: "Keep the SMS fallback. If many numbers of one operator fail, ask Netcore whether the bot is launched there.",
  },
  unreachable: {
    because: "the phone was not reachable",
    means: "The phone was off or without network until the provider gave up.",
    next: "Send it again later.",
  },
  phone_full: {
    because: "the phone had no space for it",
    means: "The phone’s memory for messages is full.",
    next: "Ask the person to delete messages, then send it again.",
  },
  operator: {
    because: "the mobile operator rejected it",
    means: "The person’s mobile operator did not accept the message.",
    next: "Try another channel. If it happens often with one operator, ask Netcore.",
  },
  do_not_disturb: {
    because: "the number is registered against advertising",
    means: "The number is on the do-not-disturb list of its country.",
    next: "Send only service messages to this number.",
  },
  dlt: {
    because: "the sender’s registration does not match it",
    means: "In India, the sender, the header and the template must be registered (DLT) and match the text.",
    next: "Compare the text with the registered template, and check the sender’s ids.",
  },
  no_credit: {
    because: "the sender’s account had no credit left",
    means: "The prepaid credit or the limit of the account is used up.",
    next: "Add credit, then send it again.",
  },
  duplicate: {
    because: "the same message had already been sent",
    means: "The gateway blocked a repeated message to the same person.",
    next: "Nothing, if the first one arrived.",
  },
  mailbox_full: {
    because: "the mailbox is full",
    means: "The person’s mail server takes no more messages for this mailbox.",
    next: "Send it again later, or use another channel.",
  },
  no_mailbox: {
    because: "the address does not exist",
    means: "The person’s mail server does not know this address.",
    next: "Correct the address, or remove it from the list.",
  },
  no_mail_host: {
    because: "the address has no reachable mail server",
    means: "The part after the @ does not exist, or its mail server does not answer.",
    next: "Check the address for a typing error.",
  },
  mail_refused: {
    because: "the person’s mail server refused it",
    means: "The mail server treats the sender or the content as unwanted.",
    next: "Check SPF, DKIM and DMARC of the sender’s domain, and its reputation.",
  },
  mail_later: {
    because: "the person’s mail server did not accept it at that time",
    means: "The refusal is temporary.",
    next: "Wait: the provider usually tries again.",
  },
  wrong_number: {
    because: "the number is not valid",
    means: "The number does not exist, or is not complete.",
    next: "Check the number and its country code.",
  },
  expired: {
    because: "it could not be delivered in time",
    means: "The phone was not reachable before the message expired.",
    next: "Send it again if it still matters.",
  },
  provider_fault: {
    because: "the provider had a technical fault",
    means: "The provider could not process the message at that time.",
    next: "Send it again. If the fault continues, ask the provider.",
  },
};
