//! The network as [`Model`]: what it says of itself, how it takes pictures, how it looks at them.

use cbam_core::graph::{GateKind, Graph, Side};
use tch::{Device, Tensor};

use super::GraphNetwork;
use super::watch::Watch;
use crate::Result;
use crate::classes::{Outputs, usual_labels};
use crate::explain::Features;
use crate::host::to_host;
use crate::maps::{MapName, Method, Readout};
use crate::model::{Description, Look, Model, Question, explain_looks};
use crate::network::normalised;
use crate::photo::{ImageSize, Preprocess, Resampled};

/// How a graph takes pictures: as it is asked, as far as its sides allow it.
///
/// # Errors
/// What is wrong with its input.
pub(super) fn taken(graph: &Graph, asked: Preprocess) -> std::result::Result<Preprocess, String> {
    let about = graph.about(graph.inputs[0].value);
    let Some(sides) = &about.sides else { return Ok(asked) };
    let [_, channels, height, width] = &sides[..] else {
        let shape: Vec<i64> = sides.iter().map(|side| side.example).collect();
        return Err(format!("takes {shape:?}, and not pictures [N, 3, H, W]"));
    };
    if channels.free.is_none() && channels.example != 3 {
        return Err(format!("takes pictures of {} channels, and is given 3: red, green and blue", channels.example));
    }
    let (step, bounds) = match (step(height)?, step(width)?) {
        (Some((rows, low, high)), Some((columns, low2, high2))) => {
            (lcm(rows, columns), (low.max(low2), high.min(high2)))
        }
        _ => return fixed(height, width, asked),
    };
    let multiple = u32::try_from(lcm(step, asked.multiple.into())).unwrap_or(u32::MAX);
    let multiple = if step > 1 { u32::try_from(step).unwrap_or(multiple) } else { asked.multiple };
    let short = i64::from(asked.short_side).clamp(bounds.0, bounds.1);
    let same = height.free == width.free;
    let max_ratio =
        if same { 1 } else { asked.max_ratio.min(u32::try_from(bounds.1 / short.max(1)).unwrap_or(u32::MAX).max(1)) };
    Ok(Preprocess { short_side: u32::try_from(short).unwrap_or(asked.short_side), multiple, max_ratio, ..asked })
}

/// Of a network of one size.
fn fixed(height: &Side, width: &Side, asked: Preprocess) -> std::result::Result<Preprocess, String> {
    if height.free.is_some() || width.free.is_some() || height.example != width.example {
        let size = format!("{}x{}", width.example, height.example);
        return Err(format!("takes pictures of {size} alone, and here one size means a square"));
    }
    let side =
        u32::try_from(height.example).map_err(|_| format!("takes pictures of {} pixels a side", height.example))?;
    Ok(Preprocess { short_side: side, multiple: 1, max_ratio: 1, ..asked })
}

/// A free side's step, least and greatest length; `None` for a fixed one.
fn step(side: &Side) -> std::result::Result<Option<(i64, i64, i64)>, String> {
    let Some(free) = &side.free else { return Ok(None) };
    if free.offset != 0 {
        return Err(format!("takes sides of {} × n + {}, which pictures are not made to here", free.step, free.offset));
    }
    Ok(Some((free.step, free.range.0, free.range.1)))
}

fn lcm(a: i64, b: i64) -> i64 {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    (a / x.max(1)).saturating_mul(b)
}

impl GraphNetwork {
    /// The maps that it can make, the one that it shows by itself first.
    fn maps(&self) -> Vec<MapName> {
        let mut maps = Vec::new();
        let classes = self.numbers.is_some();
        let of_kind =
            |kinds: &'static [GateKind]| self.found.gates.iter().filter(move |gate| kinds.contains(&gate.kind));
        let spatial = of_kind(&[GateKind::Spatial, GateKind::Full]);
        let coordinate = of_kind(&[GateKind::Coordinate]);
        if self.has_fused() {
            maps.push(MapName::Fused);
        } else if classes && self.found.default_place.is_some() {
            maps.push(MapName::explain(Method::GradCam));
        }
        maps.extend(spatial.map(|gate| MapName::Spatial(Some(gate.name.clone()))));
        maps.extend(coordinate.map(|gate| MapName::Coordinate(Some(gate.name.clone()))));
        let main = self.main_attention();
        let found = || self.found.attention.iter().enumerate();
        let ordered = || {
            found()
                .filter(|(at, _)| Some(*at) == main)
                .chain(found().filter(|(at, _)| Some(*at) != main))
                .map(|(_, of)| of)
        };
        maps.extend(MapName::patches(ordered().map(|of| (of.name.as_str(), of.heads as usize))));
        maps.extend(MapName::class_tokens(
            ordered().filter(|of| of.before > 0).map(|of| (of.name.as_str(), of.heads as usize)),
        ));
        if let Some(main) = main.map(|main| &self.found.attention[main]) {
            let alike = self
                .found
                .attention
                .iter()
                .filter(|of| (of.grid, of.before, of.after) == (main.grid, main.before, main.after));
            maps.extend((alike.count() > 1).then_some(MapName::Rollout));
        }
        let channel = of_kind(&[GateKind::Channel, GateKind::Full]);
        maps.extend(channel.map(|gate| MapName::Channel(gate.name.clone())));
        let at_places = !self.found.places.is_empty();
        for method in Method::ALL {
            let can = if method.needs_class() { classes } else { true } && (at_places || !method.needs_stage());
            if can && !maps.contains(&MapName::explain(method)) {
                maps.push(MapName::explain(method));
            }
        }
        maps
    }

