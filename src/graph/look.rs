//! The network as [`Model`]: what it says of itself, how it takes pictures, how it looks at them.

use cbam_core::graph::{Graph, ScorePoint, Side};
use tch::{Device, Tensor};

use super::GraphNetwork;
use super::watch::{Wanted, Watch};
use crate::classes::usual_labels;
use crate::explain::Features;
use crate::host::to_host;
use crate::maps::{Detail, MapName, Method, Readout};
use crate::model::{Description, Look, Model, Question, explain_looks};
use crate::network::normalised;
use crate::photo::{Channels, FixedSize, ImageSize, Preprocess, Resampled};
use crate::weights::{Assumption, Otherwise};
use crate::{ErrorKind, Result};

/// The most pictures that a graph of a fixed batch takes.
const MAX_BATCH: i64 = 256;

/// How a graph takes pictures: as it is asked, as far as its sides allow it.
///
/// # Errors
/// What is wrong with its input.
pub(super) fn taken(graph: &Graph, asked: Preprocess) -> std::result::Result<Preprocess, String> {
    let about = graph.about(graph.inputs[0].value);
    let Some(sides) = &about.sides else { return Ok(asked) };
    let [batch, channels, height, width] = &sides[..] else {
        let shape: Vec<i64> = sides.iter().map(|side| side.example).collect();
        return Err(format!("takes {shape:?}, and not pictures [N, 3, H, W]"));
    };
    let asked = match (channels.free.is_none(), channels.example) {
        (true, 1) if asked.channels == Channels::Bgr => {
            return Err("takes pictures of one channel, and not of blue, green and red".to_owned());
        }
        (true, 1) => Preprocess { channels: Channels::Grey, ..asked },
        (false, _) | (true, 3) => asked,
        (true, channels) => {
            return Err(format!("takes pictures of {channels} channels; 3 are given (colours), or 1 (grey)"));
        }
    };
    if about.dtype.is_some_and(|dtype| !dtype.is_float()) {
        return Err("takes pictures of whole numbers; export it behind their scaling".to_owned());
    }
    if batch.free.is_none() && !(1..=MAX_BATCH).contains(&batch.example) {
        return Err(format!("takes {} pictures at once; at most {MAX_BATCH} are given", batch.example));
    }
    let (step, bounds) = match (step(height)?, step(width)?) {
        (Some((rows, low, high)), Some((columns, low2, high2))) => {
            (lcm(rows, columns), (low.max(low2), high.min(high2)))
        }
        _ => return fixed(height, width, asked),
    };
    let most = i64::from(Preprocess::MAX_SHORT_SIDE);
    if bounds.0 > bounds.1 || step > most || bounds.0 > most {
        let (least, most) = bounds;
        return Err(format!("takes sides from {least} to {most} by {step}, which no pictures here have"));
    }
    let multiple = if step > 1 { u32::try_from(step).unwrap_or(u32::MAX) } else { asked.multiple };
    let short = i64::from(asked.short_side).clamp(bounds.0, bounds.1);
    let same = height.free == width.free;
    let max_ratio =
        if same { 1 } else { asked.max_ratio.min(u32::try_from(bounds.1 / short.max(1)).unwrap_or(u32::MAX).max(1)) };
    Ok(Preprocess { short_side: u32::try_from(short).unwrap_or(asked.short_side), multiple, max_ratio, ..asked })
}

