//! Rows as CSV and as JSON lines. Times are in ISO 8601 with milliseconds, UTC.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
};

use anyhow::anyhow;
use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::columns::{COLUMNS, Cell, Row};

/// A CSV file with a header. An absent value is an empty cell. A cell that a spreadsheet could take for a formula
/// begins with an apostrophe, as in the dashboard's CSV.
pub(super) struct CsvRows(csv::Writer<BufWriter<File>>);

impl CsvRows {
    pub(super) fn new(file: BufWriter<File>) -> anyhow::Result<Self> {
        let mut out = csv::Writer::from_writer(file);
        out.write_record(COLUMNS.map(|(name, _)| name))?;
        Ok(Self(out))
    }

    pub(super) fn push(&mut self, row: &Row) -> anyhow::Result<()> {
        for cell in &row.0 {
            let text = match cell {
                None => String::new(),
                Some(Cell::Time(at)) => iso(*at),
                Some(Cell::Flag(flag)) => flag.to_string(),
                Some(Cell::Text(text)) => dashboard::escape_formulas(text),
            };
            self.0.write_field(text)?;
        }
        self.0.write_record(None::<&[u8]>)?;
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<File> {
        let file = self.0.into_inner().map_err(|error| anyhow!("{error}"))?;
        Ok(file.into_inner()?)
    }
}

/// A file with a JSON object for each event, with all columns in their order.
pub(super) struct JsonRows(BufWriter<File>);

impl JsonRows {
    pub(super) fn new(file: BufWriter<File>) -> Self {
        Self(file)
    }

    pub(super) fn push(&mut self, row: &Row) -> anyhow::Result<()> {
        serde_json::to_writer(&mut self.0, row)?;
        self.0.write_all(b"\n")?;
        Ok(())
    }

    pub(super) fn finish(self) -> anyhow::Result<File> {
        Ok(self.0.into_inner()?)
    }
}

impl Serialize for Row {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let names = COLUMNS.iter().map(|(name, _)| name);
        serializer.collect_map(names.zip(&self.0))
    }
}

impl Serialize for Cell {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Time(at) => serializer.serialize_str(&iso(*at)),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
            Self::Text(text) => serializer.serialize_str(text),
        }
    }
}

/// `2026-11-21T08:53:47.123Z`. Times outside of the calendar stay numbers.
fn iso(at: i64) -> String {
    match Timestamp::from_millisecond(at) {
        Ok(at) => at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string(),
        Err(_) => at.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_milliseconds() {
        assert_eq!(iso(1_795_251_227_000), "2026-11-21T08:53:47.000Z");
        assert_eq!(iso(1_795_251_227_123), "2026-11-21T08:53:47.123Z");
        assert_eq!(iso(-1), "1969-12-31T23:59:59.999Z");
        assert_eq!(iso(i64::MAX), "9223372036854775807");
    }
}
