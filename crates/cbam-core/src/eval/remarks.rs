//! What is to be said about a truth and its pictures beside the figures: what was left out, changed or assumed.

use std::fmt::{self, Display, Formatter};

use serde::{Deserialize, Serialize};

use crate::text::printable;

/// How many examples a remark names.
const NAMED: usize = 3;

/// How much a remark matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RemarkKind {
    /// A picture, a file or a line is left out, and should not have been.
    Lost,
    /// A part of the truth of a picture, such as a box, is left out or changed.
    Changed,
    /// Something was assumed, or left out as it should be.
    Assumed,
}

/// One thing that was met, how often, and where first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Remark {
    /// How much it matters.
    pub kind: RemarkKind,
    /// What was met, in the plural, and what was done about it.
    pub what: String,
    /// How often.
    pub count: u64,
    /// The first places, as they are named to people.
    pub examples: Vec<String>,
}

/// What was met while truth was read and pictures were measured: counted by what it is, in the order in which it was first
/// met.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Remarks(Vec<Remark>);

impl Remarks {
    /// Counts one more of its kind.
    pub fn add(&mut self, kind: RemarkKind, what: &str, example: impl Display) {
        let place = self.0.iter().position(|remark| remark.what == what).unwrap_or_else(|| {
            self.0.push(Remark { kind, what: what.to_owned(), count: 0, examples: Vec::new() });
            self.0.len() - 1
        });
        let remark = &mut self.0[place];
        remark.count += 1;
        if remark.examples.len() < NAMED {
            remark.name(example.to_string());
        }
    }

    /// Takes over all of `other`.
    pub fn merge(&mut self, other: Self) {
        for remark in other.0 {
            match self.0.iter_mut().find(|own| own.what == remark.what) {
                Some(own) => {
                    own.count += remark.count;
                    remark.examples.into_iter().for_each(|example| own.name(example));
                }
                None => self.0.push(remark),
            }
        }
    }

    /// One for each kind of thing.
    pub fn iter(&self) -> std::slice::Iter<'_, Remark> {
        self.0.iter()
    }

    /// How many pictures, files and lines are [lost](RemarkKind::Lost).
    pub fn lost(&self) -> u64 {
        self.0.iter().filter(|remark| remark.kind == RemarkKind::Lost).map(|remark| remark.count).sum()
    }
}

impl Remark {
    /// Takes one more example, if there is room and it is new.
    fn name(&mut self, example: String) {
        if self.examples.len() < NAMED && !self.examples.contains(&example) {
            self.examples.push(example);
        }
    }
}

impl<'a> IntoIterator for &'a Remarks {
    type Item = &'a Remark;
    type IntoIter = std::slice::Iter<'a, Remark>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

/// `boxes that cover nothing, left out: 12 (annotation 7 of a.jpg; …)`, printable, on one line.
impl Display for Remark {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { what, count, examples, .. } = self;
        let named = examples.iter().map(|example| printable(example)).collect::<Vec<_>>().join("; ");
        let more = if examples.len() == NAMED && *count > NAMED as u64 { "; …" } else { "" };
        write!(f, "{what}: {count} ({named}{more})")
    }
}

/// All of them, with `; ` between.
impl Display for Remarks {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn things_are_counted_and_the_first_are_named() {
        let mut remarks = Remarks::default();
        for name in ["a", "b\n", "c", "d"] {
            remarks.add(RemarkKind::Changed, "empty boxes, left out", name);
        }
        remarks.add(RemarkKind::Lost, "broken files, left out", "e.xml: half");
        let mut other = Remarks::default();
        other.add(RemarkKind::Lost, "broken files, left out", "e.xml: half");
        other.add(RemarkKind::Lost, "broken files, left out", "f.xml");
        remarks.merge(other);
        assert_eq!(remarks.lost(), 3);
        assert_eq!(
            remarks.to_string(),
            "empty boxes, left out: 4 (a; b\\n; c; …); broken files, left out: 3 (e.xml: half; f.xml)"
        );
    }
}
