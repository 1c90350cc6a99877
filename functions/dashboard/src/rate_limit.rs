//! Limits failed sign-ins. They are counted in the counters' table, in windows of 15 minutes, because
//! execution environments share no memory.
//!
//! A failure counts for its address and for all addresses together. A correct password is not counted, so
//! colleagues behind one address do not lock each other out. When an address or all addresses have reached
//! the limit, only browsers that are known from an earlier session can try. Their failures are counted for
//! the password of that session.

use std::net::IpAddr;

use aws_sdk_dynamodb::{
    Client,
    types::{AttributeValue, ReturnValue},
};
use tokio::sync::{Mutex, MutexGuard};
use webhook_ingest::{
    counters::{EXPIRES_AT, PERIOD, SERIES},
    event::EpochMillis,
    events_table::item::number_at,
};

use crate::refusal::{self, Refusal};

/// The window in which failures are counted.
const WINDOW_SECONDS: i64 = 900;
/// Failures from one address, or one /64 network of IPv6.
const MAX_OF_ADDRESS: i64 = 10;
/// Failures from all addresses. Limits guessing from many addresses, and the size of the table.
const MAX_OF_ALL: i64 = 200;
/// Failures from browsers that signed in with the same password before.
const MAX_OF_KNOWN: i64 = 20;
const FAILURES: &str = "failures";

/// The counter of failures.
pub(crate) struct Attempts {
    client: Client,
    table: String,
    one_at_a_time: Mutex<()>,
}

/// A try that is allowed. Each execution environment has one at a time, so the limit can be exceeded by at
/// most one failure per environment.
pub(crate) struct Attempt<'a> {
    of: &'a Attempts,
    counted_for: Vec<(String, i64)>,
    now: EpochMillis,
    _turn: MutexGuard<'a, ()>,
}

impl Attempts {
    pub(crate) fn new(client: Client, table: String) -> Self {
        Self {
            client,
            table,
            one_at_a_time: Mutex::new(()),
        }
    }

    /// Starts a try from an address. `known` is the id of a known browser.
    ///
    /// # Errors
    /// [`Refusal::TooManyTries`] after too many failures. Also an error if the table does not answer, because
    /// the failure could not be counted.
    pub(crate) async fn begin(
        &self,
        address: &str,
        known: Option<String>,
        now: EpochMillis,
    ) -> Result<Attempt<'_>, Refusal> {
        let turn = self.one_at_a_time.lock().await;
        let mut counted_for = vec![
            ("signin#all".to_owned(), MAX_OF_ALL),
            (format!("signin#{}", network(address)), MAX_OF_ADDRESS),
        ];
        if !self.has_room(&counted_for, now).await? {
            let known = known.ok_or_else(|| too_many(now))?;
            counted_for = vec![(format!("signin#known={known}"), MAX_OF_KNOWN)];
            if !self.has_room(&counted_for, now).await? {
                return Err(too_many(now));
            }
        }
        Ok(Attempt {
            of: self,
            counted_for,
            now,
            _turn: turn,
        })
    }

    async fn has_room(&self, counters: &[(String, i64)], now: EpochMillis) -> Result<bool, Refusal> {
        for (series, most) in counters {
            let answer = self
                .client
                .get_item()
                .table_name(&self.table)
                .key(SERIES, AttributeValue::S(series.clone()))
                .key(PERIOD, AttributeValue::S(window(now).to_string()))
                .consistent_read(true)
                .send()
                .await
                .map_err(|e| refusal::unavailable("the counters' table", &e))?;
            let failures = answer
                .item
                .and_then(|item| number_at(&item, FAILURES))
                .unwrap_or_default();
            if failures >= *most {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Attempt<'_> {
    /// Counts the try as a failure.
    ///
    /// # Errors
    /// [`Refusal::TooManyTries`] if other environments have reached the limit in the meantime. Also an error
    /// if the table does not answer.
    pub(crate) async fn failed(self) -> Result<(), Refusal> {
        let mut is_over = false;
        for (series, most) in &self.counted_for {
            let answer = self
                .of
                .client
                .update_item()
                .table_name(&self.of.table)
                .key(SERIES, AttributeValue::S(series.clone()))
                .key(PERIOD, AttributeValue::S(window(self.now).to_string()))
                .update_expression("SET #expires = :expires ADD #failures :one")
                .expression_attribute_names("#expires", EXPIRES_AT)
                .expression_attribute_names("#failures", FAILURES)
                .expression_attribute_values(":expires", AttributeValue::N(ends(self.now).to_string()))
                .expression_attribute_values(":one", AttributeValue::N("1".into()))
                .return_values(ReturnValue::UpdatedNew)
                .send()
                .await
                .map_err(|e| refusal::unavailable("the counters' table", &e))?;
            let failures = answer.attributes.and_then(|item| number_at(&item, FAILURES));
            is_over = is_over || failures.is_none_or(|failures| failures > *most);
        }
        if is_over { Err(too_many(self.now)) } else { Ok(()) }
    }
}

fn window(now: EpochMillis) -> i64 {
    now / 1000 / WINDOW_SECONDS
}

/// End of the window, epoch seconds.
fn ends(now: EpochMillis) -> i64 {
    (window(now) + 1) * WINDOW_SECONDS
}

fn too_many(now: EpochMillis) -> Refusal {
    Refusal::TooManyTries(ends(now) - now / 1000)
}

/// The key for an address. For IPv6 it is the /64 network, because one customer has 2^64 addresses or more.
fn network(address: &str) -> String {
    match address.parse::<IpAddr>().map(|ip| ip.to_canonical()) {
        Ok(IpAddr::V4(ip)) => ip.to_string(),
        Ok(IpAddr::V6(ip)) => {
            let [a, b, c, d, ..] = ip.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
        Err(_) => "unknown".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_counted_as_networks() {
        for (address, counted_as) in [
            ("203.0.113.7", "203.0.113.7"),
            ("::ffff:203.0.113.7", "203.0.113.7"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
            ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
            ("2001:db8:1:3::9", "2001:db8:1:3::/64"),
            ("::1", "0:0:0:0::/64"),
            ("", "unknown"),
            ("all", "unknown"),
        ] {
            assert_eq!(network(address), counted_as, "{address}");
        }
    }
}
