//! The first directory of a TIFF, which EXIF data are too: its entries, within the bounds of the bytes.

/// The entries of a TIFF's first directory.
#[derive(Debug, Clone)]
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    order: Order,
    entries: Vec<Entry>,
    /// Where the next directory is said to be.
    next: Option<u64>,
}

/// The order of bytes in numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Order {
    Little,
    Big,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    tag: u16,
    kind: u16,
    /// Where its values lie.
    start: usize,
    end: usize,
}

impl Order {
    fn number<const N: usize>(self, bytes: &[u8]) -> Option<u64> {
        let mut number = [0; 8];
        let bytes: &[u8; N] = bytes.get(..N)?.try_into().ok()?;
        Some(match self {
            Self::Little => {
                number[..N].copy_from_slice(bytes);
                u64::from_le_bytes(number)
            }
            Self::Big => {
                number[8 - N..].copy_from_slice(bytes);
                u64::from_be_bytes(number)
            }
        })
    }
}

impl<'a> Directory<'a> {
    /// The most entries that are looked at; real files have fewer than a hundred.
    const MAX_ENTRIES: u64 = 4096;

    /// The most directories that are looked at.
    const MAX_DIRECTORIES: usize = 64;

    /// All directories in their order, as [`read`](Self::read).
    pub(super) fn all(bytes: &'a [u8]) -> impl Iterator<Item = Self> {
        let next = |directory: &Self| Self::read_at(bytes, Some(directory.next?));
        std::iter::successors(Self::read(bytes), next).take(Self::MAX_DIRECTORIES)
    }

    /// Reads the first directory of a TIFF or `BigTIFF`; entries whose values lie outside of the bytes are left out.
    /// `None` if there is no directory.
    pub(super) fn read(bytes: &'a [u8]) -> Option<Self> {
        Self::read_at(bytes, None)
    }

    /// Reads the directory at a place of the file, or the first.
    fn read_at(bytes: &'a [u8], place: Option<u64>) -> Option<Self> {
        let order = match bytes.get(..2)? {
            b"II" => Order::Little,
            b"MM" => Order::Big,
            _ => return None,
        };
        let at = |start: usize| bytes.get(start..).unwrap_or_default();
        let big = match order.number::<2>(at(2))? {
            42 => false,
            43 => true,
            _ => return None,
        };
        let place_at = |start| if big { order.number::<8>(at(start)) } else { order.number::<4>(at(start)) };
        let start = usize::try_from(place.or_else(|| place_at(if big { 8 } else { 4 }))?).ok()?;
        let count = if big { order.number::<8>(at(start)) } else { order.number::<2>(at(start)) }?;
        let (head, length, inline) = if big { (8, 20, 8) } else { (2, 12, 4) };
        let entries = at(start.checked_add(head)?).chunks_exact(length).take(count.min(Self::MAX_ENTRIES) as usize);
        let end = usize::try_from(count).ok().and_then(|count| count.checked_mul(length)?.checked_add(start + head));
        let next = end.and_then(place_at).filter(|next| *next != 0);
        let mut directory = Self { bytes, order, entries: Vec::new(), next };
        for (index, entry) in entries.enumerate() {
            let number_at =
                |at: usize| if big { order.number::<8>(&entry[at..]) } else { order.number::<4>(&entry[at..]) };
            let (tag, kind) = (order.number::<2>(entry)? as u16, order.number::<2>(&entry[2..])? as u16);
            let (Some(values), Some(size)) = (number_at(4), size_of_kind(kind)) else { continue };
            let Some(bytes_of_values) = values.checked_mul(size).and_then(|n| usize::try_from(n).ok()) else {
                continue;
            };
            let field = 4 + inline;
            let start = if bytes_of_values <= inline {
                start + head + index * length + field
            } else {
                number_at(field).and_then(|at| usize::try_from(at).ok()).unwrap_or(usize::MAX)
            };
            match start.checked_add(bytes_of_values) {
                Some(end) if end <= bytes.len() => directory.entries.push(Entry { tag, kind, start, end }),
                _ => {}
            }
        }
        Some(directory)
    }

    pub(super) fn order(&self) -> Order {
        self.order
    }

    fn entry(&self, tag: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.tag == tag)
    }

    pub(super) fn has(&self, tag: u16) -> bool {
        self.entry(tag).is_some()
    }

    /// The bytes of an entry's values.
    pub(super) fn bytes(&self, tag: u16) -> Option<&'a [u8]> {
        let entry = self.entry(tag)?;
        self.bytes.get(entry.start..entry.end)
    }

    /// The whole numbers of an entry.
    pub(super) fn numbers(&self, tag: u16) -> Option<Vec<u64>> {
        let (kind, bytes) = (self.entry(tag)?.kind, self.bytes(tag)?);
        let order = self.order;
        match kind {
            1 | 7 => Some(bytes.iter().map(|byte| u64::from(*byte)).collect()),
            3 => bytes.chunks_exact(2).map(|n| order.number::<2>(n)).collect(),
            4 | 13 => bytes.chunks_exact(4).map(|n| order.number::<4>(n)).collect(),
            16 | 18 => bytes.chunks_exact(8).map(|n| order.number::<8>(n)).collect(),
            _ => None,
        }
    }

    /// The first whole number of an entry.
    pub(super) fn number(&self, tag: u16) -> Option<u64> {
        self.numbers(tag)?.first().copied()
    }

    /// The fractions of an entry.
    pub(super) fn fractions(&self, tag: u16) -> Option<Vec<f64>> {
        if self.entry(tag)?.kind != 5 {
            return self.numbers(tag).map(|numbers| numbers.into_iter().map(|n| n as f64).collect());
        }
        let parts = self.bytes(tag)?.as_chunks::<8>().0;
        parts
            .iter()
            .map(|part| Some(self.order.number::<4>(part)? as f64 / self.order.number::<4>(&part[4..])? as f64))
            .collect()
    }
}

/// The bytes of one value of a kind.
fn size_of_kind(kind: u16) -> Option<u64> {
    Some(match kind {
        1 | 2 | 6 | 7 => 1,
        3 | 8 => 2,
        4 | 9 | 11 | 13 => 4,
        5 | 10 | 12 | 16 | 17 | 18 => 8,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_read_in_both_orders_and_sizes() {
        let little = b"II*\0\x08\0\0\0\x02\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\x02\x01\x03\0\x03\0\0\0\x26\0\0\0\0\0\0\0\x08\0\x09\0\x0a\0";
        let directory = Directory::read(little).unwrap();
        assert_eq!((directory.number(274), directory.numbers(258)), (Some(6), Some(vec![8, 9, 10])));
        let big = b"MM\0*\0\0\0\x08\0\x01\x01\x12\0\x04\0\0\0\x01\0\0\0\x05\0\0\0\0";
        assert_eq!(Directory::read(big).unwrap().number(274), Some(5));
        let big_tiff =
            b"II+\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x12\x01\x03\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0";
        assert_eq!(Directory::read(big_tiff).unwrap().number(274), Some(3));
    }

    #[test]
    fn values_outside_of_the_bytes_are_left_out() {
        let directory = Directory::read(b"II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0").unwrap();
        assert!(!directory.has(274));
        for bytes in [&b""[..], b"II", b"II*\0\xff\xff\xff\xff", b"II*\0\x08\0\0\0", b"XX*\0\x08\0\0\0\0\0"] {
            assert!(Directory::read(bytes).is_none_or(|directory| directory.entries.is_empty()));
        }
    }
}
