//! The figures of messages in `/api/summary`: people reached, times, league tables, days of a time zone, comparison and
//! money, against an independent recount of simulated messages that arrive shuffled and repeated.

use std::collections::{BTreeMap, BTreeSet};

use integration_tests::{
    answer::sum,
    command::{eventually, options},
    server::Server,
    simulated::UNTIL,
};
use netcore_webhooks::simulate::{SimulatedEvent, Workload};
use serde_json::{Value, json};

/// All simulated events: three days, and some of days before.
const RANGE: &str = "from=2026-11-05&to=2026-11-20";
/// 2026-11-19T18:30:00Z, when the 20th of November begins in India.
const INDIA_20TH: i64 = 1_795_113_000_000;
const MESSAGES: &str = "400";

/// A simulated message with its fallback: what really happened to it.
#[derive(Default)]
struct Journey<'w> {
    events: Vec<&'w SimulatedEvent>,
}

impl Journey<'_> {
    fn began(&self) -> i64 {
        self.events.iter().map(|event| event.at).min().unwrap()
    }

    fn first(&self, channel: &str, statuses: &[&str]) -> Option<i64> {
        let of = self
            .events
            .iter()
            .filter(|event| event.channel == channel && statuses.contains(&event.status));
        of.map(|event| event.at).min()
    }

    fn has(&self, statuses: &[&str]) -> bool {
        ["RCS", "SMS", "WHATSAPP"]
            .iter()
            .any(|channel| self.first(channel, statuses).is_some())
    }

    fn reached(&self) -> bool {
        self.has(&["delivered", "read", "clicked"])
    }

    fn failed(&self) -> bool {
        let sms_is_open = self.first("SMS", &["sent"]).is_some() && self.first("SMS", &["failed"]).is_none();
        !self.reached() && self.has(&["failed", "not_sent"]) && !sms_is_open
    }

    fn tag(&self) -> Option<&str> {
        self.events
            .iter()
            .find_map(|event| event.record["tags"][0].as_str())
    }
}

/// Messages by their request, which a message and its fallback share.
fn journeys(events: &[SimulatedEvent]) -> Vec<Journey<'_>> {
    let mut journeys: BTreeMap<String, Journey<'_>> = BTreeMap::new();
    for event in events {
        let request = event.record["requestid"].as_str();
        let name = request.unwrap_or(&event.message_id).to_owned();
        journeys.entry(name).or_default().events.push(event);
    }
    journeys.into_values().collect()
}

/// RCS messages that arrive after their fallback SMS did, although no failure is reported. Every third one is read.
fn late_deliveries(events: &[SimulatedEvent]) -> Vec<SimulatedEvent> {
    let of = |function: &str| events.iter().find(|event| event.function == function).unwrap();
    let mut late = Vec::new();
    for number in 0..15 {
        let began = UNTIL - 2 * 86_400_000 + number * 1_000_000;
        let steps = [
            ("RCS", "sent", 0),
            ("SMS", "sent", 60_000),
            ("SMS", "delivered", 64_000),
            ("RCS", "delivered", 300_000),
            ("RCS", "read", 360_000),
        ];
        let steps = steps.iter().take(if number % 3 == 0 { 5 } else { 4 });
        late.extend(steps.map(|(channel, status, after)| {
            let (function, last_channel) = match *channel {
                "SMS" => ("fallback-sms", "RCS"),
                _ => ("event-webhook", ""),
            };
            let (message_id, at) = (format!("late-{channel}-{number}"), began + after);
            let recipient = format!("9198765{number:05}");
            let record = json!({
                "message_id": message_id, "channel": channel, "status": status, "event_time": at / 1_000,
                "mobile": recipient, "requestid": format!("late-{number}"), "last_channel": last_channel, "tags": [],
            });
            SimulatedEvent {
                function,
                record,
                message_id,
                channel,
                status,
                at,
                recipient,
                ..of(function).clone()
            }
        }));
    }
    late
}

fn is_outgoing(event: &SimulatedEvent) -> bool {
    ["event-webhook", "fallback-sms", "delivery-status"].contains(&event.function)
}

