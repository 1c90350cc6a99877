//! The lease of a rebuild. One rebuild at a time has it, and must renew it.

use std::time::Duration;

use anyhow::{Context as _, bail};
use aws_sdk_dynamodb::{
    Client,
    error::SdkError,
    operation::update_item::{UpdateItemError, builders::UpdateItemFluentBuilder},
    types::AttributeValue,
};
use tokio::time::sleep;
use webhook_ingest::{
    counters::{CURRENT, FIRST_GENERATION, GENERATION, LEASE_UNTIL, NEXT, NO_PERIOD, PERIOD, SERIES},
    event::{EpochMillis, time},
    events_table::item::{Item, number_at},
    operations::clients,
};

/// A rebuild that does not renew its lease for this long counts as dead.
const LEASE: Duration = Duration::from_mins(2);
const RENEWED_EVERY: Duration = Duration::from_secs(15);

/// A lease, and the generation that its owner may write.
pub(crate) struct Lease<'c> {
    client: &'c Client,
    table: &'c str,
    generation: String,
}

impl<'c> Lease<'c> {
    /// Takes the lease and registers a generation that no process counts into yet.
    ///
    /// # Errors
    /// If another rebuild is running, or the table does not answer.
    pub(crate) async fn take(client: &'c Client, table: &'c str) -> anyhow::Result<Self> {
        let now = time::now();
        let before = read(client, table).await?;
        let text = |name: &str| before.get(name).and_then(|v| v.as_s().ok());
        if let Some(next) = text(NEXT) {
            // Without a lease, the rebuild belongs to an earlier version and counts as dead.
            let until = number_at(&before, LEASE_UNTIL).unwrap_or_default();
            if until > now {
                bail!(
                    "another rebuild is running (generation {next}); if it was killed, try again in {} seconds",
                    (until - now).div_euclid(1000) + 1
                );
            }
        }
        let current = text(CURRENT).map_or(FIRST_GENERATION, String::as_str);
        let number =
            |generation: Option<&String>| generation.and_then(|g| g.parse::<i64>().ok()).unwrap_or_default();
        // Greater than all earlier generations, even if this machine's clock is wrong.
        let generation = now
            .max(number(text(CURRENT)) + 1)
            .max(number(text(NEXT)) + 1)
            .to_string();
        let lease = Self {
            client,
            table,
            generation,
        };
        // The condition: the lease was not renewed or taken since it was read.
        let until = before.get(LEASE_UNTIL).filter(|_| text(NEXT).is_some());
        let taken = match (text(NEXT), until) {
            (None, _) => "attribute_not_exists(#next)",
            (Some(_), Some(_)) => "#next = :before AND #until = :until",
            (Some(_), None) => "#next = :before AND attribute_not_exists(#until)",
        };
        let mut update = lease
            .update()
            .update_expression(
                "SET #current = if_not_exists(#current, :current), #next = :next, #until = :ends",
            )
            .condition_expression(taken)
            .expression_attribute_names("#current", CURRENT)
            .expression_attribute_names("#until", LEASE_UNTIL)
            .expression_attribute_values(":current", AttributeValue::S(current.to_owned()))
            .expression_attribute_values(":ends", ends());
        if let Some(next) = text(NEXT) {
            update = update.expression_attribute_values(":before", AttributeValue::S(next.clone()));
        }
        if let Some(until) = until {
            update = update.expression_attribute_values(":until", until.clone());
        }
        match update.send().await {
            Ok(_) => Ok(lease),
            // An earlier try whose response was lost may have taken the lease.
            Err(error) if is_refused(&error) => {
                let now = read(client, table).await?;
                if now.get(NEXT).and_then(|v| v.as_s().ok()) == Some(&lease.generation) {
                    return Ok(lease);
                }
                bail!("another rebuild started at the same moment")
            }
            Err(error) => bail!(
                "the counters' table could not be written: {}",
                clients::failure(&error)
            ),
        }
    }

    /// The generation to build.
    pub(crate) fn generation(&self) -> &str {
        &self.generation
    }

