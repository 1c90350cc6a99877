//! Quantities on the command line: shares and large numbers.

/// Parses a fraction or a percentage.
///
/// # Errors
/// A message for the user if the text is no share from 0 to 1.
pub(crate) fn share(text: &str) -> Result<f64, String> {
    let (number, whole) = match text.strip_suffix('%') {
        Some(percent) => (percent.trim(), 100.0),
        None => (text, 1.0),
    };
    match number.parse::<f64>() {
        Ok(n) if (0.0..=whole).contains(&n) => Ok(n / whole),
        _ => Err("expected a share from 0 to 1, or from 0% to 100%".to_owned()),
    }
}

/// Parses a whole number of events: `1000000`, `1_000_000`, `1,000,000`, `1e6`, `1M`, `250k`, `1.5B`.
///
/// # Errors
/// A message for the user if the text is no whole number from 1 to 100 billion.
pub(crate) fn events(text: &str) -> Result<u64, String> {
    const MOST: f64 = 1e11;
    let (number, unit) = match text.char_indices().next_back() {
        Some((end, 'k' | 'K')) => (text.get(..end), 1e3),
        Some((end, 'm' | 'M')) => (text.get(..end), 1e6),
        Some((end, 'b' | 'B' | 'g' | 'G')) => (text.get(..end), 1e9),
        _ => (Some(text), 1.0),
    };
    let number = number.unwrap_or_default();
    // Only digits, separators, a point and an exponent: Rust also parses "inf".
    let is_number = number.starts_with(|c: char| c.is_ascii_digit())
        && number.chars().all(|c| c.is_ascii_digit() || "_,.eE+".contains(c));
    let parsed = number.replace(['_', ','], "").parse::<f64>();
    // Rounded, because 4.35 million is not exact in binary.
    let exact = parsed.ok().filter(|_| is_number).map(|n| n * unit);
    let events = exact
        .map(f64::round)
        .filter(|n| exact.is_some_and(|exact| (exact - n).abs() < 1e-4));
    match events {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a whole number from 1 to 1e11"
        )]
        Some(events) if (1.0..=MOST).contains(&events) => Ok(events as u64),
        _ => Err(
            "expected a whole number from 1 to 100 billion, such as 1000000, 1_000_000, 1e6 or 1M".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_a_fraction_or_a_percentage() {
        assert_eq!(share("0.05"), Ok(0.05));
        assert_eq!(share("5%"), Ok(0.05));
        assert_eq!(share("100 %"), Ok(1.0));
        for bad in ["5", "-0.1", "101%", "x", "", "NaN"] {
            assert!(share(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_number_of_events_has_common_spellings() {
        for text in [
            "1000000",
            "1_000_000",
            "1,000,000",
            "1e6",
            "1E6",
            "1.0e+6",
            "1M",
            "1m",
            "1000k",
            "0.001B",
        ] {
            assert_eq!(events(text), Ok(1_000_000), "{text}");
        }
        assert_eq!(events("1"), Ok(1));
        assert_eq!(events("1.5M"), Ok(1_500_000));
        assert_eq!(events("4.35M"), Ok(4_350_000));
        assert_eq!(events("1e11"), Ok(100_000_000_000));
        for bad in [
            "0", "", "M", "-1", "+1", "1.5", "1e12", "inf", "NaN", "1x", "1MM", "1 M", "1e-3", "_1", "e6",
        ] {
            assert!(events(bad).is_err(), "{bad}");
        }
    }
}
