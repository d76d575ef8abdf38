//! The bytes of a JPEG, and how far the decoder went for its coded data.
//!
//! A broken bit often goes unnoticed: the codes fall into step again, and only in the end there are too few data or too
//! many. zune-jpeg does not say so. But it asks for data four bytes at a time (or byte by byte, where 0xFF is near), and
//! for markers in another way, so it shows here where the last data were taken: some more stand before each marker than
//! the file has.

use std::cell::Cell;

use zune_core::bytestream::{ZByteIoError, ZByteReaderTrait, ZSeekFrom};

/// How many bytes of data, all 0, stand before a marker that the file does not have.
const MORE: usize = 64;
/// The end marker.
const END: [u8; 2] = [0xFF, 0xD9];

/// The bytes up to the end marker, with [`MORE`] before each restart marker and before the end.
pub(super) struct Watched<'a> {
    body: &'a [u8],
    /// Where the restart markers stand in it.
    restarts: &'a [usize],
    /// The part up to the next of these: its number, and where it begins, here and in the body.
    part: usize,
    start: usize,
    body_start: usize,
    body_end: usize,
    at: usize,
    /// How far data were taken.
    taken: usize,
    used_up: &'a Cell<bool>,
}

impl<'a> Watched<'a> {
    /// `body` ends before the end marker. Afterwards `used_up` says whether the data of each part, and no more, were
    /// used: the decoder holds up to 64 bits that it did not use.
    pub(super) fn new(body: &'a [u8], restarts: &'a [usize], used_up: &'a Cell<bool>) -> Self {
        used_up.set(true);
        let body_end = restarts.first().copied().unwrap_or(body.len());
        Self { body, restarts, part: 0, start: 0, body_start: 0, body_end, at: 0, taken: 0, used_up }
    }

    fn length(&self) -> usize {
        self.body.len() + MORE * (self.restarts.len() + 1) + END.len()
    }

    /// Where the data of this part end.
    fn end(&self) -> usize {
        self.start + self.body_end - self.body_start
    }

    fn check(&self) {
        if !(self.end()..=self.end() + 8).contains(&self.taken) {
            self.used_up.set(false);
        }
    }

    /// Goes to the part that holds the current place.
    fn find_part(&mut self) {
        while self.part < self.restarts.len() && self.at >= self.end() + MORE {
            self.check();
            self.start = self.end() + MORE;
            self.part += 1;
            self.body_start = self.body_end;
            self.body_end = self.restarts.get(self.part).copied().unwrap_or(self.body.len());
        }
        while self.at < self.start {
            self.part -= 1;
            self.body_end = self.body_start;
            self.body_start = self.part.checked_sub(1).map_or(0, |before| self.restarts[before]);
            self.start -= MORE + self.body_end - self.body_start;
        }
    }

    /// The byte here, and on to the next; `None` at the end.
    fn next(&mut self) -> Option<u8> {
        self.find_part();
        let byte = match self.at - self.start {
            data if data < self.body_end - self.body_start => self.body[self.body_start + data],
            _ => match self.at.checked_sub(self.end() + MORE) {
                None => 0,
                Some(end) => *END.get(end)?,
            },
        };
        self.at += 1;
        Some(byte)
    }

    #[cold]
    fn fill(&mut self, buffer: &mut [u8]) -> usize {
        let mut count = 0;
        for to in buffer {
            let Some(byte) = self.next() else { break };
            *to = byte;
            count += 1;
        }
        count
    }

    /// What is there, without moving on.
    fn peek(&mut self, buffer: &mut [u8]) -> usize {
        let (at, count) = (self.at, self.fill(buffer));
        self.at = at;
        count
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        if self.part < self.restarts.len() {
            self.used_up.set(false); // whole parts are left
        }
        self.check();
    }
}

impl ZByteReaderTrait for Watched<'_> {
    #[inline]
    fn read_byte_no_error(&mut self) -> u8 {
        let byte = self.next().unwrap_or(0);
        self.taken = self.at;
        byte
    }

    #[inline]
    fn read_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        let place = self.at.wrapping_sub(self.start).wrapping_add(self.body_start);
        match self.body[..self.body_end].get(place..place.wrapping_add(buffer.len())) {
            Some(bytes) if self.at >= self.start => {
                buffer.copy_from_slice(bytes);
                self.at += buffer.len();
            }
            _ => {
                let (at, wanted) = (self.at, buffer.len());
                if self.fill(buffer) < wanted {
                    self.at = at;
                    return Err(ZByteIoError::NotEnoughBytes(0, wanted));
                }
            }
        }
        if buffer.len() == 4 {
            self.taken = self.at;
        }
        Ok(())
    }

    fn read_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        Ok(self.fill(buffer))
    }

    fn peek_bytes(&mut self, buffer: &mut [u8]) -> Result<usize, ZByteIoError> {
        Ok(self.peek(buffer))
    }

    fn peek_exact_bytes(&mut self, buffer: &mut [u8]) -> Result<(), ZByteIoError> {
        let count = self.peek(buffer);
        if count == buffer.len() { Ok(()) } else { Err(ZByteIoError::NotEnoughBytes(count, buffer.len())) }
    }

    fn z_seek(&mut self, from: ZSeekFrom) -> Result<u64, ZByteIoError> {
        let place = match from {
            ZSeekFrom::Start(place) => Some(place),
            ZSeekFrom::End(by) => (self.length() as u64).checked_add_signed(by),
            ZSeekFrom::Current(by) => (self.at as u64).checked_add_signed(by),
        };
        let place = place.ok_or(ZByteIoError::SeekError("before the start"))?;
        self.at = usize::try_from(place).unwrap_or(usize::MAX).min(self.length());
        Ok(place)
    }

    fn is_eof(&mut self) -> Result<bool, ZByteIoError> {
        Ok(self.at >= self.length())
    }

    fn z_position(&mut self) -> Result<u64, ZByteIoError> {
        Ok(self.at as u64)
    }

    fn read_remaining(&mut self, sink: &mut Vec<u8>) -> Result<usize, ZByteIoError> {
        let start = sink.len();
        sink.resize(start + self.length().saturating_sub(self.at), 0);
        Ok(self.fill(&mut sink[start..]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_in_order_with_more_before_each_marker() {
        let body = [b"head and data".as_slice(), &[0xFF, 0xD0], b"more", &[0xFF, 0xD1], b"last"].concat();
        let zeros = [0; MORE];
        let expected = [&body[..13], &zeros, &body[13..19], &zeros, &body[19..], &zeros, &END].concat();
        let used_up = Cell::new(true);
        let mut all = Vec::new();
        let mut watched = Watched::new(&body, &[13, 19], &used_up);
        watched.read_remaining(&mut all).unwrap();
        assert_eq!(all, expected);
        for place in (0..expected.len() - 4).rev() {
            watched.z_seek(ZSeekFrom::Start(place as u64)).unwrap();
            let mut four = [0; 4];
            watched.read_exact_bytes(&mut four).unwrap();
            assert_eq!(four, expected[place..place + 4]);
        }
        drop(watched);
        assert!(!used_up.get());
    }
}
