//! A part: the rows of a shard's pictures, one for each map, or one that says why there is none.

use std::path::Path;

use cbam_core::files::WholeFile;
use cbam_core::maps::{MapName, MapStatistics};
use cbam_core::pipeline::{KeptMap, PictureReport};
use cbam_core::text::printable_path;
use cbam_core::{Error, Result};
use parquet::basic::{Compression, ZstdLevel};
use parquet::data_type::{ByteArray, ByteArrayType, FloatType, Int32Type};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;
use parquet::schema::types::ColumnPath;
use serde_json::{Value, json};

use super::identity::Identity;
use super::plan::Planned;
use super::shard::Item;

/// A group of rows is written when it has so many, or its maps so many numbers (16 MB).
const GROUP_ROWS: usize = 10_000;
const GROUP_NUMBERS: usize = 4 << 20;

/// What a column holds.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Text,
    Whole,
    Real,
    Reals,
}

/// The columns, in their order.
const COLUMNS: [(&str, Kind); 29] = [
    ("key", Kind::Text),
    ("path", Kind::Text),
    ("error", Kind::Text),
    ("class", Kind::Whole),
    ("label", Kind::Text),
    ("probability", Kind::Real),
    ("map_name", Kind::Text),
    ("map_class", Kind::Whole),
    ("map", Kind::Reals),
    ("map_height", Kind::Whole),
    ("map_width", Kind::Whole),
    ("min", Kind::Real),
    ("max", Kind::Real),
    ("mean", Kind::Real),
    ("peak_x", Kind::Real),
    ("peak_y", Kind::Real),
    ("centroid_x", Kind::Real),
    ("centroid_y", Kind::Real),
    ("entropy", Kind::Real),
    ("coverage", Kind::Real),
    ("width", Kind::Whole),
    ("height", Kind::Whole),
    ("seen_left", Kind::Whole),
    ("seen_top", Kind::Whole),
    ("seen_width", Kind::Whole),
    ("seen_height", Kind::Whole),
    ("note", Kind::Text),
    ("version", Kind::Text),
    ("weights", Kind::Text),
];

/// The columns from `class` to `note`, which rows of errors have not.
const OF_A_MAP: usize = COLUMNS.len() - 5;

