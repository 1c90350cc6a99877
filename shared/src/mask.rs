//! Numbers of people, made fit for a log line.

/// `text` with every run of seven or more digits masked but for its last three.
///
/// ```
/// assert_eq!(webhook_ingest::mask::digits("api-337-919209209291"), "api-337-*********291");
/// ```
pub fn digits(text: &str) -> String {
    const SHORTEST_NUMBER: usize = 7;
    const SHOWN: usize = 3;
    let mut out = String::with_capacity(text.len());
    let mut run = String::new();
    let flush = |run: &mut String, out: &mut String| {
        let hidden = if run.len() < SHORTEST_NUMBER {
            0
        } else {
            run.len() - SHOWN
        };
        out.extend(std::iter::repeat_n('*', hidden));
        out.push_str(run.get(hidden..).unwrap_or_default());
        run.clear();
    };
    for c in text.chars() {
        if c.is_ascii_digit() {
            run.push(c);
        } else {
            flush(&mut run, &mut out);
            out.push(c);
        }
    }
    flush(&mut run, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::digits;

    #[test]
    fn masks_numbers_and_leaves_short_runs() {
        assert_eq!(digits("+91 898 319"), "+91 898 319");
        assert_eq!(digits("+918983190458"), "+*********458");
        assert_eq!(digits("sms-337-x-1762494360"), "sms-337-x-*******360");
        assert_eq!(digits(""), "");
    }
}
