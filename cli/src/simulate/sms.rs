//! Netcore's SMS and their delivery reports.

use serde_json::json;
use webhook_ingest::event::EpochMillis;

use super::{
    event::{Envelope, PostFormat, Provider, SimulatedEvent},
    people::{OutgoingMessage, indian},
    random::Random,
};

/// Delivery reports.
const REPORTS: PostFormat = PostFormat {
    function: "sms-delivery",
    envelope: Envelope::Array,
};

const FAILED: [&str; 4] = [
    "Absent subscriber",
    "Absent subscriber",
    "Handset memory is full",
    "TM-Chain registration is incomplete",
];

/// Simulates one message.
pub(super) static PROVIDER: Provider = Provider {
    weight: 10,
    formats: &[REPORTS],
    simulate,
};

fn simulate(outgoing: &OutgoingMessage, _: f64, random: &mut Random) -> Vec<SimulatedEvent> {
    let id = random.long_number();
    let at = outgoing.at + random.log_normal(5_000, 0.9);
    vec![if random.bool(0.06) {
        report(
            outgoing,
            id,
            ("UNDELIV", "failed"),
            at,
            Some(random.choice(&FAILED)),
        )
    } else {
        report(outgoing, id, ("DELIVRD", "delivered"), at, None)
    }]
}

/// The report of a message: the SMSC's word and the stored status.
fn report(
    outgoing: &OutgoingMessage,
    id: u64,
    (word, status): (&str, &'static str),
    at: EpochMillis,
    reason: Option<&str>,
) -> SimulatedEvent {
    let number = indian(outgoing.person);
    let mut record = json!({
        "reqid": id,
        "mobile": number,
        "sender": "NETCOR",
        "status": word,
        "timestamp": (at / 1000).to_string(),
    });
    if let (Some(reason), Some(fields)) = (reason, record.as_object_mut()) {
        fields.insert("reason".to_owned(), reason.into());
    }
    SimulatedEvent {
        format: REPORTS,
        function: REPORTS.function,
        record,
        message_id: id.to_string(),
        channel: "SMS",
        status,
        at: at / 1000 * 1000,
        recipient: number,
    }
}
