//! Reads the events of several days with a scan of the table.

use anyhow::Context as _;
use aws_sdk_dynamodb::{Client, types::AttributeValue};
use futures::{Stream, stream};
use webhook_ingest::events_table::item::{CHANNEL, EVENT_TIME, Item};

/// The items with an event time between these epoch milliseconds, both included, in no order. A page has at most 1 MB.
pub(super) fn items(
    client: &Client,
    table: &str,
    [from, to]: [i64; 2],
) -> impl Stream<Item = anyhow::Result<Vec<Item>>> {
    let number = |value: i64| AttributeValue::N(value.to_string());
    let scan = client
        .scan()
        .table_name(table)
        .consistent_read(true)
        // Not the markers of rejected bodies.
        .filter_expression("attribute_exists(#channel) AND #at BETWEEN :from AND :to")
        .expression_attribute_names("#channel", CHANNEL)
        .expression_attribute_names("#at", EVENT_TIME)
        .expression_attribute_values(":from", number(from))
        .expression_attribute_values(":to", number(to));
    stream::try_unfold(scan.into_paginator().send(), |mut pages| async move {
        match pages.next().await {
            None => Ok(None),
            Some(page) => {
                let page = page.context("the events table does not answer")?;
                Ok(Some((page.items.unwrap_or_default(), pages)))
            }
        }
    })
}
