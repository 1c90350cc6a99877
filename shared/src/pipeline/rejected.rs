//! Keeps a body without any event in the dead-letter queue, once however often it arrives.
//!
//! The marker is written after the queue took the body, so it never stands for a body that is not kept. If the
//! process ends between the two, or copies arrive at the same moment, the queue has one dead letter more for
//! each.

use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use super::Pipeline;
use crate::{
    events_table::rejected::{Known, RejectedBody},
    queue::message::QueueMessage,
};

/// The part of the time until the deadline for the question whether the body is kept already. A table that
/// does not answer must not take the queue's time.
const ASK_SHARE: f64 = 0.25;

/// Whether a rejected body is durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    /// It is in a queue now.
    Kept,
    /// It was in the dead-letter queue before. The number of times that it arrived.
    Repeated(u64),
    /// No queue took it.
    Lost,
}

impl Pipeline {
    /// Sends a rejected body to the dead-letter queue, unless a copy of it is there.
    pub async fn keep_rejected(&self, message: &QueueMessage, deadline: Instant) -> Rejected {
        let body = RejectedBody::new(&message.function, message.body.bytes());
        let left = deadline.saturating_duration_since(Instant::now());
        let asking: Duration = left.mul_f64(ASK_SHARE);
        let known = self.table.count_rejected(&body, message.received_at);
        let known = timeout_at(Instant::now() + asking, known).await;
        let known = known.unwrap_or(Known::Unknown);
        if let Known::Kept(copies) = known {
            return Rejected::Repeated(copies);
        }
        if !self.dead_letter_body(message, deadline).await {
            return Rejected::Lost;
        }
        // A table that did not answer a moment ago would only delay the response.
        if known == Known::New {
            let _ = timeout_at(deadline, self.table.mark_rejected(&body, message.received_at)).await;
        }
        Rejected::Kept
    }
}
