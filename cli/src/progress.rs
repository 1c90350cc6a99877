//! Progress bars on standard error. They move the cursor, so only a terminal that can do this gets them. They have no
//! colors.

use std::env;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of this length, or a spinner. Hidden if standard error is not a terminal, or with `TERM=dumb`.
pub(crate) fn bar(length: Option<u64>, template: &str) -> ProgressBar {
    // `indicatif` itself checks only for a terminal.
    let target = if env::var_os("TERM").is_some_and(|term| term == "dumb") {
        ProgressDrawTarget::hidden()
    } else {
        ProgressDrawTarget::stderr()
    };
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::with_draw_target(length, target).with_style(style)
}