/// One field of a row.
#[derive(Debug, Clone, Copy)]
enum Cell<'a> {
    Nothing,
    Text(&'a str),
    Whole(i32),
    Real(f32),
    Reals(&'a [f32]),
}

/// A column's values of the rows that are not written yet, with Parquet's levels.
#[derive(Debug)]
enum Column {
    Text(Vec<ByteArray>, Vec<i16>),
    Whole(Vec<i32>, Vec<i16>),
    Real(Vec<f32>, Vec<i16>),
    /// With the levels of repetition.
    Reals(Vec<f32>, Vec<i16>, Vec<i16>),
}

impl Column {
    fn new(kind: Kind) -> Self {
        match kind {
            Kind::Text => Self::Text(Vec::new(), Vec::new()),
            Kind::Whole => Self::Whole(Vec::new(), Vec::new()),
            Kind::Real => Self::Real(Vec::new(), Vec::new()),
            Kind::Reals => Self::Reals(Vec::new(), Vec::new(), Vec::new()),
        }
    }

    fn push(&mut self, cell: Cell<'_>) -> Result<()> {
        match (self, cell) {
            (Self::Text(values, levels), Cell::Text(text)) => {
                values.push(text.as_bytes().to_vec().into());
                levels.push(1);
            }
            (Self::Whole(values, levels), Cell::Whole(number)) => {
                values.push(number);
                levels.push(1);
            }
            (Self::Real(values, levels), Cell::Real(number)) => {
                values.push(number);
                levels.push(1);
            }
            (Self::Text(_, levels) | Self::Whole(_, levels) | Self::Real(_, levels), Cell::Nothing) => levels.push(0),
            (Self::Reals(values, levels, repeats), Cell::Reals(numbers)) => {
                values.extend(numbers);
                // A list that is there and has no number, or each number of it.
                levels.extend(std::iter::repeat_n(if numbers.is_empty() { 1 } else { 3 }, numbers.len().max(1)));
                repeats.push(0);
                repeats.extend(std::iter::repeat_n(1, numbers.len().saturating_sub(1)));
            }
            (Self::Reals(_, levels, repeats), Cell::Nothing) => {
                levels.push(0);
                repeats.push(0);
            }
            (column, cell) => return Err(Error::internal(format!("{cell:?} in {column:?}"))),
        }
        Ok(())
    }
}

/// The schema, as Parquet's own language has it.
fn schema() -> String {
    let column = |(name, kind): &(&str, Kind)| match kind {
        Kind::Text => format!("optional binary {name} (STRING);"),
        Kind::Whole => format!("optional int32 {name};"),
        Kind::Real => format!("optional float {name};"),
        Kind::Reals => format!("optional group {name} (LIST) {{ repeated group list {{ optional float element; }} }}"),
    };
    format!("message cbam {{ {} }}", COLUMNS.iter().map(column).collect::<Vec<_>>().join(" "))
}

/// The columns as the Hugging Face Hub and its `datasets` read them.
fn features() -> KeyValue {
    let feature = |(name, kind): &(&str, Kind)| {
        let value = |kind: &str| json!({"dtype": kind, "_type": "Value"});
        let feature = match kind {
            Kind::Text => value("string"),
            Kind::Whole => value("int32"),
            Kind::Real => value("float32"),
            Kind::Reals => json!({"feature": value("float32"), "_type": "List"}),
        };
        ((*name).to_owned(), feature)
    };
    let features: serde_json::Map<String, Value> = COLUMNS.iter().map(feature).collect();
    KeyValue::new("huggingface".to_owned(), json!({"info": {"features": features}}).to_string())
}

/// A part that is being written; it has its name once it is whole.
pub(super) struct Part {
    path: std::path::PathBuf,
    file: SerializedFileWriter<WholeFile>,
    columns: Vec<Column>,
    rows: usize,
    version: &'static str,
    weights: String,
    pictures: usize,
    failed: usize,
}

impl Part {
    /// Begins a part.
    ///
    /// # Errors
    /// [`Error::Io`] if no file can be made there.
    pub(super) fn create(planned: &Planned, identity: &Identity) -> Result<Self> {
        let path = planned.output.as_path();
        let level = ZstdLevel::try_new(3).map_err(refused(path))?;
        let properties = WriterProperties::builder()
            .set_created_by(format!("cbam {}", identity.version))
            .set_compression(Compression::ZSTD(level))
            .set_key_value_metadata(Some(vec![identity.metadata(planned), features()]))
            .set_column_dictionary_enabled(ColumnPath::from(vec!["map".into(), "list".into(), "element".into()]), false)
            .build();
        let schema = parse_message_type(&schema()).map_err(Error::internal)?;
        let file = WholeFile::create(path)?;
        let file = SerializedFileWriter::new(file, schema.into(), properties.into()).map_err(refused(path))?;
        let columns = COLUMNS.map(|(_, kind)| Column::new(kind)).into();
        let (version, weights) = (identity.version, identity.weights.clone());
        Ok(Self { path: path.to_owned(), file, columns, rows: 0, version, weights, pictures: 0, failed: 0 })
    }

    /// Adds what came of a picture.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub(super) fn picture(&mut self, item: &Item, outcome: &Result<PictureReport>) -> Result<()> {
        self.pictures += 1;
        match outcome {
            Ok(report) => {
                for (name, map) in &report.kept {
                    self.map(item, report, name, map)?;
                }
            }
            Err(error) => {
                self.failed += 1;
                let error = error.to_string();
                self.row(item, Cell::Text(&error), &[Cell::Nothing; OF_A_MAP])?;
            }
        }
        if self.rows >= GROUP_ROWS || self.numbers() >= GROUP_NUMBERS {
            self.write_group()?;
        }
        Ok(())
    }

    /// A row of a map.
    fn map(&mut self, item: &Item, report: &PictureReport, name: &MapName, map: &KeptMap) -> Result<()> {
        let whole = |number: usize| Cell::Whole(number as i32);
        let real = |number: Option<f32>| number.map_or(Cell::Nothing, Cell::Real);
        let (top, explained) = (report.top.first(), report.explained.as_ref().filter(|_| name.needs_class()));
        let (values, sides, statistics): (Vec<f32>, _, _) = match map {
            KeptMap::Map(map) => (map.values().iter().copied().collect(), Some(map.grid()), Some(map.statistics())),
            KeptMap::Channels(gate) => (gate.to_vec(), None, None), // of no place
        };
        let side = |of: Option<u32>| of.map_or(Cell::Nothing, |side| Cell::Whole(side as i32));
        let (height, width) = (side(sides.map(|of| of.height)), side(sides.map(|of| of.width)));
        let name = name.to_string();
        let seen = report.seen.map(|part| [part.left, part.top, part.size.width, part.size.height]);
        let seen = |side: usize| seen.map_or(Cell::Nothing, |seen| whole(seen[side] as usize));
        let notes: Vec<&str> = report.damaged.iter().chain(&report.notes).map(String::as_str).collect();
        let note = notes.join("; ");
        let of = |part: fn(MapStatistics) -> f32| real(statistics.map(part));
        self.row(
            item,
            Cell::Nothing,
            &[
                top.map_or(Cell::Nothing, |top| whole(top.class)),
                top.map_or(Cell::Nothing, |top| Cell::Text(&top.label)),
                real(top.and_then(|top| top.probability)),
                Cell::Text(&name),
                explained.map_or(Cell::Nothing, |class| whole(class.class)),
                Cell::Reals(&values),
                height,
                width,
                of(|of| of.min),
                of(|of| of.max),
                of(|of| of.mean),
                of(|of| of.peak[0]),
                of(|of| of.peak[1]),
                of(|of| of.centroid[0]),
                of(|of| of.centroid[1]),
                of(|of| of.entropy),
                of(|of| of.coverage),
                whole(report.size.width as usize),
                whole(report.size.height as usize),
                seen(0),
                seen(1),
                seen(2),
                seen(3),
                if note.is_empty() { Cell::Nothing } else { Cell::Text(&note) },
            ],
        )
    }

    fn row(&mut self, item: &Item, error: Cell<'_>, cells: &[Cell<'_>; OF_A_MAP]) -> Result<()> {
        let path = item.path.as_deref().map_or(Cell::Nothing, Cell::Text);
        let weights = std::mem::take(&mut self.weights);
        let before = [Cell::Text(&item.key), path, error];
        let after = [Cell::Text(self.version), Cell::Text(&weights)];
        let mut pushed = self.columns.iter_mut().zip(before.iter().chain(cells).chain(&after));
        let pushed = pushed.try_for_each(|(column, cell)| column.push(*cell));
        self.weights = weights;
        self.rows += 1;
        pushed
    }

    /// How many numbers the maps of the rows have that are not written yet.
    fn numbers(&self) -> usize {
        self.columns.iter().map(|column| if let Column::Reals(values, ..) = column { values.len() } else { 0 }).sum()
    }

    fn write_group(&mut self) -> Result<()> {
        if self.rows == 0 {
            return Ok(());
        }
        let columns = std::mem::replace(&mut self.columns, COLUMNS.map(|(_, kind)| Column::new(kind)).into());
        self.rows = 0;
        let mut columns = columns.into_iter();
        let mut write = || {
            let mut group = self.file.next_row_group()?;
            while let Some(mut writer) = group.next_column()? {
                match columns.next() {
                    Some(Column::Text(values, levels)) => {
                        writer.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?
                    }
                    Some(Column::Whole(values, levels)) => {
                        writer.typed::<Int32Type>().write_batch(&values, Some(&levels), None)?
                    }
                    Some(Column::Real(values, levels)) => {
                        writer.typed::<FloatType>().write_batch(&values, Some(&levels), None)?
                    }
                    Some(Column::Reals(values, levels, repeats)) => {
                        writer.typed::<FloatType>().write_batch(&values, Some(&levels), Some(&repeats))?
                    }
                    None => return Err(ParquetError::General("a column without values".to_owned())),
                };
                writer.close()?;
            }
            group.close().map(drop)
        };
        write().map_err(refused(&self.path))
    }

    /// Ends the part and gives it its name; how many pictures are in it, and how many of these failed.
    ///
    /// # Errors
    /// [`Error::Io`] if it cannot be written.
    pub(super) fn finish(mut self) -> Result<(usize, usize)> {
        self.write_group()?;
        let mut file = self.file.into_inner().map_err(refused(&self.path))?;
        file.sync()?;
        file.commit()?;
        Ok((self.pictures, self.failed))
    }
}

/// A part that cannot be written.
fn refused(path: &Path) -> impl Fn(ParquetError) -> Error {
    move |error| match error {
        ParquetError::External(cause) if cause.is::<std::io::Error>() => match cause.downcast::<std::io::Error>() {
            Ok(error) => Error::io(path)(*error),
            Err(cause) => Error::internal(format!("{}: {cause}", printable_path(path))),
        },
        error => Error::internal(format!("{}: {error}", printable_path(path))),
    }
}
