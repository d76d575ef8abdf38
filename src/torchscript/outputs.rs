//! What each output of a scripted network is: of the classes, maps, features.

use tch::{Kind, Tensor};

use super::ScriptOptions;

/// The most channels of an output that is taken for maps; more are features.
const MAX_CHANNELS: i64 = 64;

/// What its outputs are, by their places.
#[derive(Debug, Default)]
pub(super) struct Roles {
    /// The one that is of the classes, if there is any.
    pub(super) classes: Option<Classes>,
    /// Those that hold maps.
    pub(super) maps: Vec<MapOutput>,
    /// Those with positions and channels, on which methods may look.
    pub(super) features: Vec<usize>,
    /// The one of them that is looked at if none is named.
    pub(super) last_features: Option<usize>,
    /// Those that have the shape of maps and go below 0.
    pub(super) below_zero: Vec<usize>,
    /// Whether it was said which hold maps.
    pub(super) maps_are_said: bool,
    /// Others that could be of the classes, if it was not said which is.
    pub(super) also_classes: Vec<usize>,
}

/// The output that is of the classes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Classes {
    pub(super) index: usize,
    /// Numbers for each picture.
    pub(super) numbers: i64,
}

impl Classes {
    /// An output for one picture that is of classes: `[1, classes]`, `[1]`, or, where it is the only output,
    /// `[1, classes, 1, 1]`.
    fn of(index: usize, size: &[i64], only: bool) -> Option<Self> {
        let numbers = match *size {
            [1] => 1,
            [1, numbers] => numbers,
            [1, numbers, 1, 1] if only => numbers,
            _ => return None,
        };
        (numbers > 0).then_some(Self { index, numbers })
    }

    /// Whether an output of this size is of that many pictures.
    pub(super) fn fits(&self, size: &[i64], pictures: i64) -> bool {
        match *size {
            [n] => n == pictures && self.numbers == 1,
            [n, numbers] | [n, numbers, 1, 1] => [n, numbers] == [pictures, self.numbers],
            _ => false,
        }
    }
}

/// An output that holds maps.
#[derive(Debug, Clone, Copy)]
pub(super) struct MapOutput {
    pub(super) index: usize,
    pub(super) channels: i64,
}

impl Roles {
    /// From the outputs for a grey picture, and those for another one.
    pub(super) fn of(
        probe: &[Option<Tensor>],
        other: &[Option<Tensor>],
        options: &ScriptOptions,
    ) -> Result<Self, String> {
        let sizes: Vec<_> = probe.iter().map(|output| output.as_ref().map(Tensor::size).unwrap_or_default()).collect();
        // Whole numbers are places in a list of classes, and no scores.
        let scores = |index: usize| probe[index].as_ref().is_some_and(|output| is_real(output.kind()));
        let of_classes =
            |index: usize| Classes::of(index, sizes.get(index)?, sizes.len() == 1).filter(|_| scores(index));
        let mut candidates = (0..sizes.len()).filter_map(of_classes);
        let classes = match options.classes {
            None => candidates.next(),
            Some(index) => Some(of_classes(index).ok_or_else(|| {
                let message = format!("output {index} is not of classes: scores [N, classes] or [N]");
                format!("{message}; for one picture it gives out {}", list(probe))
            })?),
        };
        let also_classes = match options.classes {
            None => candidates.map(|classes| classes.index).collect(),
            Some(_) => Vec::new(),
        };
        let wanted = options.maps.as_deref();
        let mut roles = Self { classes, also_classes, maps_are_said: wanted.is_some(), ..Self::default() };
        let channels = |index: usize| match sizes.get(index)?[..] {
            _ if roles.classes.is_some_and(|classes| classes.index == index) => None,
            [1, h, w] if h > 0 && w > 0 => Some(1),
            [1, channels @ 1..=MAX_CHANNELS, h, w] if h > 0 && w > 0 => Some(channels),
            _ => None,
        };
        let below_zero = |index: usize| [probe, other].iter().any(|probe| goes_below_zero(probe.get(index)));
        let indices: Vec<usize> = wanted.map_or_else(|| (0..probe.len()).collect(), <[usize]>::to_vec);
        for index in indices {
            match channels(index) {
                // An attention map does not go below 0; features and scores may have its shape.
                Some(_) if wanted.is_none() && below_zero(index) => roles.below_zero.push(index),
                Some(channels) => roles.maps.push(MapOutput { index, channels }),
                None if wanted.is_none() => {}
                None => {
                    let message =
                        format!("output {index} is no map [N, h, w] or [N, C, h, w] with C up to {MAX_CHANNELS}");
                    return Err(format!("{message}; for one picture it gives out {}", list(probe)));
                }
            }
        }
        let features = sizes.iter().enumerate().filter(|(index, size)| {
            matches!(size[..], [1, channels, h, w] if channels > 1 && h > 0 && w > 0)
                && roles.classes.is_none_or(|classes| classes.index != *index)
        });
        roles.features = features.map(|(index, _)| index).collect();
        let wide = |index: &&usize| sizes[**index][1] > MAX_CHANNELS;
        let no_map = |index: &&usize| roles.maps.iter().all(|map| map.index != **index);
        let features = roles.features.iter();
        let last = || features.clone().next_back();
        roles.last_features =
            features.clone().rfind(wide).or_else(|| features.clone().rfind(no_map)).or_else(last).copied();
        if roles.maps.is_empty() && roles.classes.is_none() && roles.features.is_empty() {
            let message = "gives out no classes [N, classes], no map [N, h, w] or [N, C, h, w] and no features";
            return Err(format!("{message}; for one picture it gives out {}", list(probe)));
        }
        Ok(roles)
    }
}

fn is_real(kind: Kind) -> bool {
    matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16)
}

fn goes_below_zero(output: Option<&Option<Tensor>>) -> bool {
    let output = output.and_then(Option::as_ref);
    let least = output.and_then(|output| output.f_min().ok()?.f_double_value(&[]).ok());
    least.is_some_and(|least| least < 0.0)
}

/// The name of an output as a place where methods look.
pub(super) fn place(index: usize) -> String {
    format!("output:{index}")
}

/// The outputs and their shapes, for messages.
pub(super) fn list(outputs: &[Option<Tensor>]) -> String {
    let shapes = outputs.iter().enumerate().map(|(index, output)| format!("{index}: {}", shape(output.as_ref())));
    shapes.collect::<Vec<_>>().join(", ")
}

/// The shape of an output, for messages; its kind too, if it holds no real numbers.
pub(super) fn shape(output: Option<&Tensor>) -> String {
    output.map_or_else(
        || "no tensor".to_owned(),
        |tensor| match tensor.kind() {
            kind if is_real(kind) => format!("{:?}", tensor.size()),
            kind => format!("{:?} of {kind:?}", tensor.size()),
        },
    )
}
