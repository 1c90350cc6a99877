//! Numbers in random spellings, for the tests of this module and of `erase`.
#![allow(
    clippy::unwrap_used,
    dead_code,
    reason = "for tests, and not each uses everything"
)]

use std::{fmt::Write as _, ops::RangeInclusive};

use proptest::{collection::vec, prelude::*, sample::select};

/// The zeros of several scripts, from the code charts: ASCII, Arabic-Indic, Persian, Devanagari, Bengali,
/// Tamil, Thai, Tibetan, Khmer, full-width, mathematical bold and monospace, Adlam.
const ZEROS: [char; 13] = [
    '0',
    '\u{660}',
    '\u{6f0}',
    '\u{966}',
    '\u{9e6}',
    '\u{be6}',
    '\u{e50}',
    '\u{f20}',
    '\u{17e0}',
    '\u{ff10}',
    '\u{1d7ce}',
    '\u{1d7f6}',
    '\u{1e950}',
];

/// Texts that may be between two digits.
const BETWEEN: [&str; 34] = [
    "",
    "",
    "",
    "",
    " ",
    "-",
    ".",
    "/",
    "_",
    ") (",
    "] - [",
    "\u{a0}",
    "\u{2007}",
    "\u{202f}",
    "\u{3000}",
    "\u{2010}",
    "\u{2011}",
    "\u{2013}",
    "\u{2014}",
    "\u{2212}",
    "\u{ff0d}",
    "\u{200b}\u{200c}\u{200d}",
    "\u{202a}",
    "\u{2066}",
    "\u{feff}",
    "\u{ad}",
    "%20",
    "%C2%A0",
    "%2D",
    "\\u00a0",
    "\\/",
    "\\n",
    "&nbsp;",
    "\t",
];

/// The ASCII digits of a number, and a spelling of the number.
pub(super) fn spelt(length: RangeInclusive<usize>) -> impl Strategy<Value = (String, String)> {
    let digits =
        (1_u8..10, vec(0_u8..10, length.start() - 1..=length.end() - 1)).prop_map(|(first, rest)| {
            let digits = std::iter::once(first).chain(rest);
            digits.map(|digit| char::from(b'0' + digit)).collect::<String>()
        });
    digits.prop_flat_map(|digits| {
        let text = spelling_of(&digits);
        (Just(digits), text)
    })
}

/// A spelling of a number.
pub(super) fn spelling_of(digits: &str) -> impl Strategy<Value = String> + use<> {
    let digit_at = (select(ZEROS.to_vec()), 0_u8..8, select(BETWEEN.to_vec()));
    let digits = digits.to_owned();
    vec(digit_at, digits.len()).prop_map(move |places| {
        let mut text = String::new();
        for (i, (digit, (zero, escape, between))) in digits.bytes().zip(places).enumerate() {
            if i > 0 {
                text.push_str(between);
            }
            let written = char::from_u32(u32::from(zero) + u32::from(digit - b'0')).unwrap();
            match escape {
                0 => {
                    for unit in written.encode_utf16(&mut [0; 2]) {
                        write!(text, "\\u{unit:04x}").unwrap();
                    }
                }
                1 => {
                    for byte in written.encode_utf8(&mut [0; 4]).bytes() {
                        write!(text, "%{byte:02X}").unwrap();
                    }
                }
                2 => write!(text, "&#{};", u32::from(written)).unwrap(),
                _ => text.push(written),
            }
        }
        text
    })
}