    /// Whether there are a class activation, and attention for it to be laid over.
    fn has_fused(&self) -> bool {
        let gates = self.found.gates.iter().any(|gate| matches!(gate.kind, GateKind::Spatial | GateKind::Full));
        self.numbers.is_some() && self.found.default_place.is_some() && (gates || !self.found.attention.is_empty())
    }

    /// Pictures `[N, 3, H, W]`, normalised → one readout each: gates, attention, probabilities.
    ///
    /// # Errors
    /// [`Error::Weights`](crate::Error::Weights), with its file's name, if it fails on them.
    pub fn run(&self, pictures: &Tensor) -> Result<Vec<Readout>> {
        let count = usize::try_from(pictures.size().first().copied().unwrap_or(0)).unwrap_or(0);
        self.see(pictures, &vec![Vec::new(); count], true)
    }

    /// What one pass shows of pictures, and their numbers for the classes.
    fn see(&self, pictures: &Tensor, points: &[Vec<[f32; 2]>], attention: bool) -> Result<Vec<Readout>> {
        let count = points.len();
        let pictures = self.padded(pictures)?;
        let mut watch = Watch::new(self, attention);
        let mut wanted = self.wanted();
        wanted.extend(watch.wanted());
        let plan = self.plan(&wanted, &[]);
        let mut pass = self.pass(&pictures)?;
        tch::no_grad(|| pass.run(&plan, &mut |node, pass| watch.see(node, pass)))
            .map_err(|error| self.failed(&pictures, error))?;
        let mut readouts = watch.readouts(points)?;
        if let Some(classes) = &self.found.classes {
            let numbers = self.numbers_of(pass.tensor(classes.value), pictures.size()[0])?;
            let numbers = to_host::<ndarray::Ix2>(&numbers)?;
            let rows = self.outputs.probabilities(numbers.view()).map_err(|error| self.wrong(error))?;
            for (readout, row) in readouts.iter_mut().zip(rows.outer_iter()) {
                readout.probabilities = row.to_owned();
            }
        }
        readouts.truncate(count);
        Ok(readouts)
    }
}

impl Model for GraphNetwork {
    fn describe(&self) -> Description {
        let numbers = Features::numbers(self);
        let main = self.main_attention();
        let found = || self.found.attention.iter().enumerate();
        let ordered = found().filter(|(at, _)| Some(*at) == main).chain(found().filter(|(at, _)| Some(*at) != main));
        Description {
            preprocess: self.preprocess.clone(),
            numbers,
            outputs: self.outputs,
            labels: usual_labels(numbers),
            maps: self.maps(),
            places: self.places(),
            default_place: self.default_place(),
            without_gradient: Vec::new(),
            patch_stages: ordered.map(|(_, of)| of.name.clone()).collect(),
        }
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        match self.batch() {
            Some(fixed) => usize::try_from(fixed).unwrap_or(1).max(1),
            None if self.device == Device::Cpu => 1,
            None => 16,
        }
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>> {
        question.check_class(Outputs::answers(self.numbers.unwrap_or(0)) as usize)?;
        let attention = question.maps.is_empty() || question.maps.iter().any(needs_attention);
        let most = self.batch().map_or(usize::MAX, |batch| batch.max(1) as usize);
        let together = if self.one_by_one { 1 } else { pictures.len().clamp(1, most) };
        let mut looks = Vec::with_capacity(pictures.len());
        for part in pictures.chunks(together) {
            let points = part.iter().map(|picture| question.points(&picture.geometry())).collect::<Result<Vec<_>>>()?;
            let pixels = normalised(part, &self.preprocess, self.device)?;
            let readouts = self.see(&pixels, &points, attention)?;
            looks.extend(readouts.into_iter().zip(part).map(|(readout, picture)| Look {
                likeliest: readout.likeliest(),
                explained: None,
                geometry: picture.geometry(),
                readout,
            }));
        }
        explain_looks(self, &self.preprocess, pictures, &mut looks, question)?;
        Ok(looks)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}

fn needs_attention(map: &MapName) -> bool {
    matches!(
        map,
        MapName::Fused | MapName::Patch { .. } | MapName::PatchAt(..) | MapName::ClassToken { .. } | MapName::Rollout
    )
}
