//! A number of what a network gives out, by an expression as Python writes it: `output[0][:, 281]`, `out[:, 3].mean()`.

use std::fmt::{self, Display, Formatter};
use std::str::FromStr;
use std::sync::Arc;

use super::program::{About, Argument, Graph, Node, Output, Scalar, Value};
use crate::weights::Dtype;
use crate::{Error, Result};

/// The operator that takes the place of maps `[N, h, w]` which lies over a point: not PyTorch's, but this crate's own.
const AT: &str = "cbam.at.default";

/// The longest expression, in bytes, and the most sides that it says something of.
const LONGEST: usize = 1024;
const MAX_SIDES: usize = 16;

/// A number that a network gives out for each picture, which explanations can be of instead of a class: an output, by its name or its
/// place, a part of it, and how that becomes one number. The first index is that of the pictures, and is `:`.
///
/// ```
/// use cbam_core::graph::Score;
///
/// let score: Score = "output[0][:, 3].mean()".parse()?;
/// assert_eq!(score.to_string(), "output[0][:, 3].mean()");
/// # Ok::<(), cbam_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Score {
    text: String,
    /// The pixel of the picture that it is of.
    pixel: Option<[u32; 2]>,
}

impl Score {
    /// The same of one pixel of a map, such as those that a segmenter gives out for its classes: the place of the map that lies over the
    /// pixel `(x, y)` of the upright picture.
    ///
    /// ```
    /// use cbam_core::graph::Score;
    ///
    /// let score = "out[:, 3]".parse::<Score>()?.at(120, 80);
    /// assert_eq!(score.to_string(), "out[:, 3] at 120,80");
    /// # Ok::<(), cbam_core::Error>(())
    /// ```
    pub fn at(self, x: u32, y: u32) -> Self {
        Self { pixel: Some([x, y]), ..self }
    }
}

/// The pixel of each picture that a graph's score is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct ScorePoint {
    /// The pixel of the upright picture.
    pub pixel: [u32; 2],
    /// What the graph is given for it: `[2]`, as fractions of the width and height of what is seen.
    pub value: Value,
    /// The output that has a place over it.
    pub output: Value,
}

/// What is done with an output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// One of the indices in brackets: all of a side, a part of it, or one place, which takes the side away.
    Index { side: usize, index: Index },
    /// All that is left of a picture becomes one number.
    Reduce(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Index {
    All,
    At(i64),
    Part(Option<i64>, Option<i64>),
}

impl Display for Score {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)?;
        self.pixel.iter().try_for_each(|[x, y]| write!(f, " at {x},{y}"))
    }
}

impl FromStr for Score {
    type Err = Error;

    /// What the expression does is checked with the network ([`Graph::with_score`]): names of outputs have brackets and dots too.
    fn from_str(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || text.len() > LONGEST {
            return Err(Error::argument("score", "write an output and a part of it: output[:, 281]"));
        }
        Ok(Self { text: text.to_owned(), pixel: None })
    }
}

/// What an expression does with an output, as it stands behind the output's name.
fn steps(mut text: &str) -> std::result::Result<Vec<Step>, String> {
    let (mut steps, mut reduced) = (Vec::new(), false);
    while !text.is_empty() {
        if let Some(rest) = text.strip_prefix('[') {
            let (inside, behind) = rest.split_once(']').ok_or("a bracket is not closed")?;
            if reduced {
                return Err("nothing is left to be chosen from behind .mean(), .sum() and .max()".to_owned());
            }
            let indices: Vec<&str> = inside.split(',').map(str::trim).collect();
            if indices.len() > MAX_SIDES {
                return Err(format!("{} sides, which no output has", indices.len()));
            }
            let mut side = 0;
            for (place, index) in indices.into_iter().enumerate() {
                let index = index_of(index)?;
                if place == 0 && index != Index::All {
                    return Err("the first index is that of the pictures: write [:, …]".to_owned());
                }
                steps.push(Step::Index { side, index });
                side += usize::from(!matches!(index, Index::At(_)));
            }
            text = behind;
            continue;
        }
        let of = [(".mean()", "aten.mean.dim"), (".sum()", "aten.sum.dim_IntList"), (".max()", "aten.amax.default")];
        let found = of.into_iter().find_map(|(name, operator)| Some((text.strip_prefix(name)?, operator)));
        let (behind, operator) = found.ok_or_else(|| {
            format!("{text:?} is not understood: what can be done are [:, 3], [:, 2:5], .mean(), .sum() and .max()")
        })?;
        steps.push(Step::Reduce(operator));
        (reduced, text) = (true, behind);
    }
    Ok(steps)
}

