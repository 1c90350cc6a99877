//! Size limits of responses. Lambda's limit is 6 MB, and Lambda delivers the response as a string within a
//! JSON document: <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

/// Limit of a response, measured with [`delivered`]. The rest of the 6 MB is for headers, tokens and the
/// fields around a list.
pub(crate) const MAX_RESPONSE_BYTES: usize = 4_500_000;

/// Lambda's limit, minus a reserve for headers.
pub(crate) const MAX_RESPONSE_BODY_BYTES: usize = 6_000_000;

/// Bytes of a text as a JSON string, as Lambda delivers it.
pub(crate) fn delivered(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
            0..=0x1f => 6,
            _ => 1,
        })
        .sum()
}

/// Remaining space in a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SizeBudget {
    /// Remaining entries.
    pub(crate) entries: usize,
    /// Remaining bytes.
    pub(crate) bytes: usize,
}

impl SizeBudget {
    /// Reserves space for an entry with this size. Returns whether it fits.
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
    fn sizes_equal_those_of_serialized_texts() {
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
