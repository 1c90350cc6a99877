//! Embedded tables and queues with a fault proxy in front of each. The functions' real binaries
//! ([`Function`]) and the local server ([`Server`](crate::server::Server)) run on it.

use std::path::Path;

use aws_sdk_sqs::types::Message;
use netcore_webhooks::{
    local::{Local, LocalOptions, RunningInstance},
    serve,
};
use projector::rollups::Rollups;
use serde_json::Value;
use webhook_ingest::{events_table::item::Item, operations::clients::Timeouts, queue::MAX_ENTRIES};

use crate::{
    fixtures,
    function::Function,
    proxy::Proxy,
    storage::{Storage, failures, sqs_event},
};

/// Tables, queues and their proxies. All of them end when this is dropped.
pub struct Stack {
    /// The proxy in front of both tables.
    pub table: Proxy,
    /// The proxy in front of both queues.
    pub queues: Proxy,
    /// The contents of tables and queues, past the proxies.
    pub storage: Storage,
    /// Addresses of the proxies, and names of tables and queues.
    pub instance: RunningInstance,
    pub(crate) backend: Backend,
}

/// What runs behind the proxies.
pub(crate) enum Backend {
    /// Tables and queues only.
    Local(Local),
    /// Tables and queues with all functions, which do not use the proxies.
    Serve(serve::Server),
}

impl Backend {
    fn local(&self) -> &Local {
        match self {
            Self::Local(local) => local,
            Self::Serve(server) => &server.local,
        }
    }
}

impl Stack {
    /// Empty tables and queues in memory, with proxies that forward everything.
    pub async fn start() -> Self {
        Self::with(None, LocalOptions::default()).await
    }

    /// Tables and queues with these options, in a folder or in memory.
    pub async fn with(folder: Option<&Path>, options: LocalOptions) -> Self {
        let local = Local::start(folder, options).await;
        Self::on(Backend::Local(local.expect("the embedded servers start"))).await
    }

    pub(crate) async fn on(backend: Backend) -> Self {
        let direct = &backend.local().instance;
        let table = Proxy::start(&direct.dynamodb).await.expect("a free port");
        let queues = Proxy::start(&direct.sqs).await.expect("a free port");
        Self {
            instance: RunningInstance {
                dynamodb: table.url.clone(),
                sqs: queues.url.clone(),
                ..direct.clone()
            },
            storage: Storage::open(direct).await,
            table,
            queues,
            backend,
        }
    }

    /// Creates a table with these items, as DynamoDB restores one: without indexes and stream.
    pub async fn restored_table(&self, name: &str, items: Vec<Item>) {
        let local = self.backend.local();
        local.create_restored_table(name).expect("a new table");
        self.storage.put_all_into(name, items).await;
    }

    /// Finishes the requests in progress and stops.
    pub async fn stop(self) {
        match self.backend {
            Backend::Local(local) => local.stop().await,
            Backend::Serve(server) => server.stop().await,
        }
    }

    /// Starts a function behind the proxies with the policy [`fixtures::AUTH`]. `more` extends or overrides
    /// its environment.
    pub async fn function(&self, name: &str, more: &[(&str, &str)]) -> Function {
        let mut environment: Vec<(&str, String)> = self.instance.environment();
        environment.push(("WEBHOOK_AUTH", fixtures::AUTH.to_owned()));
        environment.extend(more.iter().map(|(name, value)| (*name, (*value).to_owned())));
        Function::start(name, environment).await
    }

    /// The counters, through the proxy.
    pub async fn rollups(&self) -> Rollups {
        let aws = self.instance.aws(Timeouts::background()).await;
        Rollups::new(aws.dynamodb, self.instance.rollups_table.clone())
    }

    /// All records of the events table's stream, in order, as Lambda delivers them.
    pub fn stream(&self) -> Vec<Value> {
        self.backend.local().stream().expect("the stream is readable")
    }

    /// Delivers messages of the retry queue to `redrive` as the event source mapping does: the visible ones,
    /// until a batch has this many. Deletes those that are done. Returns how many `redrive` reported as
    /// failed; `None` if no message was visible.
    pub async fn deliver(&self, redrive: &Function, batch: usize) -> Option<usize> {
        let mut messages: Vec<Message> = Vec::new();
        while messages.len() < batch {
            let received = self.storage.receive().await;
            let are_all = received.len() < MAX_ENTRIES;
            messages.extend(received);
            if are_all {
                break;
            }
        }
        if messages.is_empty() {
            return None;
        }
        let reply = redrive.invoke(&sqs_event(&messages)).await;
        let failed = failures(&reply.payload);
        messages.retain(|message| !failed.iter().any(|id| Some(id.as_str()) == message.message_id()));
        self.storage.delete(&messages).await;
        Some(failed.len())
    }

    /// Delivers the retry queue to `redrive`, ten messages at once, until no message is visible. Returns how
    /// often `redrive` reported a message as failed.
    pub async fn drain(&self, redrive: &Function) -> usize {
        let mut returned = 0;
        while let Some(failed) = self.deliver(redrive, MAX_ENTRIES).await {
            returned += failed;
        }
        returned
    }
}