fn index_of(text: &str) -> std::result::Result<Index, String> {
    let number = |text: &str| text.trim().parse::<i64>().map_err(|_| format!("{text:?} is no whole number"));
    match text.split_once(':') {
        None => Ok(Index::At(number(text)?)),
        Some((start, end)) => {
            let bound = |text: &str| if text.trim().is_empty() { Ok(None) } else { number(text).map(Some) };
            match (bound(start)?, bound(end)?) {
                (None, None) => Ok(Index::All),
                (start, end) => Ok(Index::Part(start, end)),
            }
        }
    }
}

impl Graph {
    /// The same graph with one more output, a number for each picture, which explanations are of then.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such output, or something else is done with it.
    pub fn with_score(mut self, score: &Score) -> Result<Self> {
        let wrong = |message: String| Error::argument(format!("score {score}"), message);
        let (value, rest) = self.named_output(&score.text).ok_or_else(|| {
            let names: Vec<_> = self.outputs.iter().map(|output| output.name.as_str()).collect();
            wrong(format!("the network has no such output; it has {}", names.join(", ")))
        })?;
        let mut value = value.ok_or_else(|| wrong("that output is no tensor".to_owned()))?;
        let steps = steps(rest).map_err(wrong)?;
        if score.pixel.is_some() && matches!(steps.last(), Some(Step::Reduce(_))) {
            return Err(wrong("of one pixel nothing is left for .mean(), .sum() and .max()".to_owned()));
        }
        if score.pixel.is_some() && steps.iter().any(|step| matches!(step, Step::Index { index: Index::Part(..), .. }))
        {
            return Err(wrong("the place over a pixel is one of a whole map, and no part of one".to_owned()));
        }
        let output = value;
        for step in steps {
            value = match step {
                Step::Index { index: Index::All, .. } => value,
                Step::Index { side, index: Index::At(place) } => {
                    let inputs = [("dim", int(side as i64)), ("index", int(place))];
                    self.appended("aten.select.int", value, &inputs)
                }
                Step::Index { side, index: Index::Part(start, end) } => {
                    let bound = |bound: Option<i64>| bound.map_or(Argument::None, int);
                    let inputs = [("dim", int(side as i64)), ("start", bound(start)), ("end", bound(end))];
                    self.appended("aten.slice.Tensor", value, &inputs)
                }
                Step::Reduce(operator) => {
                    let count = self.appended("aten.sym_size.int", value, &[("dim", int(0))]);
                    let shape = Argument::Several(vec![Scalar::Value(count), Scalar::Int(-1)]);
                    let line = self.appended("aten.reshape.default", value, &[("shape", shape)]);
                    self.appended(operator, line, &[("dim", Argument::Several(vec![Scalar::Int(1)]))])
                }
            };
        }
        if let Some(pixel) = score.pixel {
            let about = About { name: String::new(), dtype: Some(Dtype::F32), sides: None };
            let point = self.added(about);
            value = self.appended(AT, value, &[("point", Argument::One(Scalar::Value(point)))]);
            self.score_point = Some(ScorePoint { pixel, value: point, output });
        }
        self.outputs.push(Output { name: score.to_string(), value: Some(value) });
        self.score = Some(value);
        Ok(self)
    }

