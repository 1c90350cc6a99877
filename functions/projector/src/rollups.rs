//! The counters' table: counts events so that none is counted twice, whatever is delivered again,
//! split or out of order.
//!
//! Every event leaves a mark in the item of the second in which it arrived. The marks change in the
//! transaction that changes the counters, and only if nobody changed them since they were read.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use aws_sdk_dynamodb::{
    Client,
    error::ProvideErrorMetadata as _,
    operation::transact_write_items::TransactWriteItemsError,
    types::{AttributeValue, KeysAndAttributes, TransactWriteItem},
};
use tokio::time::{Instant, sleep};
use webhook_ingest::{
    aws,
    item::Item,
    rollup::{self, Generations, NO_PERIOD, PERIOD, SERIES},
    time,
};

use crate::{
    chunk::{self, Counts, SEEN, VERSION},
    fact::Fact,
};

/// Waits before another try, doubled each time up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// What became of some events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// Counted now.
    pub fresh: usize,
    /// Were counted before.
    pub replayed: usize,
}

/// Why events were not counted; may work later.
#[derive(Debug, thiserror::Error)]
#[error("the counters' table did not take a count: {why}")]
pub struct NotCounted {
    /// How many of the first events were counted.
    pub done: usize,
    /// What was counted of them.
    pub counted: Counted,
    why: String,
}

/// The counters' table.
#[derive(Clone)]
pub struct Rollups {
    client: Client,
    table: String,
}

/// The marks of one second, as read.
#[derive(Default)]
struct Second {
    version: Option<String>,
    seen: BTreeSet<Vec<u8>>,
}

enum Failed {
    /// Somebody else wrote meanwhile, or the table was busy.
    Again(String),
    /// An item has no room for another name.
    Full,
}

impl Rollups {
    /// The counters' table of a name.
    pub fn new(client: Client, table: String) -> Self {
        Self { client, table }
    }

    /// Its name and the client for it.
    pub(crate) fn parts(&self) -> (&Client, &str) {
        (&self.client, &self.table)
    }

    /// Which generations are counted into.
    ///
    /// # Errors
    /// Why the table did not say.
    pub async fn generations(&self) -> Result<Generations, String> {
        Generations::read(&self.client, &self.table, true)
            .await
            .map_err(|e| aws::failure(&e).to_owned())
    }

    /// Counts events that were not counted before, in as many transactions as they need.
    ///
    /// # Errors
    /// [`NotCounted`] if the table did not take one of them until then; what came before is counted.
    pub async fn count(
        &self,
        generation: &str,
        facts: &[Fact],
        until: Instant,
    ) -> Result<Counted, NotCounted> {
        let mut counted = Counted::default();
        let mut done = 0;
        while let Some(rest) = facts.get(done..).filter(|rest| !rest.is_empty()) {
            let chunk = rest.get(..chunk::fitting(rest)).unwrap_or(rest);
            let fresh = tried(until, |fold| self.attempt(generation, chunk, fold))
                .await
                .map_err(|why| NotCounted { done, counted, why })?;
            counted.fresh += fresh;
            counted.replayed += chunk.len() - fresh;
            done += chunk.len();
        }
        Ok(counted)
    }

    /// Adds counts that no stream will bring again, however many. What failed is not tried again in
    /// the same generation: nobody knows which part of it was added.
    pub(crate) async fn add(&self, counts: Counts, patience: Duration) -> Result<(), String> {
        let now = time::now();
        for part in counts.parts() {
            // With every try the same: what DynamoDB did under a name it does not do again.
            let name = token();
            tried(Instant::now() + patience, |fold| {
                let updates = if fold {
                    part.clone().folded().updates(&self.table, now)
                } else {
                    part.updates(&self.table, now)
                };
                let name = if fold { format!("{name}-f") } else { name.clone() };
                self.commit(updates, Some(name))
            })
            .await?;
        }
        Ok(())
    }

    async fn attempt(&self, generation: &str, facts: &[Fact], fold: bool) -> Result<usize, Failed> {
        let now = time::now();
        let wanted = chunk::seconds(facts, generation);
        let read = self.seconds(wanted.keys()).await.map_err(Failed::Again)?;
        let nothing = Second::default();
        let fresh: BTreeMap<&String, BTreeSet<[u8; 8]>> = wanted
            .iter()
            .map(|(series, marks)| {
                let second = read.get(series).unwrap_or(&nothing);
                let unseen = marks.iter().filter(|mark| !second.seen.contains(mark.as_slice()));
                (series, unseen.copied().collect())
            })
            .collect();
        let mut taken: BTreeSet<(&String, [u8; 8])> = BTreeSet::new();
        let unseen: Vec<&Fact> = facts
            .iter()
            .filter(|fact| {
                let series = rollup::marks(generation, fact.received_at);
                fresh.get_key_value(&series).is_some_and(|(series, marks)| {
                    marks.contains(&fact.mark) && taken.insert((*series, fact.mark))
                })
            })
            .collect();
        if unseen.is_empty() {
            return Ok(0);
        }
        let mut counts = Counts::of(generation, unseen.iter().copied());
        if fold {
            counts = counts.folded();
        }
        let mut updates = counts.updates(&self.table, now);
        for (series, marks) in fresh.into_iter().filter(|(_, marks)| !marks.is_empty()) {
            let version = read.get(series).and_then(|second| second.version.as_deref());
            updates.extend(chunk::remember(&self.table, series.clone(), marks, version, now));
        }
        self.commit(updates, None).await?;
        Ok(unseen.len())
    }