/// Of a network of one size: the middle of a picture, or all of it squeezed where squares are asked for.
fn fixed(height: &Side, width: &Side, asked: Preprocess) -> std::result::Result<Preprocess, String> {
    let side = |side: &Side| match &side.free {
        None => u32::try_from(side.example).ok().filter(|side| (1..=Preprocess::MAX_SHORT_SIDE).contains(side)),
        Some(_) => None,
    };
    let (Some(width), Some(height)) = (side(width), side(height)) else {
        return Err("takes pictures of which one side is free and the other is not, or is too long".to_owned());
    };
    let fixed = FixedSize { size: ImageSize::new(width, height), squeeze: asked.max_ratio == 1 };
    Ok(Preprocess { short_side: width.min(height), fixed: Some(fixed), ..asked })
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
    /// What was assumed about it when it was opened, and what of it is left out; that how it takes pictures is assumed, the caller knows.
    pub fn assumptions(&self) -> Vec<Assumption> {
        let mut all = Vec::new();
        if let (Some(classes), false) = (&self.found.classes, self.outputs_are_said) {
            let name = &self.graph.outputs[classes.index].name;
            let what = self.outputs.meaning(classes.numbers);
            all.push(Assumption::new(
                format!("{name} is taken for {what}: its graph ends in {}", classes.ends_in),
                None,
            ));
            if classes.others {
                all.push(Assumption::new(
                    format!("{name} is taken for that of the classes, though others could be too"),
                    None,
                ));
            }
        }
        if let Some(of) = self.found.attention.iter().find(|of| of.before + of.after > 0) {
            let count = of.before + of.after;
            let tokens = if count == 1 {
                "token that is no patch (a class token, say) is"
            } else {
                "tokens that are no patches (class tokens, registers) are"
            };
            all.push(Assumption::new(
                format!("{count} {tokens} left out of the maps of {} and its like", of.name),
                None,
            ));
        }
        if let [(first, why), rest @ ..] = &self.found.left_out[..] {
            let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
            all.push(Assumption::new(format!("the attention of {first}{more} is not shown: {why}"), None));
        }
        if let Some(FixedSize { size, squeeze }) = self.preprocess.fixed {
            let what = if squeeze { "each is squeezed to that" } else { "it sees the middle of each" };
            let otherwise = (!squeeze).then_some(Otherwise::Squeeze);
            let takes = if self.only_squares { "fails on pictures that are no squares" } else { "takes no others" };
            all.push(Assumption::new(format!("pictures of {size}, as it {takes}: {what}"), otherwise));
        }
        all
    }

    /// Pictures `[N, 3, H, W]`, normalised → one readout each: gates, attention, probabilities.
    ///
    /// # Errors
    /// [`ErrorKind::Weights`], with its file's name, if it fails on them.
    pub fn run(&self, pictures: &Tensor) -> Result<Vec<Readout>> {
        let count = usize::try_from(pictures.size().first().copied().unwrap_or(0)).unwrap_or(0);
        self.see(pictures, &vec![Vec::new(); count], Wanted { attention: true, ground: false, detail: Detail::Maps })
    }

    /// What one pass shows of pictures, and their numbers for the classes.
    fn see(&self, pictures: &Tensor, points: &[Vec<[f32; 2]>], seen: Wanted) -> Result<Vec<Readout>> {
        let count = points.len();
        let pictures = self.padded(pictures)?;
        let size = pictures.size();
        let mut watch = Watch::new(self, self.found_at([size[2], size[3]])?, seen);
        let mut wanted = self.wanted();
        wanted.extend(watch.wanted());
        let plan = self.fast_plan(&wanted);
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
        let score = self.found.classes.as_ref().filter(|_| self.graph.score.is_some());
        let score = score.map(|score| vec![self.graph.outputs[score.index].name.clone()]);
        Description {
            preprocess: self.preprocess.clone(),
            numbers,
            outputs: self.outputs,
            labels: score.or_else(|| self.labels.clone()).unwrap_or_else(|| usual_labels(numbers)),
            maps: self.found.maps(),
            places: self.places(),
            default_place: self.default_place(),
            without_gradient: Vec::new(),
            patch_stages: self.found.attention_in_order().map(|of| of.name.clone()).collect(),
        }
    }

    fn batch_size(&self, _: usize, _: ImageSize) -> usize {
        match self.batch() {
            Some(fixed) => usize::try_from(fixed).unwrap_or(1).max(1),
            None if self.device == Device::Cpu => 1,
            None => 16,
        }
    }

    fn look(&self, pictures: &[&Resampled], question: &Question<'_>) -> Result<Vec<Look>, ErrorKind> {
        question.check_class(self.answers())?;
        let class_activation = question.explanations().any(|explanation| explanation == (Method::GradCam, None));
        let wanted = Wanted {
            // Beside a class activation gates make a fused map, which is of the attention too where there is some.
            attention: question.maps.is_empty()
                || question.detail != Detail::Maps
                || question.maps.iter().any(needs_attention)
                || class_activation && self.found.has_fused() && !self.found.gates.is_empty(),
            ground: question.maps.is_empty() || class_activation,
            detail: question.detail,
        };
        let most = self.batch().map_or(usize::MAX, |batch| batch.max(1) as usize);
        let together = if self.one_by_one { 1 } else { pictures.len().clamp(1, most) };
        if let Some(ScorePoint { pixel: [x, y], .. }) = self.graph.score_point {
            // Each picture has its own point, for all that is made of it.
            let one = |picture: &&Resampled| {
                self.point.set(picture.geometry().fraction(x, y)?);
                Ok(self.look_together(&[*picture], 1, question, wanted)?.remove(0))
            };
            return pictures.iter().map(one).collect();
        }
        self.look_together(pictures, together, question, wanted)
    }

    fn features(&self) -> Option<&dyn Features> {
        Some(self)
    }
}

impl GraphNetwork {
    /// Looks at pictures, so many at a time.
    fn look_together(
        &self,
        pictures: &[&Resampled],
        together: usize,
        question: &Question<'_>,
        wanted: Wanted,
    ) -> Result<Vec<Look>, ErrorKind> {
        let mut looks = Vec::with_capacity(pictures.len());
        for part in pictures.chunks(together) {
            let points = part
                .iter()
                .map(|picture| question.points(&picture.geometry()))
                .collect::<Result<Vec<_>, ErrorKind>>()?;
            let pixels = normalised(part, &self.preprocess, self.device)?;
            let readouts = self.see(&pixels, &points, wanted)?;
            let pictures = part.iter().map(|picture| picture.geometry());
            looks.extend(readouts.into_iter().zip(pictures).map(|(readout, geometry)| Look::of(readout, geometry)));
        }
        explain_looks(self, &self.preprocess, pictures, &mut looks, question)?;
        Ok(looks)
    }
}

fn needs_attention(map: &MapName) -> bool {
    matches!(
        map,
        MapName::Fused
            | MapName::Object
            | MapName::Patch { .. }
            | MapName::PatchAt(..)
            | MapName::ClassToken { .. }
            | MapName::Rollout
    )
}
