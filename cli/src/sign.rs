//! `sign`: signs a file with a policy and prints the curl command of a sender.

use std::{path::Path, time::Duration};

use anyhow::Context as _;
use webhook_ingest::{
    auth::{Policy, RefreshingSecret, is_reference},
    event::time,
    operations::clients::{Aws, Roots, Timeouts},
};

/// The curl command that posts a file as a sender with the policy's first scheme does.
///
/// # Errors
/// If the file cannot be read or the policy is invalid.
pub async fn curl_line(file: &Path, auth: &str, url: &str) -> anyhow::Result<String> {
    let body = std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?;
    let now = time::now();
    let (headers, url) = if is_reference(auth) {
        let aws = Aws::from_environment(Roots::System, Timeouts::background()).await;
        let policy =
            RefreshingSecret::<Policy>::start(auth, Duration::from_mins(5), &aws.config, now).await?;
        let policy = policy.current(now).await;
        (policy.sign(&body, now), policy.signed_url(url))
    } else {
        let policy = Policy::parse(auth)?;
        (policy.sign(&body, now), policy.signed_url(url))
    };
    Ok(line(&headers, &format!("@{}", file.display()), &url))
}

/// A curl command that posts JSON.
pub fn line(headers: &[(String, String)], data: &str, url: &str) -> String {
    let mut line = format!("curl -sS {}", quoted(url));
    let json = ("content-type".to_owned(), "application/json".to_owned());
    for (name, value) in headers.iter().chain([&json]) {
        line.push_str(" -H ");
        line.push_str(&quoted(&format!("{name}: {value}")));
    }
    line.push_str(" --data-binary ");
    line.push_str(&quoted(data));
    line
}

/// A word, quoted for a shell.
fn quoted(word: &str) -> String {
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_line_is_safe_to_paste() {
        assert_eq!(
            line(&[("x".into(), "it's".into())], "@a b.json", "http://h/"),
            r"curl -sS 'http://h/' -H 'x: it'\''s' -H 'content-type: application/json' --data-binary '@a b.json'"
        );
    }
}
