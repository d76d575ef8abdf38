//! Which of the shards are a machine's.

use std::str::FromStr;

/// A machine's share of the shards: number `index`, from 0, of `count`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(not(feature = "parquet"), allow(dead_code, reason = "there are no shards then"))]
pub(crate) struct Share {
    index: usize,
    count: usize,
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/').and_then(|(i, n)| Some((i.trim().parse().ok()?, n.trim().parse().ok()?)));
        match numbers {
            Some((index, count)) if index < count => Ok(Self { index, count }),
            Some((index, count)) if index == count && count > 0 => {
                Err(format!("shares count from 0: the last of {count} is {}/{count}", count - 1))
            }
            _ => Err("write which share, from 0, of how many: 0/8, 1/8, … 7/8".to_owned()),
        }
    }
}

impl Share {
    /// Whether the shard of this number is one of its.
    #[cfg(feature = "parquet")]
    pub(crate) fn has(self, number: usize) -> bool {
        number % self.count == self.index
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_count_from_0() {
        assert_eq!("3/8".parse(), Ok(Share { index: 3, count: 8 }));
        assert!("8/8".parse::<Share>().unwrap_err().contains("7/8"));
        #[cfg(feature = "parquet")]
        for number in 0..7 {
            let owners = ["0/3", "1/3", "2/3"].map(|share| share.parse::<Share>().unwrap().has(number));
            assert_eq!(owners.into_iter().filter(|own| *own).count(), 1);
        }
        for text in ["", "3", "9/8", "0/0", "-1/8", "a/b", "1/2/3"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
    }
}
