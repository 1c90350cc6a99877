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
        let redrive = Redrive::start(config, &aws);
        let collector = metrics::start();
        lambda_runtime::run_concurrent(service_fn(move |event: LambdaEvent<SqsEvent>| {
            let redrive = redrive.clone();
            async move {
                let response = redrive.handle(event).await;
                collector.inspect(|collector| metrics::flush(collector));
                Ok::<_, Error>(response)
            }
        }))
        .await
    })
}
