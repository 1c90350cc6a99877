//! The names that a day counts separately: the first ones of each kind, the same for all projectors.
//!
//! A day's names are in pages of the counters' table. A name is written to a page before it is counted. The
//! update fails if another projector wrote to the page in the meantime; then the page is read again. Names
//! are never removed, so registered names and full kinds can be cached: only a new name costs a write, and
//! names beyond the limits cost none.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
};

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnConsumedCapacity},
};
use tokio::time::Instant;
use webhook_ingest::{
    counters::{
        self, Counter, EXPIRES_AT, FOLDED, Names, OTHER, OTHER_CHANNEL, PERIOD, Progress, SERIES, Scope,
        VERSION, is_listed_channel,
    },
    event::time,
    events_table::item::Item,
    operations::{backoff::Backoff, clients, dynamodb},
};

use crate::counter_delta::Subject;

/// A page with more bytes of names is full. One write adds at most this many bytes.
const PAGE_BYTES: usize = 16_000;
/// The most bytes of cached names. Beyond, the cache is cleared, and names are read again when they are
/// needed.
const MAX_CACHED_BYTES: usize = 32_000_000;
/// In a page: it accepts no more names (BOOL).
const FULL: &str = "full";

/// The counters of a subject, with the names that its day counts separately.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) day: String,
    pub(crate) quarter: String,
    pub(crate) scopes: BTreeSet<Scope>,
    pub(crate) counters: Vec<Counter>,
    /// The rows of league tables: kind and name.
    pub(crate) rows: BTreeSet<(Names, String)>,
    pub(crate) league: Vec<Progress>,
}

/// Cached days, by generation and day.
type CachedDays = HashMap<(String, String), Arc<Day>>;