/// Posts the events of outgoing messages in another order, a part of them twice, in small batches.
async fn posted() -> (Server, Vec<SimulatedEvent>) {
    let server = Server::start().await;
    let arguments = ["--messages", MESSAGES, "--days", "3", "--fallback", "0.3"];
    let workload = Workload::generate(&options(&arguments), 12, UNTIL).unwrap();
    let mut events: Vec<SimulatedEvent> = workload.events.into_iter().filter(is_outgoing).collect();
    assert!(events.len() > 500, "{}", events.len());
    events.extend(late_deliveries(&events));
    let ordered = events.clone();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    for index in (1..events.len()).rev() {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        events.swap(index, usize::try_from(state % (index as u64 + 1)).unwrap());
    }
    let repeated: Vec<SimulatedEvent> = events.iter().step_by(5).cloned().collect();
    events.extend(repeated);
    for some in events.chunks(40) {
        let mut bodies: BTreeMap<&str, Vec<&SimulatedEvent>> = BTreeMap::new();
        for event in some {
            bodies.entry(event.function).or_default().push(event);
        }
        for (function, events) in bodies {
            let records: Vec<&Value> = events.iter().map(|event| &event.record).collect();
            // A sender repeats a body that a busy machine did not take in time.
            let post = async || server.post(function, events[0].format.body(&records)).await;
            let answer = eventually(post, |answer| answer.status != 503).await;
            assert_eq!(answer.status, 200, "{}", answer.body);
        }
    }
    server.summary(RANGE, ordered.len() as u64).await;
    (server, ordered)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn figures_of_messages_equal_a_recount() {
    let (server, events) = posted().await;
    let journeys = journeys(&events);
    let summary = server.json(&format!("/api/summary?{RANGE}")).await;
    let count = |is: &dyn Fn(&Journey<'_>) -> bool| journeys.iter().filter(|journey| is(journey)).count();
    let reached = &summary["reached"];
    assert_eq!(
        [
            &reached["messages"],
            &reached["reached"],
            &reached["read"],
            &reached["clicked"],
            &reached["failed"]
        ],
        [
            &json!(journeys.len()),
            &json!(count(&|journey| journey.reached())),
            &json!(count(&|journey| journey.has(&["read", "clicked"]))),
            &json!(count(&|journey| journey.has(&["clicked"]))),
            &json!(count(&|journey| journey.failed())),
        ],
        "{reached}"
    );
    assert_eq!(
        sum_of(&reached["by_channel"]),
        count(&|journey| journey.reached())
    );
    assert!(count(&|journey| journey.failed()) > 5 && reached["by_channel"]["SMS"].as_u64().unwrap() > 20);

    // A filter on the channel shows the messages of this channel.
    let sms = server.json(&format!("/api/summary?{RANGE}&channel=SMS")).await;
    let on_sms = |journey: &Journey<'_>| journey.events.iter().any(|event| event.channel == "SMS");
    let by_sms = |journey: &Journey<'_>| journey.first("SMS", &["delivered", "clicked"]).is_some();
    assert_eq!(sms["reached"]["messages"], json!(count(&on_sms)));
    assert_eq!(sms["reached"]["reached"], json!(count(&by_sms)));

    for tag in journeys.iter().filter_map(Journey::tag).collect::<BTreeSet<_>>() {
        let row = row(&summary["tags"], tag);
        let of_tag = |journey: &Journey<'_>| journey.tag() == Some(tag);
        assert_eq!(row["sent"], json!(count(&of_tag)), "{tag}");
        assert_eq!(
            row["reached"],
            json!(count(&|journey| of_tag(journey) && journey.reached())),
            "{tag}"
        );
        assert_eq!(
            row["failed"],
            json!(count(&|journey| of_tag(journey) && journey.failed())),
            "{tag}"
        );
    }
    assert_eq!(row(&summary["countries"], "IN")["sent"], json!(journeys.len()));
    let filtered = server.json(&format!("/api/summary?{RANGE}&country=in")).await;
    assert_eq!(filtered["reached"], *reached);
    assert_eq!(filtered["tags"], summary["tags"]);
    times(&summary["latency"], &journeys);
    server.stop().await;
}

/// The percentiles of the API differ from the exact ones by less than a bucket.
fn times(latency: &Value, journeys: &[Journey<'_>]) {
    let pairs: [(&str, &str, &str, Vec<i64>); 3] = [
        (
            "sent",
            "delivered",
            "RCS",
            between(journeys, ("RCS", &["sent"]), ("RCS", &["delivered"])),
        ),
        (
            "delivered",
            "read",
            "RCS",
            between(journeys, ("RCS", &["delivered"]), ("RCS", &["read"])),
        ),
        (
            "failed",
            "fallback",
            "SMS",
            between(journeys, ("RCS", &["failed", "not_sent"]), ("SMS", &["sent"])),
        ),
    ];
    for (from, to, channel, mut times) in pairs {
        let rows = latency.as_array().unwrap();
        let row = rows
            .iter()
            .find(|row| row["from"] == from && row["to"] == to && row["channel"] == channel)
            .unwrap();
        assert_eq!(row["count"], json!(times.len()), "{from} {to}");
        times.sort_unstable();
        for (name, percent) in [("p50_ms", 50), ("p90_ms", 90), ("p99_ms", 99)] {
            let exact = times[(times.len() * percent).div_ceil(100) - 1];
            let shown = row[name].as_i64().unwrap();
            let most = exact.max(250) * 12 / 10;
            assert!(
                (exact * 8 / 10..=most).contains(&shown),
                "{from} {to} {name}: {shown} for {exact}"
            );
        }
    }
}

fn between(journeys: &[Journey<'_>], from: (&str, &[&str]), to: (&str, &[&str])) -> Vec<i64> {
    let of = |journey: &Journey<'_>| {
        let (from, to) = (journey.first(from.0, from.1)?, journey.first(to.0, to.1)?);
        Some((to - from).max(0))
    };
    journeys.iter().filter_map(of).collect()
}

fn row(table: &Value, name: &str) -> Value {
    let rows = table.as_array().unwrap();
    rows.iter()
        .find(|row| row["name"] == name)
        .cloned()
        .unwrap_or_default()
}

fn sum_of(counts: &Value) -> usize {
    let counts = counts.as_object().unwrap().values();
    usize::try_from(counts.map(|count| count.as_u64().unwrap()).sum::<u64>()).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn days_of_a_time_zone_and_the_period_before_equal_a_recount() {
    let (server, events) = posted().await;
    let journeys = journeys(&events);
    let day = server
        .json("/api/summary?from=2026-11-20&to=2026-11-20&tz=Asia/Kolkata&compare=true")
        .await;
    let of_day = |at: i64| at >= INDIA_20TH;
    let of_day_before = |at: i64| (INDIA_20TH - 86_400_000..INDIA_20TH).contains(&at);
    let count = |is: &dyn Fn(i64) -> bool| journeys.iter().filter(|journey| is(journey.began())).count();
    let number = |is: &dyn Fn(i64) -> bool| events.iter().filter(|event| is(event.at)).count() as u64;
    assert_eq!(day["tz"], "Asia/Kolkata");
    assert_eq!(sum(&day["counts"]), number(&of_day));
    assert_eq!(sum(&day["hours"]), number(&of_day));
    assert!(
        day["counts"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["day"] == "2026-11-20")
    );
    assert_eq!(day["reached"]["messages"], json!(count(&of_day)));
    let tags = |summary: &Value| -> u64 {
        let rows = summary["tags"].as_array().unwrap().iter();
        rows.map(|row| row["sent"].as_u64().unwrap()).sum()
    };
    let tagged = journeys
        .iter()
        .filter(|journey| journey.tag().is_some() && of_day(journey.began()));
    assert_eq!(tags(&day), tagged.count() as u64);
    let before = &day["previous"];
    assert_eq!(
        (&before["from"], &before["hours"]),
        (&json!("2026-11-19"), &json!([]))
    );
    assert_eq!(sum(&before["counts"]), number(&of_day_before));
    assert_eq!(before["reached"]["messages"], json!(count(&of_day_before)));
    assert!(before.get("previous").is_none());

    // 20 November 2026 is a Friday.
    let clicks = events
        .iter()
        .filter(|event| event.status == "clicked" && of_day(event.at));
    let heat: Vec<&Value> = day["heat"].as_array().unwrap().iter().collect();
    assert!(heat.iter().all(|cell| cell["weekday"] == 5));
    let clicked = heat.iter().filter(|cell| cell["status"] == "clicked");
    let clicked: u64 = clicked.map(|cell| cell["count"].as_u64().unwrap()).sum();
    assert_eq!(clicked, clicks.count() as u64);

    let utc = server
        .json("/api/summary?from=2026-11-20&to=2026-11-20&hours=false")
        .await;
    assert_eq!(utc["hours"], json!([]));
    assert_ne!(sum(&utc["counts"]), sum(&day["counts"]));
    for wrong in [
        "tz=Mars/Olympus",
        "tz=Asia/Kolkata&from=2026-01-01&to=2026-11-20",
        "tag=a&country=IN",
        "campaign=a&bot=b",
        "compare=yes",
        "hours=0",
    ] {
        let answer = server.get(&format!("/api/summary?{wrong}")).await;
        assert_eq!(answer.status, 400, "{wrong}: {}", answer.body);
    }
    server.stop().await;
}
