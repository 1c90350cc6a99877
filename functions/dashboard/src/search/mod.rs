//! The search: one text for everything that a customer's system knows. `asked` recognizes what a text can be, `reads`
//! queries the tables, and `names` compares the names of campaigns and tags.
//!
//! Every query has a partition key and a limit, so the cost of a search depends on what it lists: per kind at most
//! [`MAX`](asked::MAX) entries, each with one query for its state or time.

pub(crate) mod answer;
pub(crate) mod asked;
mod names;
mod reads;

use std::collections::BTreeSet;

use aws_sdk_dynamodb::Client;
use futures::{StreamExt as _, stream};
use webhook_ingest::links::lookups::Searched;

use self::{
    answer::{Found, FoundKind, SearchResult},
    asked::Term,
    reads::Known,
};
use crate::refusal::Refusal;

/// Concurrent queries for the entries of a response.
const IN_FLIGHT: usize = 8;

/// Searches the tables.
pub(crate) struct Search {
    client: Client,
    events: String,
    rollups: String,
    /// Whether there are lookups: `SEARCH_INDEX`.
    has_lookups: bool,
}

impl Search {
    pub(crate) fn new(client: Client, events: String, rollups: String, has_lookups: bool) -> Self {
        Self {
            client,
            events,
            rollups,
            has_lookups,
        }
    }

    /// What a term finds, `limit` entries of each kind. Searches people only if `with_people`.
    pub(crate) async fn find(
        &self,
        term: &Term,
        limit: usize,
        with_people: bool,
    ) -> Result<SearchResult, Refusal> {
        // A command for a stack may not know the counters' table.
        let has_counters = !self.rollups.is_empty();
        let has_lookups = self.has_lookups && has_counters;
        let mut result = SearchResult::default();
        self.messages(term, limit, has_lookups, &mut result).await?;
        if with_people {
            self.people(term, limit, has_lookups, &mut result).await?;
        }
        if has_counters {
            self.names(term, limit, &mut result).await?;
        }
        Ok(result)
    }

    /// Messages by their id, their request and their callback data. Each message is listed once.
    async fn messages(
        &self,
        term: &Term,
        limit: usize,
        has_lookups: bool,
        result: &mut SearchResult,
    ) -> Result<(), Refusal> {
        let mut listed = BTreeSet::new();
        result.searched.push(FoundKind::Message);
        self.list(FoundKind::Message, term.message_ids(), &mut listed, result)
            .await?;
        if !has_lookups {
            return Ok(());
        }
        for (kind, searched) in [
            (FoundKind::Request, Searched::Request),
            (FoundKind::Callback, Searched::Callback),
        ] {
            result.searched.push(kind);
            let mut known = Known::default();
            for value in term.values() {
                known.add(self.linked_messages(searched, value).await?);
            }
            known.ids.retain(|id| !listed.contains(id));
            let ids = result.limited(known, limit);
            self.list(kind, ids, &mut listed, result).await?;
        }
        Ok(())
    }

    /// Adds the messages with these ids that have events.
    async fn list(
        &self,
        kind: FoundKind,
        ids: Vec<String>,
        listed: &mut BTreeSet<String>,
        result: &mut SearchResult,
    ) -> Result<(), Refusal> {
        let mut heads = stream::iter(ids).map(|id| self.head(id)).buffered(IN_FLIGHT);
        while let Some(head) = heads.next().await {
            if let Some(found) = head? {
                listed.extend(found.message_id.clone());
                result.found.push(Found { kind, ..found });
            }
        }
        Ok(())
    }

    /// People by a complete id, or by the last digits of their number.
    async fn people(
        &self,
        term: &Term,
        limit: usize,
        has_lookups: bool,
        result: &mut SearchResult,
    ) -> Result<(), Refusal> {
        result.searched.push(FoundKind::Recipient);
        let mut known = Known::default();
        if has_lookups && let Some(digits) = term.digits() {
            known = self.numbers(digits).await?;
        }
        let exact = term.person().filter(|id| !known.ids.contains(id));
        let ids = result.limited(known, limit).into_iter().map(|id| (id, true));
        // A complete id that no lookup has is only a guess.
        let ids = exact.map(|id| (id, false)).into_iter().chain(ids);
        let mut latest = stream::iter(ids)
            .map(|(id, is_known)| async move { self.latest(id, is_known).await })
            .buffered(IN_FLIGHT);
        while let Some(found) = latest.next().await {
            result.found.extend(found?);
        }
        Ok(())
    }

    /// Campaigns and tags by their names.
    async fn names(&self, term: &Term, limit: usize, result: &mut SearchResult) -> Result<(), Refusal> {
        result.searched.extend(names::KINDS.map(|(kind, _)| kind));
        let Some(wanted) = names::Wanted::of(term) else {
            return Ok(());
        };
        let pages = self.pages_of_names().await?;
        result.truncated |= pages.has_more;
        for (kind, attribute) in names::KINDS {
            let known = Known {
                ids: wanted.among(&pages.items, attribute),
                has_more: false,
            };
            let names = result.limited(known, limit).into_iter();
            result.found.extend(names.map(|name| Found {
                name: Some(name),
                ..Found::of(kind)
            }));
        }
        Ok(())
    }
}

impl SearchResult {
    /// The first ids. Counts those that are left out.
    fn limited(&mut self, mut known: Known, limit: usize) -> Vec<String> {
        self.left_out += known.ids.len().saturating_sub(limit);
        self.truncated |= known.has_more;
        known.ids.truncate(limit);
        known.ids
    }
}
