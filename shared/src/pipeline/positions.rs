//! A set of records of a batch, by position.

use std::ops::Range;

/// Some records of a batch, by position. Neighbors take no more memory than one record, since there may be
/// millions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Positions {
    runs: Vec<Range<u32>>,
}

impl From<Range<u32>> for Positions {
    fn from(run: Range<u32>) -> Self {
        let mut positions = Self::default();
        positions.extend(run);
        positions
    }
}

impl FromIterator<u32> for Positions {
    /// Positions in ascending order.
    fn from_iter<I: IntoIterator<Item = u32>>(ascending: I) -> Self {
        let mut positions = Self::default();
        for position in ascending {
            positions.push(position);
        }
        positions
    }
}

impl Positions {
    /// Adds neighbors after the last position.
    pub(super) fn extend(&mut self, more: Range<u32>) {
        match self.runs.last_mut() {
            _ if more.is_empty() => {}
            Some(last) if last.end == more.start => last.end = more.end,
            _ => self.runs.push(more),
        }
    }

    /// Adds one position after the last.
    pub(super) fn push(&mut self, position: u32) {
        self.extend(position..position + 1);
    }

    /// The number of records.
    pub fn len(&self) -> usize {
        self.runs.iter().map(ExactSizeIterator::len).sum()
    }

    /// Whether the set is empty.
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// Runs of neighbors.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<u32>> {
        self.runs.iter().cloned()
    }

    /// Splits the set into parts of at most `most` records.
    pub(super) fn parts(&self, most: usize) -> Vec<Self> {
        let most = u32::try_from(most).unwrap_or(u32::MAX).max(1);
        let mut parts = vec![Self::default()];
        let mut room = most;
        for mut run in self.runs() {
            while !run.is_empty() {
                if room == 0 {
                    parts.push(Self::default());
                    room = most;
                }
                let end = run.end.min(run.start.saturating_add(room));
                room -= end - run.start;
                if let Some(part) = parts.last_mut() {
                    part.extend(run.start..end);
                }
                run.start = end;
            }
        }
        parts.retain(|part| !part.is_empty());
        parts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_contain_every_position_once() {
        let mut positions = Positions::default();
        for position in [0, 1, 2, 5, 6, 9] {
            positions.push(position);
        }
        assert_eq!((positions.len(), positions.runs.len()), (6, 3));
        let parts: Vec<Vec<u32>> = positions
            .parts(4)
            .iter()
            .map(|part| part.runs().flatten().collect())
            .collect();
        assert_eq!(parts, [vec![0, 1, 2, 5], vec![6, 9]]);
        assert_eq!(Positions::default().parts(4), []);
    }
}
