//! TensorBoard's event files: records of protocol-buffer messages, each with its length and two checksums.
//!
//! Of the messages (`tensorboard/compat/proto/{event,summary}.proto`) only what is needed: an event has a wall time (1), a
//! step (2), and a file version (3), a summary (5) or a session's start (7); a summary's value (1) a tag (1) and a number (2) or
//! a picture (4).

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use crate::{Error, Result};

/// An event file being written.
#[derive(Debug)]
pub(super) struct Events {
    path: PathBuf,
    file: File,
}

impl Events {
    /// Begins a new event file. After `resumed` steps it tells TensorBoard to forget what earlier files say of later ones.
    pub(super) fn begin(folder: &Path, resumed: Option<usize>) -> Result<Self> {
        let name = format!("events.out.tfevents.{:010.0}.cbam.{}", now(), std::process::id());
        let path = folder.join(name);
        let file = File::options().create(true).append(true).open(&path).map_err(Error::io(&path))?;
        let mut events = Self { path, file };
        events.write(&Message::default().double(1, now()).bytes(3, b"brain.Event:2"))?;
        if let Some(step) = resumed {
            let start = Message::default().varint(1, 1);
            events.write(&Message::default().double(1, now()).varint(2, step as u64 + 1).message(7, &start))?;
        }
        Ok(events)
    }

    /// A number over the steps.
    pub(super) fn scalar(&mut self, step: usize, tag: &str, value: f64) -> Result<()> {
        self.summary(step, &Message::default().bytes(1, tag.as_bytes()).float(2, value as f32))
    }

    /// A picture, encoded as PNG.
    pub(super) fn picture(&mut self, step: usize, tag: &str, [width, height]: [u32; 2], png: &[u8]) -> Result<()> {
        let picture = Message::default().varint(1, height.into()).varint(2, width.into()).varint(3, 3).bytes(4, png);
        self.summary(step, &Message::default().bytes(1, tag.as_bytes()).message(4, &picture))
    }

    fn summary(&mut self, step: usize, value: &Message) -> Result<()> {
        let summary = Message::default().message(1, value);
        self.write(&Message::default().double(1, now()).varint(2, step as u64).message(5, &summary))
    }

    fn write(&mut self, event: &Message) -> Result<()> {
        self.file.write_all(&record(&event.0)).map_err(Error::io(&self.path))
    }
}

/// Seconds since 1970.
fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |time| time.as_secs_f64())
}

/// Length, its checksum, the data, their checksum.
fn record(data: &[u8]) -> Vec<u8> {
    let length = (data.len() as u64).to_le_bytes();
    let parts = [&length[..], &checksum(&length), data, &checksum(data)];
    parts.concat()
}

/// CRC-32C, masked as the format asks.
fn checksum(data: &[u8]) -> [u8; 4] {
    crc32c::crc32c(data).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

/// A protocol-buffer message, field by field.
#[derive(Debug, Default)]
struct Message(Vec<u8>);

impl Message {
    fn tag(mut self, field: u64, wire: u64) -> Self {
        self.push_varint(field << 3 | wire);
        self
    }

    fn push_varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn varint(self, field: u64, value: u64) -> Self {
        let mut message = self.tag(field, 0);
        message.push_varint(value);
        message
    }

    fn double(self, field: u64, value: f64) -> Self {
        let mut message = self.tag(field, 1);
        message.0.extend(value.to_le_bytes());
        message
    }

    fn bytes(self, field: u64, value: &[u8]) -> Self {
        let mut message = self.tag(field, 2);
        message.push_varint(value.len() as u64);
        message.0.extend(value);
        message
    }

    fn message(self, field: u64, value: &Self) -> Self {
        self.bytes(field, &value.0)
    }

    fn float(self, field: u64, value: f32) -> Self {
        let mut message = self.tag(field, 5);
        message.0.extend(value.to_le_bytes());
        message
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that TensorBoard 2.21's own writer makes of the same event.
    #[test]
    fn an_event_has_tensorboards_bytes() {
        let value = Message::default().bytes(1, b"train/loss").float(2, 1.5);
        let event =
            Message::default().double(1, 12.5).varint(2, 300).message(5, &Message::default().message(1, &value));
        let expected = include_bytes!("../../../../tests/golden/events/scalar.bin");
        assert_eq!(record(&event.0), expected);
    }
}
