//! Netcore's e-mails: one message id for up to three recipients, and the events of each.

use serde_json::{Value, json};
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, address},
    random::Random,
};

/// Events.
pub(super) const EMAIL_EVENTS: PostFormat = PostFormat {
    function: "email-event",
    envelope: Envelope::Array,
};

/// The mail server's response, and the reason in Netcore's words.
const BOUNCED: [(&str, &str, &str); 3] = [
    ("smtp;550 5.1.1 user unknown", "Invalid recipient", "HARDBOUNCE"),
    ("smtp;550 5.7.1 message refused", "Spam content", "HARDBOUNCE"),
    ("smtp;452 4.2.2 mailbox full", "Mailbox full", "SOFTBOUNCE"),
];
const READERS: [&str; 3] = [
    "Mozilla/5.0 (X11; Linux x86_64; rv:60.0) Gecko/20100101 Firefox/60.0",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15",
    // Google's proxy fetches the images of a mail, which counts as an open.
    "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)",
];

/// The e-mail for one recipient.
struct Message<'a> {
    outgoing: &'a OutgoingMessage,
    /// Beyond 2^53, so that a floating-point number would change it.
    id: u64,
    recipient: String,
    header: &'a str,
    bytes: u64,
}

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 15,
    formats: &[EMAIL_EVENTS],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, _: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let recipients = random.weighted(&[(6, 1), (3, 2), (1, 3)]);
    let id = random.long_number();
    let header = format!("order-{}", random.hex(8));
    let bytes = random.number(2_000..90_000);
    // Every recipient of one e-mail has the same history at the same seconds: the hardest case for a key.
    let seed = random.number(0..u64::MAX);
    let twins = random.bool(0.5);
    let mut events = Vec::new();
    for number in 0..recipients {
        let message = Message {
            outgoing,
            id,
            recipient: address(outgoing.person, number),
            header: &header,
            bytes,
        };
        if twins {
            message.play(&mut events, &mut Random::new(seed, outgoing.at));
        } else {
            message.play(&mut events, random);
        }
    }
    events
}

impl Message<'_> {
    fn play(&self, events: &mut Vec<SimulatedEvent>, random: &mut Random) {
        let sent = self.outgoing.at + random.log_normal(2_000, 0.5);
        if random.bool(0.02) {
            let (word, response) = random.choice(&[
                ("dropped", "User suppressed due to unsubscription"),
                ("invalid", "Invalid email id"),
            ]);
            events.push(self.event(word, sent, json!({ "RESPONSE": response })));
            return;
        }
        if random.bool(0.04) {
            let (response, reason, kind) = random.choice(&BOUNCED);
            let bounce = json!({
                "RESPONSE": response,
                "BOUNCE_TYPE": kind,
                "BOUNCE_REASON": reason,
                "BOUNCE_REASONID": random.number(1..60),
            });
            events.push(self.event("bounced", sent, bounce));
            return;
        }
        events.push(self.event("sent", sent, json!({"RESPONSE": " - 2.0.0 (success)"})));
        let mut at = sent;
        for _ in 0..random.weighted(&[(10, 0), (6, 1), (2, 2)]) {
            // At least a second apart: two opens differ only in time.
            at += 2_000 + random.log_normal(45 * 60_000, 1.4);
            events.push(self.event("opened", at, self.read_by(random)));
        }
        if at == sent {
            return;
        }
        if random.bool(0.25) {
            at += 2_000 + random.log_normal(20_000, 0.9);
            let mut click = self.read_by(random);
            if let Some(fields) = click.as_object_mut() {
                let url = format!("https://shop.example.com/{}", self.outgoing.campaign.tag);
                fields.insert("URL".to_owned(), url.into());
            }
            events.push(self.event("clicked", at, click));
        }
        if random.bool(0.03) {
            let word = random.choice(&["unsubscribed", "spam"]);
            events.push(self.event(word, at + 3_000, self.read_by(random)));
        }
    }

    /// The fields of an event that the recipient's mail program causes.
    fn read_by(&self, random: &mut Random) -> Value {
        json!({
            "RESPONSE": "",
            "USERAGENT": random.choice(&READERS),
            // An address for documentation, RFC 5737.
            "IPADDRESS": format!("203.0.113.{}", self.id % 250),
        })
    }

    fn event(&self, word: &'static str, at: EpochMillis, more: Value) -> SimulatedEvent {
        let mut record = json!({
            "TRANSID": self.id,
            "EMAIL": self.recipient,
            "TIMESTAMP": at / 1000,
            "FROMADDRESS": format!("news@{}.example", self.outgoing.bot.number),
            "EVENT": word,
            "MSIZE": self.bytes,
            "X-APIHEADER": self.header,
            "TAGS": self.outgoing.campaign.tag,
        });
        if let (Some(fields), Value::Object(more)) = (record.as_object_mut(), more) {
            fields.extend(more);
        }
        SimulatedEvent {
            format: EMAIL_EVENTS,
            function: EMAIL_EVENTS.function,
            record,
            message_id: self.id.to_string(),
            channel: "EMAIL",
            status: word,
            at: at / 1000 * 1000,
            recipient: format!("mailto:{}", self.recipient),
        }
    }
}
