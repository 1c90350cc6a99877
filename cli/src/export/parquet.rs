//! Rows as Parquet: one optional column for each of [`COLUMNS`], compressed with gzip. A row group is written when its
//! rows reach a number of bytes, so memory does not depend on the number or size of events.

use std::{fs::File, io::BufWriter, sync::Arc};

use anyhow::{Context as _, bail};
use parquet::{
    basic::{Compression, LogicalType, Repetition, TimeUnit, Type as PhysicalType},
    data_type::{BoolType, ByteArray, ByteArrayType, DataType, Int64Type},
    file::{
        properties::WriterProperties,
        writer::{SerializedFileWriter, SerializedRowGroupWriter},
    },
    schema::types::Type,
};

use super::columns::{COLUMNS, Cell, Kind, Row};

/// A Parquet file.
pub(super) struct ParquetRows {
    writer: SerializedFileWriter<BufWriter<File>>,
    columns: Vec<Column>,
    /// Approximate bytes of the rows in `columns`.
    bytes: usize,
    max_bytes: usize,
}

/// The values of a column that wait in memory.
#[derive(Default)]
struct Column {
    /// 1 for a value, 0 for an absent one.
    levels: Vec<i16>,
    times: Vec<i64>,
    flags: Vec<bool>,
    texts: Vec<ByteArray>,
}

impl ParquetRows {
    /// `max_bytes`: approximate bytes of the rows of a row group.
    pub(super) fn new(file: BufWriter<File>, max_bytes: usize) -> anyhow::Result<Self> {
        let fields = COLUMNS.iter().map(|(name, kind)| field(name, *kind));
        let fields = fields.collect::<Result<_, _>>()?;
        let schema = Type::group_type_builder("event").with_fields(fields).build()?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::GZIP(parquet::basic::GzipLevel::try_new(1)?))
            .build();
        Ok(Self {
            writer: SerializedFileWriter::new(file, Arc::new(schema), Arc::new(properties))?,
            columns: COLUMNS.map(|_| Column::default()).into(),
            bytes: 0,
            max_bytes,
        })
    }

    pub(super) fn push(&mut self, row: Row) -> anyhow::Result<()> {
        self.bytes += row.bytes();
        for (column, cell) in self.columns.iter_mut().zip(row.0) {
            column.levels.push(cell.is_some().into());
            match cell {
                None => {}
                Some(Cell::Time(at)) => column.times.push(at),
                Some(Cell::Flag(flag)) => column.flags.push(flag),
                Some(Cell::Text(text)) => column.texts.push(text.into_bytes().into()),
            }
        }
        if self.bytes >= self.max_bytes {
            self.write_group()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> anyhow::Result<File> {
        if self.bytes > 0 {
            self.write_group()?;
        }
        Ok(self.writer.into_inner()?.into_inner()?)
    }

    fn write_group(&mut self) -> anyhow::Result<()> {
        let mut group = self.writer.next_row_group()?;
        for (column, (_, kind)) in self.columns.iter_mut().zip(COLUMNS) {
            // Taken: a column's values are freed as soon as they are written.
            let column = std::mem::take(column);
            match kind {
                Kind::Milliseconds | Kind::Seconds => {
                    write::<Int64Type>(&mut group, &column.times, &column.levels)?;
                }
                Kind::Flag => write::<BoolType>(&mut group, &column.flags, &column.levels)?,
                Kind::Text | Kind::Json => {
                    write::<ByteArrayType>(&mut group, &column.texts, &column.levels)?;
                }
            }
        }
        group.close()?;
        self.bytes = 0;
        Ok(())
    }
}

fn write<T: DataType>(
    group: &mut SerializedRowGroupWriter<'_, BufWriter<File>>,
    values: &[T::T],
    levels: &[i16],
) -> anyhow::Result<()> {
    let mut column = group.next_column()?.context("a column is missing")?;
    let written = column.typed::<T>().write_batch(values, Some(levels), None)?;
    if written != values.len() {
        bail!("{written} of {} values were written", values.len());
    }
    Ok(column.close()?)
}

fn field(name: &str, kind: Kind) -> anyhow::Result<Arc<Type>> {
    let (physical, logical) = match kind {
        Kind::Milliseconds | Kind::Seconds => (
            PhysicalType::INT64,
            // In UTC.
            Some(LogicalType::timestamp(true, TimeUnit::MILLIS)),
        ),
        Kind::Flag => (PhysicalType::BOOLEAN, None),
        Kind::Text | Kind::Json => (PhysicalType::BYTE_ARRAY, Some(LogicalType::String)),
    };
    let field = Type::primitive_type_builder(name, physical)
        .with_logical_type(logical)
        .with_repetition(Repetition::OPTIONAL);
    Ok(Arc::new(field.build()?))
}
