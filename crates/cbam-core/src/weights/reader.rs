//! Reading a byte slice from its front; nothing is read, or allocated, beyond its end.

/// Bytes, and how far they have been read.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// How many bytes have been read.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    pub(super) fn len_left(&self) -> usize {
        self.bytes.len() - self.at
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let left = &self.bytes[self.at..];
        let Some((taken, _)) = left.split_at_checked(count) else {
            return Err(format!("cut short: byte {} needs {count} bytes, {} are left", self.at, left.len()));
        };
        self.at += count;
        Ok(taken)
    }

    pub(super) fn array<const N: usize>(&mut self) -> Result<[u8; N], String> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    pub(super) fn byte(&mut self) -> Result<u8, String> {
        Ok(self.array::<1>()?[0])
    }

    pub(super) fn u32(&mut self) -> Result<u32, String> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// A length of eight bytes.
    pub(super) fn count(&mut self) -> Result<usize, String> {
        let count = u64::from_le_bytes(self.array()?);
        usize::try_from(count).map_err(|_| format!("byte {}: a length of {count}", self.at - 8))
    }

    pub(super) fn text(&mut self, count: usize) -> Result<&'a str, String> {
        let at = self.at;
        std::str::from_utf8(self.take(count)?).map_err(|_| format!("byte {at}: a string is not UTF-8"))
    }

    /// Text up to a line feed, which is read too.
    pub(super) fn line(&mut self) -> Result<&'a str, String> {
        let end = self.bytes[self.at..].iter().position(|&byte| byte == b'\n');
        let line = self.text(end.ok_or_else(|| format!("cut short: byte {} begins an endless line", self.at))?)?;
        self.at += 1;
        Ok(line)
    }

    /// A signed little-endian integer of any length up to 16 bytes.
    pub(super) fn long(&mut self, count: usize) -> Result<i128, String> {
        if count > 16 {
            return Err(format!("byte {}: an integer of {count} bytes", self.at));
        }
        let bytes = self.take(count)?;
        let sign = bytes.last().is_some_and(|last| last & 0x80 != 0);
        let mut wide = [if sign { 0xff } else { 0 }; 16];
        wide[..count].copy_from_slice(bytes);
        Ok(i128::from_le_bytes(wide))
    }
}