/// The names of each day, with a cache.
#[derive(Clone)]
pub(crate) struct Registry {
    client: Client,
    table: String,
    cache: Arc<Mutex<CachedDays>>,
    /// One task of this process at a time, so that tasks do not make each other's writes fail.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// The names of one day.
#[derive(Debug, Clone, Default)]
struct Day {
    names: BTreeMap<Names, NameSet>,
    folded: BTreeSet<Names>,
    pages: usize,
    last: Page,
}

/// The names of one kind.
#[derive(Debug, Clone, Default)]
struct NameSet {
    names: HashSet<String>,
    bytes: usize,
}

impl NameSet {
    fn extend(&mut self, names: impl IntoIterator<Item = String>) {
        for name in names {
            self.bytes += name.len();
            self.names.insert(name);
        }
    }
}

/// A day's last page, to which names can be added.
#[derive(Debug, Clone, Copy, Default)]
struct Page {
    version: u64,
    bytes: usize,
    is_full: bool,
}

impl Registry {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            cache: Arc::default(),
            turn: Arc::default(),
        }
    }

    /// Registers the names of subjects. Returns the entry of each subject, and the write units used for new
    /// names.
    ///
    /// # Errors
    /// Why the table did not answer in time.
    pub(crate) async fn register(
        &self,
        generation: &str,
        subjects: &[&Subject],
        until: Instant,
    ) -> Result<(Vec<Entry>, f64), String> {
        let mut of_days: BTreeMap<String, Vec<&Subject>> = BTreeMap::new();
        for subject in subjects {
            of_days.entry(subject.day()).or_default().push(subject);
        }
        let mut days = HashMap::new();
        let mut units = 0.0;
        for (day, subjects) in of_days {
            let known = self.day(generation, &day, &subjects, until, &mut units).await?;
            days.insert(day, known);
        }
        let nothing = Day::default();
        let entries = subjects.iter().map(|subject| {
            let day = days.get(&subject.day()).map_or(&nothing, |day| &**day);
            entry(subject, |names, name| day.has(names, name))
        });
        Ok((entries.collect(), units))
    }

    /// A day's names, including those of these subjects that fit.
    async fn day(
        &self,
        generation: &str,
        day: &str,
        subjects: &[&Subject],
        until: Instant,
        units: &mut f64,
    ) -> Result<Arc<Day>, String> {
        let key = (generation.to_owned(), day.to_owned());
        if let Some(known) = self.cached(&key)
            && NewNames::of(&known, subjects).is_empty()
        {
            return Ok(known);
        }
        let _turn = self.turn.lock().await;
        let mut backoff = Backoff::until(until);
        let mut known = self.cached(&key);
        loop {
            let now = match known.take() {
                Some(known) => known,
                None => match self.read(generation, day).await {
                    Ok(read) => Arc::new(read),
                    Err(why) => {
                        backoff.pause(why).await?;
                        continue;
                    }
                },
            };
            let new_names = NewNames::of(&now, subjects);
            if new_names.is_empty() {
                self.insert(key, &now);
                return Ok(now);
            }
            match self.write(generation, day, &now, &new_names).await {
                Ok(cost) => {
                    *units += cost;
                    let after = Arc::new(new_names.applied());
                    self.insert(key.clone(), &after);
                    known = Some(after);
                }
                Err(WriteError::Retryable(why)) => backoff.pause(why).await?,
                Err(WriteError::Permanent(why)) => {
                    // Only the names are missing: the events are counted as other.
                    tracing::error!(why, day, "new names of a day cannot be written");
                    return Ok(now);
                }
            }
        }
    }

    fn cached(&self, key: &(String, String)) -> Option<Arc<Day>> {
        let cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.get(key).cloned()
    }

    fn insert(&self, key: (String, String), day: &Arc<Day>) {
        let mut cache = self.cache.lock().unwrap_or_else(PoisonError::into_inner);
        cache.insert(key, day.clone());
        if cache.values().map(|day| day.bytes()).sum::<usize>() > MAX_CACHED_BYTES {
            cache.clear();
        }
    }

    async fn read(&self, generation: &str, day: &str) -> Result<Day, String> {
        let series = counters::names(generation);
        let query = counters::query(&self.client, &self.table, &series, counters::days(day, day));
        let pages: Vec<Item> = query
            .consistent_read(true)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<_, _>>()
            .await
            .map_err(|e| clients::failure(&e).to_owned())?;
        Ok(Day::of(&pages))
    }

    async fn write(
        &self,
        generation: &str,
        day: &str,
        known: &Day,
        new_names: &NewNames<'_>,
    ) -> Result<f64, WriteError> {
        let (page, is_new) = match known.pages {
            0 => (0, true),
            pages if known.last.is_full => (pages, true),
            pages => (pages - 1, false),
        };
        let condition = if is_new {
            "attribute_not_exists(#version)"
        } else {
            "#version = :read"
        };
        let number = |n: String| AttributeValue::N(n);
        let mut update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key(SERIES, AttributeValue::S(counters::names(generation)))
            .key(PERIOD, AttributeValue::S(counters::page(day, page)))
            .condition_expression(condition)
            .expression_attribute_names("#version", VERSION)
            .expression_attribute_names("#expires", EXPIRES_AT)
            .expression_attribute_values(":one", number("1".to_owned()))
            .expression_attribute_values(":expires", counters::expires_at(time::now()))
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        if !is_new {
            update = update.expression_attribute_values(":read", number(known.last.version.to_string()));
        }
        let mut set = "SET #expires = :expires".to_owned();
        if new_names.page().is_full {
            set.push_str(", #full = :full");
            update = update
                .expression_attribute_names("#full", FULL)
                .expression_attribute_values(":full", AttributeValue::Bool(true));
        }
        let mut add = "ADD #version :one".to_owned();
        let folded = new_names
            .folded
            .iter()
            .map(|names| names.attribute().to_owned())
            .collect();
        let sets = new_names
            .new
            .iter()
            .map(|(names, new)| (names.attribute(), new.names.iter().cloned().collect()));
        for (name, values) in sets.chain([(FOLDED, folded)]) {
            let values: Vec<String> = values;
            if !values.is_empty() {
                add += &[", #", name, " :", name].concat();
                update = update
                    .expression_attribute_names(format!("#{name}"), name)
                    .expression_attribute_values(format!(":{name}"), AttributeValue::Ss(values));
            }
        }
        let answer = update.update_expression(format!("{set} {add}")).send().await;
        match answer {
            Ok(answer) => Ok(answer
                .consumed_capacity
                .and_then(|c| c.capacity_units)
                .unwrap_or_default()),
            Err(error) if dynamodb::is_validation(&error) => {
                Err(WriteError::Permanent("ValidationException".to_owned()))
            }
            Err(error) => Err(WriteError::Retryable(clients::failure(&error).to_owned())),
        }
    }
}

enum WriteError {
    /// Another process wrote in the meantime, or the table was busy.
    Retryable(String),
    /// The page has an unexpected form.
    Permanent(String),
}

impl Day {
    fn of(pages: &[Item]) -> Self {
        let mut day = Self {
            pages: pages.len(),
            ..Self::default()
        };
        for page in pages {
            let set = |name: &str| page.get(name).and_then(|v| v.as_ss().ok()).into_iter().flatten();
            let before = day.bytes();
            for names in Names::ALL {
                let known = day.names.entry(names).or_default();
                known.extend(set(names.attribute()).cloned());
                if set(FOLDED).any(|folded| folded == names.attribute()) {
                    day.folded.insert(names);
                }
            }
            let version = page.get(VERSION).and_then(|v| v.as_n().ok());
            day.last = Page {
                version: version.and_then(|v| v.parse().ok()).unwrap_or_default(),
                bytes: day.bytes() - before,
                is_full: page.contains_key(FULL),
            };
        }
        day
    }

    fn has(&self, names: Names, name: &str) -> bool {
        self.names
            .get(&names)
            .is_some_and(|known| known.names.contains(name))
    }

