//! The file of a day. It has a temporary name until it is complete and on disk, so a file with its final name is
//! always complete.

use std::{
    fs,
    io::BufWriter,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    Format,
    columns::Row,
    parquet::ParquetRows,
    text::{CsvRows, JsonRows},
};
use crate::private;

/// End of the name of an unfinished file.
pub(super) const PART: &str = ".part";

/// An unfinished file.
pub(super) struct DayFile {
    rows: Rows,
    part: PathBuf,
    path: PathBuf,
    events: u64,
}

enum Rows {
    Parquet(Box<ParquetRows>),
    Csv(Box<CsvRows>),
    Json(JsonRows),
}

/// A finished file.
pub(super) struct Written {
    pub(super) events: u64,
    pub(super) bytes: u64,
}

impl DayFile {
    /// Starts the file of a day. `memory`: approximate bytes of rows that may wait in memory.
    pub(super) fn create(folder: &Path, day: &str, format: Format, memory: usize) -> anyhow::Result<Self> {
        let path = path(folder, day, format);
        let part = PathBuf::from(format!("{}{PART}", path.display()));
        let open = || -> anyhow::Result<Rows> {
            let file = BufWriter::new(private::create(&part)?);
            Ok(match format {
                Format::Parquet => Rows::Parquet(Box::new(ParquetRows::new(file, memory)?)),
                Format::Csv => Rows::Csv(Box::new(CsvRows::new(file)?)),
                Format::Jsonl => Rows::Json(JsonRows::new(file)),
            })
        };
        let rows = open().with_context(|| format!("{} cannot be written", part.display()))?;
        Ok(Self {
            rows,
            part,
            path,
            events: 0,
        })
    }

    /// Appends an event.
    pub(super) fn push(&mut self, row: Row) -> anyhow::Result<()> {
        self.events += 1;
        match &mut self.rows {
            Rows::Parquet(rows) => rows.push(row),
            Rows::Csv(rows) => rows.push(&row),
            Rows::Json(rows) => rows.push(&row),
        }
        .with_context(|| format!("{} cannot be written", self.part.display()))
    }

    /// Writes the rest to disk, and gives the file its name.
    pub(super) fn finish(self) -> anyhow::Result<Written> {
        let Self {
            rows,
            part,
            path,
            events,
        } = self;
        let finish = || -> anyhow::Result<u64> {
            let file = match rows {
                Rows::Parquet(rows) => rows.finish()?,
                Rows::Csv(rows) => rows.finish()?,
                Rows::Json(rows) => rows.finish()?,
            };
            file.sync_all()?;
            fs::rename(&part, &path)?;
            Ok(file.metadata()?.len())
        };
        let bytes = finish().with_context(|| format!("{} cannot be written", path.display()))?;
        Ok(Written { events, bytes })
    }
}

/// The finished file of a day.
pub(super) fn path(folder: &Path, day: &str, format: Format) -> PathBuf {
    folder.join(format!("{day}.{}", format.extension()))
}
