//! The `redrive` function.

use std::process::ExitCode;

use aws_lambda_events::sqs::SqsEvent;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use redrive::Redrive;
use webhook_ingest::{
    http::runtime,
    operations::{
        clients::{Aws, Timeouts},
        config::{StorageConfig, environment},
        logging, metrics,
    },
};

fn main() -> ExitCode {
    logging::start();
    runtime::block_on(async {
        let config = StorageConfig::read(environment)?;
        let aws = Aws::from_environment(config.roots, Timeouts::background()).await;
        metrics::start(config.stack_name.clone());
        let redrive = Redrive::start(config, &aws);
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<SqsEvent>| {
            let redrive = redrive.clone();
            async move { Ok::<_, Error>(redrive.handle(event).await) }
        }))
        .await
    })
}
