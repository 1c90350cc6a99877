//! How large an answer may be. Lambda delivers 6 MB, and what it delivers is the answer as a JSON text
//! within another: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

/// The most that one answer takes on its way, [`delivered`]. The rest of the 6 MB is for headers, tokens
/// and what surrounds a list.
pub(crate) const LARGEST_ANSWER: usize = 4_500_000;

/// What Lambda delivers, but for some room for the headers.
pub(crate) const LARGEST_BODY: usize = 6_000_000;

/// How many bytes a text takes on its way out of Lambda, where it is a string in a JSON document.
pub(crate) fn delivered(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

/// Room in an answer that fills up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Room {
    /// Entries that still fit.
    pub(crate) entries: usize,
    /// Bytes that still fit.
    pub(crate) bytes: usize,
}

impl Room {
    /// Takes the room of an entry of so many bytes, if there is so much.
    pub(crate) fn take(&mut self, bytes: usize) -> bool {
        let fits = self.entries > 0 && bytes <= self.bytes;
        if fits {
            self.entries -= 1;
            self.bytes -= bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_counts_as_serde_writes_it() {
        let every: String = (0..=0x250_u32).filter_map(char::from_u32).collect();
        for text in ["", "abc", "\"\\\n", "\u{0}\u{1f}\u{7f}é😀", &every] {
            assert_eq!(
                delivered(text),
                serde_json::to_string(text).unwrap().len() - 2,
                "{text:?}"
            );
        }
    }
}
