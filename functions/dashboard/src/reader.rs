//! Reads the items of a merged list until a page is full.

use aws_sdk_dynamodb::{Client, operation::query::builders::QueryFluentBuilder};
use webhook_ingest::events_table::{item::Item, read::EventKey};

use crate::{
    answered::Selection,
    entries,
    filter::EventFilter,
    merge::{Merge, ReadBudget},
    pages::PageRequest,
    refusal::Refusal,
    sizes::SizeBudget,
};

/// Items that are read at once: at most these, and with a filter at first fewer, because few of them may be needed.
const MAX_AT_ONCE: usize = 1_000;
const FIRST_CANDIDATES: usize = 100;
const MAX_CANDIDATES: usize = 400;

/// A page that is being read.
pub(crate) struct PageReader<'a> {
    client: &'a Client,
    table: &'a str,
    page: &'a PageRequest,
    /// Conditions that the index does not check.
    selection: Option<Selection<'a>>,
    left: SizeBudget,
    candidates: usize,
    pub(crate) budget: ReadBudget,
    pub(crate) items: Vec<Item>,
}

impl<'a> PageReader<'a> {
    pub(crate) fn new(client: &'a Client, table: &'a str, page: &'a PageRequest) -> Self {
        Self {
            client,
            table,
            page,
            selection: None,
            left: page.budget,
            candidates: FIRST_CANDIDATES,
            budget: ReadBudget::new(page.limits),
            items: Vec::new(),
        }
    }

    pub(crate) fn with_filter(mut self, filter: &'a EventFilter) -> Self {
        let selection = || Selection::new(self.client, self.table, filter);
        self.selection = filter.needs_items().then(selection);
        self
    }

    /// The number of events that still fit.
    pub(crate) fn room(&self) -> usize {
        self.left.entries
    }

    /// Adds the items of a list to the page, until the list ends, the page is full or the limits for reading are
    /// reached.
    pub(crate) async fn read<Q>(&mut self, list: &mut Merge<Q>) -> Result<(), Refusal>
    where
        Q: Fn() -> QueryFluentBuilder,
    {
        while self.left.entries > 0 && !self.budget.is_spent() {
            let most = match self.selection {
                Some(_) => self.candidates,
                None => self.left.entries.min(MAX_AT_ONCE),
            };
            let entries = list.next(most.min(self.budget.items), &mut self.budget).await?;
            if entries.is_empty() {
                break;
            }
            self.budget.items = self.budget.items.saturating_sub(entries.len());
            self.candidates = (self.candidates * 2).min(MAX_CANDIDATES);
            let keys: Vec<EventKey> = entries.iter().map(|entry| entry.key.clone()).collect();
            let taken = entries::items(
                self.client,
                self.table,
                &keys,
                self.page.attributes,
                self.selection.as_mut(),
                &mut self.left,
                self.page.size,
            )
            .await?;
            self.items.extend(taken.items);
            if let Some(selection) = &mut self.selection {
                self.budget.count_queries(selection.take_queries());
            }
            let is_full = taken.entries < entries.len();
            list.take(entries, taken.entries);
            if is_full {
                // The next event does not fit.
                self.left.entries = 0;
            }
        }
        Ok(())
    }
}