    /// The output that an expression begins with, and the rest of the expression: by the longest name that fits; `out` and `output`
    /// stand for an only one, `[i]` for that of a place.
    fn named_output<'t>(&self, text: &'t str) -> Option<(Option<Value>, &'t str)> {
        let ends = |rest: &str| rest.is_empty() || rest.starts_with(['[', '.']);
        let named = self.outputs.iter().filter_map(|output| Some((output, text.strip_prefix(output.name.as_str())?)));
        let longest = named.filter(|(_, rest)| ends(rest)).max_by_key(|(output, _)| output.name.len());
        if let Some((output, rest)) = longest {
            return Some((output.value, rest));
        }
        let behind = text.strip_prefix("output").or_else(|| text.strip_prefix("out")).unwrap_or(text);
        if let Some((place, rest)) = behind.strip_prefix('[').and_then(|rest| rest.split_once(']'))
            && let Ok(place) = place.trim().parse::<usize>()
        {
            return self.outputs.get(place).map(|output| (output.value, rest));
        }
        let [only] = &self.outputs[..] else { return None };
        (behind.len() < text.len() && ends(behind)).then_some((only.value, behind))
    }

    fn added(&mut self, about: About) -> Value {
        self.values.push(about);
        Value(self.values.len() as u32 - 1)
    }

    fn appended(&mut self, operator: &str, of: Value, inputs: &[(&str, Argument)]) -> Value {
        let made = self.added(About { name: String::new(), dtype: self.about(of).dtype, sides: None });
        let first = ("self", Argument::One(Scalar::Value(of)));
        let inputs =
            [first].iter().chain(inputs).map(|(name, argument)| (Arc::from(*name), argument.clone())).collect();
        let node =
            Node { operator: operator.into(), inputs, outputs: vec![Some(made)], modules: Arc::new([]), line: None };
        self.nodes.push(node);
        made
    }
}

fn int(number: i64) -> Argument {
    Argument::One(Scalar::Int(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_chosen_as_python_writes_them() {
        let index = |side, index| Step::Index { side, index };
        assert_eq!(
            steps("[:, 3, 1:][:, -1].mean()").unwrap(),
            [
                index(0, Index::All),
                index(1, Index::At(3)),
                index(1, Index::Part(Some(1), None)),
                index(0, Index::All),
                index(1, Index::At(-1)),
                Step::Reduce("aten.mean.dim"),
            ]
        );
        for wrong in ["[3]", "[:, 3", ".exp()", ".mean()[:, 0]", "[:, a]", "[:, 1::2]", " + 1"] {
            assert!(steps(wrong).is_err(), "{wrong}");
        }
        for right in
            ["out[:, 3].mean()", "output[0][:, 281]", "output['aux'][:, 1, 2, 3]", "logits", "Identity:0[:, 1]"]
        {
            assert_eq!(right.parse::<Score>().unwrap().to_string(), right);
        }
        assert!("".parse::<Score>().is_err() && " ".parse::<Score>().is_err());
    }

    #[test]
    fn outputs_are_found_by_name_and_place() {
        let mut graph = Graph::default();
        for name in ["output[0]", "output[1]"] {
            graph.values.push(About::default());
            let value = Some(Value(graph.values.len() as u32 - 1));
            graph.outputs.push(Output { name: name.to_owned(), value });
        }
        let found =
            |text: &str| graph.named_output(text).map(|(value, rest)| (value.unwrap().index(), rest.to_owned()));
        assert_eq!(found("output[1][:, 2]"), Some((1, "[:, 2]".to_owned())));
        assert_eq!(found("[0][:, 2]"), Some((0, "[:, 2]".to_owned())));
        assert_eq!(found("output[2]"), None);
        assert_eq!(found("output[:, 2]"), None, "of several");
        let of = graph.clone().with_score(&"output[1][:, 2].max()".parse().unwrap()).unwrap();
        assert_eq!(of.nodes.len(), 4);
        assert_eq!(of.outputs.last().unwrap().value, of.score);
        for wrong in ["output[1][:, 3].exp()", "output[1][:, x]", "output[1][3]", "output[1] + 1"] {
            assert!(graph.clone().with_score(&wrong.parse().unwrap()).is_err(), "{wrong}");
        }
        let of = graph.clone().with_score(&"output[0][:, 3]".parse::<Score>().unwrap().at(5, 6)).unwrap();
        let point = of.score_point.unwrap();
        assert_eq!((point.pixel, of.nodes[1].value("point")), ([5, 6], Some(point.value)));
        assert_eq!(of.outputs.last().unwrap().name, "output[0][:, 3] at 5,6");
        let mean = "output[0][:, 3].mean()".parse::<Score>().unwrap().at(5, 6);
        assert!(graph.clone().with_score(&mean).unwrap_err().to_string().contains("of one pixel"));
        let error = graph.with_score(&"aux".parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("no such output; it has output[0], output[1]"), "{error}");
    }
}
