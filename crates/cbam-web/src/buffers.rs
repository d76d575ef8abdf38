//! Memory that a script fills and then gives away.
//!
//! A script names a buffer by its address alone. Each is kept here until it is taken, so an address that is wrong, or that was given
//! already, is an error and leads nowhere.

use std::collections::BTreeMap;

/// The buffers that a script asked for, by their addresses.
#[derive(Debug, Default)]
pub struct Buffers {
    held: BTreeMap<usize, Vec<u8>>,
}

impl Buffers {
    /// A buffer of so many zeros: its address, or `None` if there is no memory for it.
    pub fn allocate(&mut self, length: usize) -> Option<usize> {
        let mut bytes = Vec::new();
        bytes.try_reserve_exact(length.max(1)).ok()?; // an empty one has an address of its own too
        bytes.resize(length, 0);
        let address = bytes.as_mut_ptr().expose_provenance();
        self.held.insert(address, bytes);
        Some(address)
    }

    /// The buffer at an address, which is gone from here then.
    ///
    /// # Errors
    /// That there is none.
    pub fn take(&mut self, address: usize) -> Result<Vec<u8>, String> {
        self.held
            .remove(&address)
            .ok_or_else(|| format!("there is no buffer at {address}: it was never there, or was given already"))
    }

    /// The text in the buffer at an address, which is gone from here then.
    ///
    /// # Errors
    /// That there is none, or that it is not UTF-8.
    pub fn take_text(&mut self, address: usize) -> Result<String, String> {
        String::from_utf8(self.take(address)?).map_err(|_| "a text that is not UTF-8".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_is_taken_once() {
        let mut buffers = Buffers::default();
        let [one, empty, other] = [3, 0, 0].map(|length| buffers.allocate(length).unwrap());
        assert!(empty != other && one != empty, "each has its address");
        assert_eq!(buffers.take(one), Ok(vec![0; 3]));
        assert!(buffers.take(one).unwrap_err().contains("given already"));
        assert_eq!(buffers.take_text(empty).as_deref(), Ok(""));
        assert!(buffers.take(0).is_err());
        assert_eq!(buffers.allocate(usize::MAX), None, "too much is no fault");
    }
}