    /// Renews the lease as long as possible. Returns why that failed.
    pub(crate) async fn keep(&self) -> anyhow::Error {
        let mut renewed = time::now();
        loop {
            sleep(RENEWED_EVERY).await;
            // After the end of the lease, `projector` may have stopped counting into the generation.
            if is_over(renewed) {
                return anyhow::anyhow!("the lease ended: it could not be renewed, or this machine slept");
            }
            let begun = time::now();
            let outcome = self
                .update()
                .update_expression("SET #until = :ends")
                .condition_expression("#next = :next")
                .expression_attribute_names("#until", LEASE_UNTIL)
                .expression_attribute_values(":ends", ends())
                .send()
                .await;
            match outcome {
                Ok(_) => renewed = begun,
                Err(error) if is_refused(&error) => {
                    return anyhow::anyhow!(
                        "another rebuild took over, since this one did not renew its lease"
                    );
                }
                Err(error) => tracing::warn!(why = clients::failure(&error), "the lease was not renewed"),
            }
        }
    }

    /// Switches the dashboard to the new generation.
    ///
    /// # Errors
    /// If the lease was lost, or the table does not answer.
    pub(crate) async fn finish(&self) -> anyhow::Result<()> {
        let outcome = self
            .update()
            .update_expression("SET #current = :next REMOVE #next, #until")
            .condition_expression("#next = :next AND #until > :now")
            .expression_attribute_names("#current", CURRENT)
            .expression_attribute_names("#until", LEASE_UNTIL)
            .expression_attribute_values(":now", AttributeValue::N(time::now().to_string()))
            .send()
            .await;
        match outcome {
            Ok(_) => Ok(()),
            // An earlier try whose response was lost may have switched it.
            Err(error) if is_refused(&error) => {
                let now = read(self.client, self.table).await?;
                let is_read = now.get(CURRENT).and_then(|v| v.as_s().ok()) == Some(&self.generation);
                if is_read {
                    Ok(())
                } else {
                    bail!("the lease was lost; the counters are unchanged")
                }
            }
            Err(error) => bail!(
                "the counters' table could not be written: {}",
                clients::failure(&error)
            ),
        }
    }

    /// Gives up the lease, so that another rebuild can start. If the table does not accept this, the other
    /// rebuild must wait until the lease ends.
    pub(crate) async fn give_up(&self) {
        let update = self
            .update()
            .update_expression("REMOVE #next, #until")
            .condition_expression("#next = :next")
            .expression_attribute_names("#until", LEASE_UNTIL);
        if let Err(error) = update.send().await
            && !is_refused(&error)
        {
            tracing::warn!(
                why = clients::failure(&error),
                "the lease of a rebuild could not be released"
            );
        }
    }

    fn update(&self) -> UpdateItemFluentBuilder {
        self.client
            .update_item()
            .table_name(self.table)
            .key(SERIES, AttributeValue::S(GENERATION.to_owned()))
            .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
            .expression_attribute_names("#next", NEXT)
            .expression_attribute_values(":next", AttributeValue::S(self.generation.clone()))
    }
}

async fn read(client: &Client, table: &str) -> anyhow::Result<Item> {
    let answer = client
        .get_item()
        .table_name(table)
        .key(SERIES, AttributeValue::S(GENERATION.to_owned()))
        .key(PERIOD, AttributeValue::S(NO_PERIOD.to_owned()))
        .consistent_read(true)
        .send()
        .await
        .context("the counters' table does not answer")?;
    Ok(answer.item.unwrap_or_default())
}

fn lease_ms() -> EpochMillis {
    i64::try_from(LEASE.as_millis()).unwrap_or(i64::MAX)
}

fn ends() -> AttributeValue {
    AttributeValue::N((time::now() + lease_ms()).to_string())
}

fn is_over(renewed: EpochMillis) -> bool {
    time::now() - renewed > lease_ms()
}

fn is_refused(error: &SdkError<UpdateItemError>) -> bool {
    matches!(
        error.as_service_error(),
        Some(UpdateItemError::ConditionalCheckFailedException(_))
    )
}