    fn bytes(&self) -> usize {
        self.names.values().map(|known| known.bytes).sum()
    }
}

/// The names that a write adds to a day.
struct NewNames<'d> {
    day: &'d Day,
    new: BTreeMap<Names, NameSet>,
    folded: BTreeSet<Names>,
}

impl<'d> NewNames<'d> {
    fn of(day: &'d Day, subjects: &[&Subject]) -> Self {
        let mut new_names = Self {
            day,
            new: BTreeMap::new(),
            folded: BTreeSet::new(),
        };
        for subject in subjects {
            entry(subject, |names, name| new_names.add(names, name));
            if new_names.bytes() > PAGE_BYTES {
                break;
            }
        }
        new_names
    }

    /// Whether a name is registered, or can be added.
    fn add(&mut self, names: Names, name: &str) -> bool {
        let new = self.new.entry(names).or_default();
        if self.day.has(names, name) || new.names.contains(name) {
            return true;
        }
        let (number, bytes) =
            (self.day.names.get(&names)).map_or((0, 0), |known| (known.names.len(), known.bytes));
        if number + new.names.len() >= names.most() || bytes + new.bytes + name.len() > names.most_bytes() {
            if !self.day.folded.contains(&names) {
                self.folded.insert(names);
            }
            return false;
        }
        new.extend([name.to_owned()]);
        true
    }

    fn bytes(&self) -> usize {
        self.new.values().map(|new| new.bytes).sum()
    }

    fn is_empty(&self) -> bool {
        self.folded.is_empty() && self.bytes() == 0
    }

    /// The page after the write.
    fn page(&self) -> Page {
        let before = if self.day.last.is_full {
            Page::default()
        } else {
            self.day.last
        };
        let bytes = before.bytes + self.bytes();
        Page {
            version: before.version + 1,
            bytes,
            is_full: bytes > PAGE_BYTES,
        }
    }

    /// The day after the write.
    fn applied(self) -> Day {
        let page = self.page();
        let mut day = self.day.clone();
        day.pages += usize::from(day.pages == 0 || day.last.is_full);
        day.last = page;
        for (names, new) in self.new {
            day.names.entry(names).or_default().extend(new.names);
        }
        day.folded.extend(self.folded);
        day
    }
}

/// The entry of a subject, if `has` returns whether a name is registered.
fn entry(subject: &Subject, mut has: impl FnMut(Names, &str) -> bool) -> Entry {
    let mut counter = |counter: &Counter| {
        let channel = counter.channel.as_str();
        if !is_listed_channel(channel) && channel != OTHER_CHANNEL && !has(Names::Channels, channel) {
            return counter.clone().of_channel(OTHER_CHANNEL).folded();
        }
        match counter.names() {
            Some(names) if !has(names, &counter.name()) => counter.folded(),
            _ => counter.clone(),
        }
    };
    let counters = subject.counters.iter().map(&mut counter).collect();
    let mut word = |names, word: &String| {
        if has(names, word) {
            word.clone()
        } else {
            OTHER.to_owned()
        }
    };
    let values = &subject.dimensions;
    let bot = values.bot.as_ref().map(|bot| word(Names::Bots, bot));
    let tags: BTreeSet<String> = values.tags.iter().map(|tag| word(Names::Tags, tag)).collect();
    let single = [
        (Names::Campaigns, &values.campaign),
        (Names::Templates, &values.template),
        (Names::Countries, &values.country),
    ];
    let single = single
        .into_iter()
        .filter_map(|(kind, name)| Some((kind, word(kind, name.as_ref()?))));
    let rows: BTreeSet<(Names, String)> = single
        .chain(bot.iter().map(|bot| (Names::Bots, bot.clone())))
        .chain(tags.iter().map(|tag| (Names::Tags, tag.clone())))
        .collect();
    let of_rows = rows.iter().map(|(kind, name)| Scope::of(*kind, name));
    let mut scopes: BTreeSet<Scope> = of_rows.chain([Scope::default()]).collect();
    for tag in tags.iter().filter(|_| bot.is_some()) {
        let pair = Scope {
            bot: bot.clone(),
            ..Scope::of(Names::Tags, tag)
        };
        if has(Names::Pairs, &digest(&pair)) {
            scopes.insert(pair);
        }
    }
    Entry {
        day: subject.day(),
        quarter: subject.quarter(),
        scopes,
        counters,
        rows: if subject.league.is_empty() {
            BTreeSet::new()
        } else {
            rows
        },
        league: subject.league.clone(),
    }
}

/// A pair's name: short, since there may be many, and unique on its day.
fn digest(pair: &Scope) -> String {
    use sha2::{Digest as _, Sha256};
    let digest = Sha256::digest(pair.series(""));
    let first = digest.first_chunk().copied().unwrap_or_default();
    format!("{:016x}", u64::from_be_bytes(first))
}
