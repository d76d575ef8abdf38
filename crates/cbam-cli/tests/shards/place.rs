//! A folder with shards, and what is read of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use image::{Rgb, RgbImage};
use ndarray::ArrayD;
use ndarray_npy::ReadNpyExt;
use parquet::basic::Compression;
use parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::writer::SerializedFileWriter;
use parquet::record::{Field, Row};
use parquet::schema::parser::parse_message_type;

use crate::common::ended;

/// A folder with shards.
pub(crate) struct Place(tempfile::TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub(crate) fn command(&self, line: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cbam"));
        command.current_dir(self.0.path()).args(["run", "--threads", "2", "--deterministic"]);
        command.args(line.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    pub(crate) fn run(&self, line: &str) -> (Option<i32>, String) {
        ended(self.command(line))
    }

    /// Runs a line that must end well; what it said.
    pub(crate) fn does(&self, line: &str) -> String {
        let (status, said) = self.run(line);
        assert_eq!(status, Some(0), "{line}: {said}");
        said
    }

    pub(crate) fn tar(&self, name: &str, files: &[(&str, &[u8])]) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let mut tar = tar::Builder::new(File::create(path).unwrap());
        for (name, bytes) in files {
            let mut header = tar::Header::new_gnu();
            header.set_size(bytes.len() as u64);
            header.set_mode(0o644);
            tar.append_data(&mut header, name, *bytes).unwrap();
        }
        tar.finish().unwrap();
    }

    /// A Parquet file of pictures, with several groups of rows.
    pub(crate) fn parquet(&self, name: &str, rows: &[Stored<'_>], metadata: Option<&str>) {
        let metadata = metadata.map(|text| vec![KeyValue::new("huggingface".to_owned(), text.to_owned())]);
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY);
        let properties = properties.set_key_value_metadata(metadata).build();
        let schema = parse_message_type(IMAGE).unwrap();
        let file = File::create(self.path(name)).unwrap();
        let mut writer = SerializedFileWriter::new(file, schema.into(), properties.into()).unwrap();
        for rows in rows.chunks(3) {
            let mut group = writer.next_row_group().unwrap();
            let ids: Vec<_> = rows.iter().map(|row| row.id).collect();
            let mut column = group.next_column().unwrap().unwrap();
            column.typed::<Int64Type>().write_batch(&ids, None, None).unwrap();
            column.close().unwrap();
            let bytes: Vec<_> = rows.iter().map(|row| row.bytes.map(|bytes| ByteArray::from(bytes.to_vec()))).collect();
            let paths: Vec<_> = rows.iter().map(|row| row.path.map(ByteArray::from)).collect();
            for texts in [bytes, paths] {
                let levels: Vec<i16> = texts.iter().map(|text| 1 + i16::from(text.is_some())).collect();
                let there: Vec<_> = texts.into_iter().flatten().collect();
                let mut column = group.next_column().unwrap().unwrap();
                column.typed::<ByteArrayType>().write_batch(&there, Some(&levels), None).unwrap();
                column.close().unwrap();
            }
            group.close().unwrap();
        }
        writer.close().unwrap();
    }

    pub(crate) fn rows(&self, part: &str) -> Vec<BTreeMap<String, Field>> {
        let reader = SerializedFileReader::new(File::open(self.path(part)).unwrap()).unwrap();
        let fields = |row: Row| row.get_column_iter().map(|(name, field)| (name.clone(), field.clone())).collect();
        reader.get_row_iter(None).unwrap().map(|row| fields(row.unwrap())).collect()
    }

    pub(crate) fn files(&self, folder: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(folder)).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

pub(crate) const IMAGE: &str = "message schema { required int64 id; optional group image { optional binary bytes; optional binary path (UTF8); } }";

/// A row of such a file.
#[derive(Clone, Copy)]
pub(crate) struct Stored<'a> {
    pub(crate) id: i64,
    pub(crate) bytes: Option<&'a [u8]>,
    pub(crate) path: Option<&'a str>,
}

/// A PNG, each of its own look.
pub(crate) fn png(number: u32) -> Vec<u8> {
    let image = RgbImage::from_fn(60 + number % 7, 40, |x, y| {
        Rgb([(x * 4 + number * 37) as u8, (y * 6) as u8, ((x + y) * (number + 1)) as u8])
    });
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
    bytes.into_inner()
}

pub(crate) fn text<'r>(row: &'r BTreeMap<String, Field>, column: &str) -> Option<&'r str> {
    match &row[column] {
        Field::Str(text) => Some(text),
        Field::Null => None,
        other => panic!("{column}: {other:?}"),
    }
}

pub(crate) fn whole(row: &BTreeMap<String, Field>, column: &str) -> Option<i32> {
    match &row[column] {
        Field::Int(number) => Some(*number),
        Field::Null => None,
        other => panic!("{column}: {other:?}"),
    }
}

pub(crate) fn map(row: &BTreeMap<String, Field>) -> Vec<f32> {
    let Field::ListInternal(list) = &row["map"] else { panic!("{:?}", row["map"]) };
    let number = |field: &Field| if let Field::Float(number) = field { *number } else { panic!("{field:?}") };
    list.elements().iter().map(number).collect()
}

pub(crate) fn npy(path: &Path) -> ArrayD<f32> {
    ArrayD::read_npy(File::open(path).unwrap()).unwrap()
}
