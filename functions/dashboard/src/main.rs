//! The `dashboard` function.

use std::process::ExitCode;

use dashboard::{Dashboard, DashboardConfig};
use lambda_http::{Error, Request, service_fn};
use webhook_ingest::{
    http::runtime,
    operations::{
        clients::{Aws, Timeouts},
        config::environment,
        logging,
    },
};

fn main() -> ExitCode {
    logging::start();
    runtime::block_on(async {
        let config = DashboardConfig::read(environment)?;
        let aws = Aws::from_environment(config.storage.roots, Timeouts::background()).await;
        let dashboard = Dashboard::start(&config, &aws).await?;
        lambda_http::run_concurrent(service_fn(move |request: Request| {
            let dashboard = dashboard.clone();
            async move { Ok::<_, Error>(dashboard.handle(request).await) }
        }))
        .await
    })
}
