//! Memory of a function. A 6 MB body of any content fits into 128 MB, even unoptimized, because the function
//! holds it only once.

use std::{collections::BTreeSet, io::Write as _, time::Duration};

use aws_sdk_sqs::types::Message;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use integration_tests::{
    answer::Answer,
    fixtures::{LARGE_BODY_BUDGET, LONG_BUDGET, body, events, post_base64, queue_message},
    function::Function,
    proxy::Treatment::{Hang, Pass, RefuseStatements},
    stack::Stack,
    storage::{failures, queue_messages, sqs_event},
    throttle::Throttle,
};
use serde_json::{Value, json};
use webhook_ingest::queue::message::Reason;

const EVENTS: usize = 12_000;
const MAX_KIB: usize = 64 * 1024;
const LARGE_BODY_KIB: usize = 6 * 1024;
/// As in template.yaml.
const ALLOCATOR: (&str, &str) = ("MALLOC_MMAP_THRESHOLD_", "262144");
#[expect(clippy::print_stdout, reason = "figures for `--nocapture`")]
async fn large_batch(stack: &Stack) -> (Function, Answer) {
    let receiver = stack
        .function("event-webhook", &[LARGE_BODY_BUDGET, ALLOCATOR])
        .await;
    let batch = body(&events(0, EVENTS));
    assert!((5_900_000..=6_291_456).contains(&batch.len()), "{}", batch.len());
    let answer = receiver.post(&batch).await;
    let peak = receiver.peak_memory_kib();
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(answer.count("received"), EVENTS);
    assert_eq!(answer.count("stored") + answer.count("queued"), EVENTS);
    println!("{peak} KiB after one");
    assert!(peak < MAX_KIB, "held {peak} KiB");
    (receiver, answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_six_megabyte_batch_fits_into_memory_with_a_working_and_a_hanging_table() {
    let _alone = ALONE.lock().await;
    let stack = Stack::start().await;
    stack.table.always(Pass);
    let (_, answer) = large_batch(&stack).await;
    assert!(answer.count("stored") > 0, "{}", answer.body);

    let stack = Stack::start().await;
    stack.table.always(Hang);
    let (receiver, answer) = large_batch(&stack).await;
    assert_eq!(answer.count("queued"), EVENTS);

    // Memory does not grow with further requests.
    let warm = peak_after(&receiver, 5).await;
    let warmer = peak_after(&receiver, 3).await;
    println!("{warm} KiB after six, {warmer} KiB after nine");
    assert!(warmer < MAX_KIB, "held {warmer} KiB");
    assert!(
        warmer <= warm + LARGE_BODY_KIB,
        "grew from {warm} to {warmer} KiB"
    );
}

async fn peak_after(receiver: &Function, requests: usize) -> usize {
    for _ in 0..requests {
        let answer = receiver.post(&body(&events(0, EVENTS))).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    receiver.peak_memory_kib()
}

/// Most memory for any body. It leaves a margin in a function of 256 MB.
const MAX_KIB_ANY_BODY: usize = 100 * 1024;
/// Largest body that a function URL delivers.
const MAX_BODY_BYTES: usize = 6 * 1024 * 1024;
/// How much later than the budget a response may arrive.
const GRACE: Duration = Duration::from_millis(500);

fn good(id: &str) -> String {
    format!(
        r#"{{"message_id":"{id}","mobile":"919209209291","channel":"RCS","status":"Delivered","event_time":1704876833}}"#
    )
}

/// An event with one more field.
fn with(id: &str, field: &str) -> String {
    let event = good(id);
    format!("{},{field}}}", event.strip_suffix('}').unwrap())
}

/// `text` repeated with commas, up to `bytes`.
fn filled(text: &str, bytes: usize) -> String {
    let mut all = format!("{text},").repeat(bytes / (text.len() + 1));
    all.pop();
    all
}

/// `count` records of 400 KB, each small enough to be parsed.
fn many_of(count: usize, same_id: bool, field: impl Fn(usize) -> String) -> String {
    let records: Vec<String> = (0..count)
        .map(|i| with(&format!("large-{}", if same_id { 0 } else { i }), &field(i)))
        .collect();
    records.join(",")
}

/// Content between two good records.
fn hostile() -> Vec<(&'static str, String)> {
    let most = MAX_BODY_BYTES - 1000;
    let field = |value: String| format!("\"x\":{value}");
    let names = |from: usize, count: usize| {
        let fields: Vec<String> = (from..from + count).map(|i| format!("\"f{i:06}\":1")).collect();
        fields.join(",")
    };
    vec![
        (
            "an array of 2.9 million ones",
            with("x", &field(format!("[{}]", filled("1", most - 200)))),
        ),
        ("420,000 unknown fields", with("x", &names(0, 420_000))),
        ("three million numbers", filled("1", most)),
        ("two million empty records", filled("{}", most)),
        ("records with one name each", filled(r#"{"":1}"#, most)),
        (
            "15 records of small objects",
            many_of(5, false, |_| {
                field(format!("[{}]", filled(r#"{"a":1}"#, 380_000)))
            }),
        ),
        (
            "15 times the same record of small objects",
            many_of(5, true, |_| field(format!("[{}]", filled(r#"{"a":1}"#, 380_000)))),
        ),
        (
            "15 records with one key of small objects",
            many_of(5, true, |i| {
                field(format!("[{i},{}]", filled(r#"{"a":1}"#, 380_000)))
            }),
        ),
        (
            "15 records of small arrays",
            many_of(5, false, |_| field(format!("[{}]", filled("[1]", 390_000)))),
        ),
        (
            "15 records of ones",
            many_of(5, false, |_| field(format!("[{}]", filled("1", 390_000)))),
        ),
        (
            "15 records of empty texts",
            many_of(5, false, |_| field(format!("[{}]", filled("\"\"", 390_000)))),
        ),
        (
            "3 records of 300,000 empty texts",
            many_of(3, false, |_| field(format!("[{}]", filled("\"\"", 900_000)))),
        ),
        (
            "15 records of many fields",
            many_of(5, false, |i| names(i, 30_000)),
        ),
        (
            "15 records of repeated names",
            many_of(5, false, |_| filled(r#""a":1"#, 390_000)),
        ),
        (
            "15 records of empty names",
            many_of(5, false, |_| field(format!("[{}]", filled(r#"{"":1}"#, 390_000)))),
        ),
        (
            "a record nested to its end",
            with(
                "x",
                &field(format!(
                    "{}{}",
                    "[".repeat(most / 2 - 100),
                    "]".repeat(most / 2 - 100)
                )),
            ),
        ),
        (
            "a text of escapes",
            with("x", &field(format!("\"{}\"", r"\u00e9".repeat(most / 6 - 100)))),
        ),
        (
            "15 records of escapes",
            many_of(5, false, |_| field(format!("\"{}\"", r"\n".repeat(190_000)))),
        ),
        ("a number without end", with("x", &field("7".repeat(most - 200)))),
        (
            "a fraction without end",
            with("x", &field(format!("0.{}", "7".repeat(most - 200)))),
        ),
        (
            "15 long fractions",
            many_of(5, false, |_| field(format!("0.{}", "7".repeat(190_000)))),
        ),
        (
            "15 records of fractions",
            many_of(5, false, |_| field(format!("[{}]", filled("0.5", 390_000)))),
        ),
    ]
}

/// The ids of the good records in the table and in the retry queue.
async fn kept(stack: &Stack) -> BTreeSet<String> {
    let mut kept: BTreeSet<String> = stack
        .storage
        .items()
        .await
        .iter()
        .map(|item| item["message_id"].as_s().unwrap().clone())
        .collect();
    for message in queue_messages(&stack.storage.take_retry_messages().await) {
        let body = String::from_utf8(message.body.bytes().to_vec()).unwrap();
        kept.extend(
            ["good-1", "good-2"]
                .iter()
                .filter(|id| body.contains(*id))
                .map(|id| (*id).to_owned()),
        );
    }
    kept.retain(|id| id.starts_with("good"));
    kept
}

/// Budgets to try in turn: on a busy machine, a response can be late for the first. The limits on memory and
/// the stored records apply to each.
const BUDGETS_MS: [u64; 3] = if cfg!(debug_assertions) {
    [5_000, 15_000, 45_000]
} else {
    [2_000, 6_000, 18_000]
};

/// Tests that measure time run one at a time.
static ALONE: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

async fn survives(what: &str, between: &str, share: Option<f64>) {
    let mut late = String::new();
    for budget in BUDGETS_MS {
        match answered(what, between, share, budget).await {
            Ok(()) => return,
            Err(why) => late = why,
        }
    }
    panic!("{late}");
}

/// Sends the body once. Returns an error if the response was late or 503.
#[expect(clippy::print_stdout, reason = "figures for `--nocapture`")]
async fn answered(what: &str, between: &str, share: Option<f64>, budget: u64) -> Result<(), String> {
    let stack = Stack::start().await;
    let milliseconds = budget.to_string();
    let environment = [("ACK_BUDGET_MS", milliseconds.as_str()), ALLOCATOR];
    let receiver = stack.function("event-webhook", &environment).await;
    let text = format!("[{},{between},{}]", good("good-1"), good("good-2"));
    assert!(text.len() <= MAX_BODY_BYTES, "{what}: {}", text.len());
    let event = post_base64(text.as_bytes());
    let throttle = share.map(|share| Throttle::start(receiver.process(), share));
    let answer = receiver.request(&event).await;
    let cpu = throttle.map(Throttle::end);
    let peak = receiver.peak_memory_kib();
    let figures = format!(
        "{what}: {peak} KiB, {:?} of {budget} ms, CPU {cpu:?}, {} {}",
        answer.took, answer.status, answer.body
    );
    println!("{figures}");
    assert!(peak < MAX_KIB_ANY_BODY, "{figures}");
    if answer.status == 503 || answer.took > Duration::from_millis(budget) + GRACE {
        return Err(figures);
    }
    assert_eq!(answer.status, 200, "{figures}");
    let sum = ["stored", "duplicates", "queued", "dead_lettered"].map(|name| answer.count(name));
    assert_eq!(sum.iter().sum::<usize>(), answer.count("received"), "{figures}");
    let both = BTreeSet::from(["good-1".to_owned(), "good-2".to_owned()]);
    assert_eq!(kept(&stack).await, both, "{figures}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_records_in_any_six_megabyte_body_are_kept() {
    let _alone = ALONE.lock().await;
    for (what, between) in hostile() {
        survives(what, &between, None).await;
    }
}

/// A function of 256 MB has a seventh of a core. An unoptimized build needs several times the CPU time, so it
/// gets a larger share.
const UNOPTIMIZED_SHARE: f64 = 0.5;
const OPTIMIZED_SHARE: f64 = 1.0 / 7.0;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn good_records_are_kept_in_time_on_a_share_of_a_core() {
    let _alone = ALONE.lock().await;
    let share = if cfg!(debug_assertions) {
        UNOPTIMIZED_SHARE
    } else {
        OPTIMIZED_SHARE
    };
    let hardest = [
        "an array of 2.9 million ones",
        "three million numbers",
        "15 times the same record of small objects",
        "a fraction without end",
    ];
    for (what, between) in hostile() {
        // An unoptimized build would take many minutes for all bodies.
        if cfg!(not(debug_assertions)) || hardest.contains(&what) {
            survives(what, &between, Some(share)).await;
        }
    }
}

/// A rejected write returns the stored item, so small records can make a function read large items.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_records_that_conflict_with_large_items_fit_into_memory() {
    const LARGE: usize = 40;
    let _alone = ALONE.lock().await;
    let stack = Stack::start().await;
    let first = stack.function("event-webhook", &[LONG_BUDGET, ALLOCATOR]).await;
    let id = |number: usize| format!("large-{number}");
    let large: Vec<String> = (0..LARGE)
        .map(|number| with(&id(number), &format!("\"x\":[{}]", filled(r#"{"a":1}"#, 300_000))))
        .collect();
    for batch in large.chunks(4) {
        let answer = first
            .request(&post_base64(format!("[{}]", batch.join(",")).as_bytes()))
            .await;
        assert_eq!(answer.count("stored"), batch.len(), "{}", answer.body);
    }

    // The embedded table takes half a minute to find the duplicates of a batch among items of this size.
    stack.table.decide(|call| match call.operation {
        "BatchExecuteStatement" => RefuseStatements(1, "DuplicateItem"),
        _ => Pass,
    });
    let environment = [LARGE_BODY_BUDGET, ALLOCATOR];
    let receiver = stack.function("event-webhook", &environment).await;
    let small: Vec<String> = (0..5 * LARGE).map(|number| good(&id(number % LARGE))).collect();
    let answer = receiver
        .request(&post_base64(format!("[{}]", small.join(",")).as_bytes()))
        .await;
    let peak = receiver.peak_memory_kib();
    println!("{peak} KiB, {} {}", answer.status, answer.body);
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(answer.count("dead_lettered") > 0, "{}", answer.body);
    assert_eq!(
        answer.count("dead_lettered") + answer.count("queued"),
        small.len(),
        "{}",
        answer.body
    );
    assert!(peak < MAX_KIB_ANY_BODY, "held {peak} KiB");
}

/// 64 MB of records in 80 KB. This program never writes such a message.
fn forged_message() -> String {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    for _ in 0..64 {
        packed.write_all(&b"[],".repeat(350_000)).unwrap();
    }
    let body = STANDARD.encode(packed.finish().unwrap());
    json!({"version": 1, "reason": "exhausted", "function": "event-webhook", "received_at": 1, "encoding": "gzip+base64", "body": body})
        .to_string()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_decompresses_beyond_the_limit_is_dead_lettered() {
    let _alone = ALONE.lock().await;
    let stack = Stack::start().await;
    let redrive = stack.function("redrive", &[ALLOCATOR]).await;
    let forged = forged_message();
    assert!(forged.len() < 200_000, "{}", forged.len());
    stack.storage.send(&forged).await;
    let messages: Vec<Message> = stack.storage.receive().await;
    let reply = redrive.invoke(&sqs_event(&messages)).await;
    assert!(failures(&reply.payload).is_empty(), "{}", reply.payload);
    let dead = stack.storage.take_dead_messages().await;
    assert_eq!(dead.len(), 1);
    assert_eq!(dead[0].body(), Some(forged.as_str()));
    let peak = redrive.peak_memory_kib();
    assert!(peak < MAX_KIB_ANY_BODY, "held {peak} KiB");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_of_one_invocation_are_unpacked_a_few_at_a_time() {
    const MESSAGES: usize = 20;
    let _alone = ALONE.lock().await;
    let stack = Stack::start().await;
    let redrive = stack
        .function("redrive", &[ALLOCATOR, ("RETENTION_DAYS", "0")])
        .await;
    // Each has one event in a body of 6 MiB, together 120 MiB.
    let messages: Vec<Value> = (0..MESSAGES)
        .map(|number| {
            let mut padded = body(&events(number, 1));
            padded.splice(1..1, vec![b' '; 6 * 1024 * 1024 - padded.len()]);
            let message = queue_message(Reason::Exhausted, "event-webhook", 1, &padded);
            json!({
                "messageId": number.to_string(),
                "receiptHandle": "none",
                "body": message.write().remove(0),
                "attributes": {"ApproximateReceiveCount": "1"},
                "messageAttributes": {},
                "eventSource": "aws:sqs",
            })
        })
        .collect();
    let reply = redrive.invoke(&json!({"Records": messages})).await;
    assert_eq!(failures(&reply.payload), [""; 0]);
    assert_eq!(stack.storage.count().await, MESSAGES);
    let peak = redrive.peak_memory_kib();
    assert!(peak < MAX_KIB_ANY_BODY, "held {peak} KiB");
}
