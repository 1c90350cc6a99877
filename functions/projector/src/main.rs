//! The `projector` function.

use std::process::ExitCode;

use lambda_runtime::{Error, LambdaEvent, service_fn};
use projector::{Projector, StreamEvent};
use webhook_ingest::{
    http::runtime,
    operations::{
        clients::{Aws, Timeouts},
        config::{RollupsConfig, environment},
        logging, metrics,
    },
};

fn main() -> ExitCode {
    logging::start();
    runtime::block_on(async {
        let config = RollupsConfig::read(environment)?;
        let aws = Aws::from_environment(config.roots, Timeouts::background()).await;
        let projector = Projector::start(
            config.events_table,
            config.rollups_table,
            config.dead_letter_queue_url,
            &aws,
        );
        let projector = if config.search_index {
            projector
        } else {
            projector.without_search_index()
        };
        metrics::start(config.stack_name);
        lambda_runtime::run(service_fn(move |event: LambdaEvent<StreamEvent>| {
            let projector = projector.clone();
            async move { Ok::<_, Error>(projector.handle(event).await) }
        }))
        .await
    })
}