    async fn seconds(
        &self,
        series: impl Iterator<Item = &String>,
    ) -> Result<HashMap<String, Second>, String> {
        let key = |series: &String| {
            HashMap::from([
                (SERIES.to_owned(), AttributeValue::S(series.clone())),
                (PERIOD.to_owned(), AttributeValue::S(NO_PERIOD.to_owned())),
            ])
        };
        let mut wanted: Vec<_> = series.map(key).collect();
        let mut seconds = HashMap::new();
        while !wanted.is_empty() {
            let request = KeysAndAttributes::builder()
                .set_keys(Some(wanted))
                .consistent_read(true)
                .build()
                .map_err(|e| e.to_string())?;
            let answer = self
                .client
                .batch_get_item()
                .request_items(&self.table, request)
                .send()
                .await
                .map_err(|e| aws::failure(&e).to_owned())?;
            let items = answer.responses.unwrap_or_default().into_values().flatten();
            seconds.extend(items.filter_map(|item| second(&item)));
            wanted = answer
                .unprocessed_keys
                .unwrap_or_default()
                .into_values()
                .flat_map(|rest| rest.keys)
                .collect();
        }
        Ok(seconds)
    }

    /// A name makes a second try change nothing if the first was taken:
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html#transaction-apis-txwriteitems-idempotency>
    async fn commit(&self, updates: Vec<TransactWriteItem>, name: Option<String>) -> Result<(), Failed> {
        let outcome = self
            .client
            .transact_write_items()
            .set_transact_items(Some(updates))
            .set_client_request_token(name)
            .send()
            .await;
        let Err(error) = outcome else { return Ok(()) };
        let is_full = |message: Option<&str>| message.is_some_and(|m| m.contains("size"));
        let cancelled = match error.as_service_error() {
            Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) => cancelled,
            _ if error.code() == Some("ValidationException") && is_full(error.message()) => {
                return Err(Failed::Full);
            }
            _ => {
                let why = aws::failure(&error);
                return Err(Failed::Again(why.to_owned()));
            }
        };
        let reasons = cancelled.cancellation_reasons();
        if reasons
            .iter()
            .any(|r| r.code() == Some("ValidationError") && is_full(r.message()))
        {
            return Err(Failed::Full);
        }
        let why = reasons
            .iter()
            .filter_map(|r| r.code())
            .find(|code| *code != "None");
        Err(Failed::Again(
            why.unwrap_or("the transaction was cancelled").to_owned(),
        ))
    }
}

/// Tries until it is done or time is up; once an item turns out to be full, with words folded.
async fn tried<T, F>(until: Instant, attempt: impl Fn(bool) -> F) -> Result<T, String>
where
    F: Future<Output = Result<T, Failed>>,
{
    let mut pause = FIRST_PAUSE;
    let mut fold = false;
    loop {
        let why = match attempt(fold).await {
            Ok(done) => return Ok(done),
            Err(Failed::Full) if !fold => {
                tracing::warn!(
                    "a day has more different words than an item holds; these are counted as other"
                );
                fold = true;
                continue;
            }
            Err(Failed::Full) => "an item is full".to_owned(),
            Err(Failed::Again(why)) => why,
        };
        if Instant::now() + pause >= until {
            return Err(why);
        }
        sleep(jittered(pause)).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

fn second(item: &Item) -> Option<(String, Second)> {
    let series = item.get(SERIES)?.as_s().ok()?.clone();
    let seen = item.get(SEEN).and_then(|v| v.as_bs().ok());
    Some((
        series,
        Second {
            version: item.get(VERSION).and_then(|v| v.as_n().ok()).cloned(),
            seen: seen
                .into_iter()
                .flatten()
                .map(|mark| mark.as_ref().to_vec())
                .collect(),
        },
    ))
}

/// A name for a transaction that nobody else gives one.
fn token() -> String {
    let half = || getrandom::u64().unwrap_or_default();
    format!("{:016x}{:016x}", half(), half())
}

/// Somewhere between half and the whole pause, so that writers that met do not meet again.
fn jittered(pause: Duration) -> Duration {
    let share = getrandom::u32().map_or(0.5, |n| f64::from(n) / f64::from(u32::MAX));
    pause.mul_f64(0.5 + share / 2.0)
}
