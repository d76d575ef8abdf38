//! A network in its form for inference.

use ndarray::{Array2, ArrayView1, ArrayView4, s};
use rayon::prelude::*;

use super::attention::Block;
use super::backbone::{self, Backbone};
use super::parameters::Named;
use super::readout::{Seen, read_gates, read_ground, read_patches, roll_out};
use super::{BlockPass, NetworkConfig, Parameters, Pass, Site};
use crate::classes::Outputs;
use crate::device::ForwardPrecision;
use crate::kernels::Map;
use crate::maps::{Detail, Explanation, Method, Readout};
use crate::photo::{Preprocess, Resampled};
use crate::{Error, Result};

/// A network that only looks: backbone, attention and classifier with BatchNorm folded into the convolutions, in f32
/// unless it is put [in bf16](Self::in_precision), on the
/// kernels of this crate. It needs no libtorch, and has gradients only at the classifier's features, in closed form.
///
/// Its maps and logits are those of the network that its numbers come from, in f32 within 10⁻⁴.
#[derive(Debug)]
pub struct InferenceNetwork {
    pub(super) config: NetworkConfig,
    preprocess: Preprocess,
    pub(super) backbone: Box<dyn Backbone>,
    blocks: Vec<Block>,
    stages: usize,
    ground: Option<usize>, // the stage whose features are kept
    one_by_one: bool,
    pub(super) precision: ForwardPrecision,
}

/// A pass, and what the classifier took.
pub(super) struct Output {
    /// `[N, classes]`.
    pub(super) logits: Array2<f32>,
    /// Those of the last convolution, before their activation and behind it; attention under the classifier comes after both.
    features: Map,
    pub(super) activated: Map,
    kept: Kept,
}

/// What is kept on the way; the features of a stage only if somebody wants them.
#[derive(Default)]
struct Kept {
    wanted: Option<usize>,
    attention: Vec<BlockPass>,
    /// What the channel gates of each of `attention` are of; nothing but where all is kept.
    features: Vec<Option<Map>>,
    ground: Option<Map>,
    detail: Detail,
}

impl InferenceNetwork {
    /// The network of a configuration, with these numbers.
    ///
    /// # Errors
    /// [`Error::Argument`] if the configuration cannot be, or a number is missing or has another shape.
    pub fn new(mut config: NetworkConfig, parameters: &dyn Parameters) -> Result<Self> {
        let sites = config.settle()?;
        let p = Named::root(parameters);
        let gated = |stage, inner| sites.iter().any(|site| site.0 == Site::Inside(stage, inner));
        let backbone = backbone::build(&config, &p.at("backbone"), &gated)?;
        let block = |(attention, site): (&super::StageAttention, &(Site, i64, i64))| {
            Block::new(&p.at("attention").at(attention.stage.replace('.', "_")), (site.0, site.1), attention)
        };
        let blocks = config.attention.iter().zip(&sites).map(block).collect::<Result<_>>()?;
        let (preprocess, stages, ground) = (config.preprocess(), backbone::stages(&config).len(), config.ground());
        Ok(Self {
            config,
            preprocess,
            backbone,
            blocks,
            stages,
            ground,
            one_by_one: false,
            precision: ForwardPrecision::F32,
        })
    }

    /// Its configuration.
    pub fn config(&self) -> &NetworkConfig {
        &self.config
    }

    /// How it takes pictures: as its configuration says, or [`with_preprocess`](Self::with_preprocess).
    pub fn preprocess(&self) -> &Preprocess {
        &self.preprocess
    }

    /// With pictures taken in another way than the configuration says: another mean and deviation, say.
    ///
    /// # Errors
    /// [`Error::Argument`] if a number of it is out of range.
    pub fn with_preprocess(mut self, preprocess: Preprocess) -> Result<Self> {
        preprocess.check()?;
        self.preprocess = preprocess;
        Ok(self)
    }

    /// With its numbers for the classes taken in another sense than the configuration says.
    ///
    /// # Errors
    /// [`Error::Argument`] for a softmax over one class.
    pub fn with_outputs(mut self, outputs: Outputs) -> Result<Self> {
        outputs.check(self.config.classes)?;
        self.config.outputs = outputs;
        self.config.check_temperature()?;
        Ok(self)
    }

    /// With every picture by itself, whatever batch it comes in: the same picture then gives the same bits in every run on a machine,
    /// with any number of threads.
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Whether every picture goes through it by itself ([`one_by_one`](Self::one_by_one)).
    pub fn is_one_by_one(&self) -> bool {
        self.one_by_one
    }

    /// Whether attention stands between the features of [`HEAD`](super::HEAD) and the classifier.
    pub fn attends_at_head(&self) -> bool {
        self.block_at(Site::Head).is_some()
    }

    /// Photos `[N, 3, H, W]`, as [`Preprocess::apply`] prepares them → one readout each; none for no photos.
    ///
    /// Each of `queries` asks for the patch attention of the patch at that fraction of the picture's width and height.
    ///
    /// It explains each picture's likeliest class by Grad-CAM, but where attention stands [under the classifier](Self::attends_at_head).
    ///
    /// A batch is taken in parts, one for each of rayon's threads, if that gives each at least two pictures.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of another shape; [`Error::Argument`] for a query outside `[0, 1)`, for queries to a network
    /// without patch attention, or for pictures whose patch attention would take over 4 GiB; [`Error::Network`] if a logit is not
    /// finite.
    pub fn run(&self, batch: ArrayView4<'_, f32>, queries: &[[f32; 2]]) -> Result<Vec<Readout>> {
        let (images, _, height, width) = batch.dim();
        if images == 0 {
            return Ok(Vec::new());
        }
        self.config.check_patch_memory([images, height, width])?;
        let input = |part: std::ops::Range<usize>| self.input(batch.slice(s![part, .., .., ..]));
        let seen = self.in_parts(images, &|_| queries, (None, Detail::Maps), &input)?;
        Ok(seen.into_iter().map(|seen| seen.readout).collect())
    }

    /// What one pass says of pictures of one size, each with points of its own; what it explains by itself is of `class`, or of each
    /// picture's likeliest.
    pub(super) fn see(
        &self,
        pictures: &[&Resampled],
        points: &[Vec<[f32; 2]>],
        class: Option<usize>,
        detail: Detail,
    ) -> Result<Vec<Seen>> {
        let [count, height, width] = Resampled::shape_of(pictures)?;
        self.config.check_patch_memory([count, height, width])?;
        let input = |part: std::ops::Range<usize>| {
            let pictures = &pictures[part];
            let fill = |picture: usize, values: &mut [f32]| self.preprocess.normalise(pictures[picture], values);
            Map::filled([pictures.len(), height, width, 3], fill)
        };
        self.in_parts(count, &|picture| &points[picture], (class, detail), &input)
    }

    fn in_parts<'p>(
        &self,
        images: usize,
        points: &(dyn Fn(usize) -> &'p [[f32; 2]] + Sync),
        (class, detail): (Option<usize>, Detail),
        input: &(dyn Fn(std::ops::Range<usize>) -> Result<Map> + Sync),
    ) -> Result<Vec<Seen>> {
        let inspect = |part: std::ops::Range<usize>| {
            let points: Vec<_> = part.clone().map(points).collect();
            self.read(&self.pass(input(part)?, (self.ground, detail))?, &points, class)
        };
        let threads = rayon::current_num_threads();
        let parts = if self.one_by_one {
            images
        } else if threads > 1 && images >= 2 * threads {
            threads // so none waits for another after every layer; of several pictures, since each part reads all weights
        } else {
            1
        };
        if parts == 1 {
            return in_pool(|| inspect(0..images));
        }
        let part = |part: usize| inspect(images * part / parts..images * (part + 1) / parts);
        let seen: Vec<_> = (0..parts).into_par_iter().with_max_len(1).map(part).collect();
        Ok(seen.into_iter().collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// Pictures `[N, 3, H, W]`, or of one channel where they are grey, as a map.
    pub(super) fn input(&self, pixels: ArrayView4<'_, f32>) -> Result<Map> {
        let least = self.backbone.smallest_side();
        let (images, _, height, width) = pixels.dim();
        self.config.check_patch_memory([images, height, width])?;
        match *pixels.shape() {
            [_, 3, height, width] if height.min(width) >= least => Map::of(pixels),
            [images, 1, height, width] if self.config.variant.grey && height.min(width) >= least => {
                // Three channels that are equal: of these, luminance is that channel.
                let three = pixels.broadcast((images, 3, height, width));
                Map::of(three.ok_or_else(|| Error::internal("one channel is not three"))?)
            }
            ref shape => {
                let expected = format!("[N, 3, H, W], H and W at least {least}");
                Err(Error::Input { layer: "Network", expected, got: format!("{shape:?}") })
            }
        }
    }

    /// Pictures `[N, 3, H, W]`, as [`run`](Self::run) takes them, to all that one pass gives out.
    ///
    /// # Errors
    /// [`Error::Input`] for a batch of another shape; [`Error::Argument`] if its patch attention would take over 4 GiB.
    pub fn forward(&self, batch: ArrayView4<'_, f32>) -> Result<Pass> {
        let xs = self.input(batch)?;
        let Output { logits, features, kept, .. } = in_pool(|| self.pass(xs, (None, Detail::Maps)))?;
        Ok(Pass { logits, features: features.into_array(), attention: kept.attention })
    }

    pub(super) fn pass(&self, xs: Map, (wanted, detail): (Option<usize>, Detail)) -> Result<Output> {
        let mut kept = Kept { wanted, detail, ..Kept::default() };
        let features = self.backbone.head_conv(self.up_to(self.stages, xs, &mut kept)?);
        let activated = self.backbone.head_activation(features.clone());
        let scores = match self.block_at(Site::Head) {
            None => self.backbone.classify(&activated)?,
            Some(_) => self.backbone.classify(&self.attend(Site::Head, activated.clone(), &mut kept)?)?,
        };
        Ok(Output { logits: self.tempered(features.images(), scores)?, features, activated, kept })
    }

    /// Pictures to what stage number `count` - 1 gives out, behind its attention.
    fn up_to(&self, count: usize, xs: Map, kept: &mut Kept) -> Result<Map> {
        let least = self.backbone.smallest_side();
        if xs.height().min(xs.width()) < least {
            let expected = format!("[N, 3, H, W], H and W at least {least}");
            return Err(Error::Input { layer: "Network", expected, got: format!("{}x{}", xs.width(), xs.height()) });
        }
        let untouched = |site| matches!(site, Site::Stem | Site::Inside(0, _));
        let fast = !self.blocks.iter().any(|block| untouched(block.site));
        let first = if fast && count > 0 { self.backbone.first_stage(&xs) } else { None };
        let (done, xs) = match first {
            Some(xs) => (1, self.behind(0, xs, kept)?),
            None => (0, self.backbone.stem(xs, &mut |xs| self.attend(Site::Stem, xs, kept))?),
        };
        (done..count).try_fold(xs, |xs, stage| self.stage(stage, xs, kept))
    }

    /// One stage, with the attention in it and behind it.
    fn stage(&self, stage: usize, xs: Map, kept: &mut Kept) -> Result<Map> {
        let xs = self.backbone.stage(stage, xs, &mut |inner, xs| self.attend(Site::Inside(stage, inner), xs, kept))?;
        self.behind(stage, xs, kept)
    }

    /// What a stage gives out, to what its attention makes of that.
    fn behind(&self, stage: usize, xs: Map, kept: &mut Kept) -> Result<Map> {
        let xs = self.attend(Site::Stage(stage), xs, kept)?;
        if kept.wanted == Some(stage) {
            kept.ground = Some(xs.clone());
        }
        Ok(xs)
    }

    pub(super) fn block_at(&self, site: Site) -> Option<&Block> {
        self.blocks.iter().find(|block| block.site == site)
    }

    /// The attention at a site, if there is any; its maps are kept.
    fn attend(&self, site: Site, xs: Map, kept: &mut Kept) -> Result<Map> {
        let Some(block) = self.block_at(site) else { return Ok(xs) };
        let features = (kept.detail == Detail::Whole && block.gates_channels()).then(|| xs.clone());
        let (attended, of_block) = block.forward(xs)?;
        kept.attention.push(of_block);
        kept.features.push(features);
        Ok(attended)
    }

    /// What the classifier says of each picture, one after another, as logits `[N, classes]`.
    fn tempered(&self, images: usize, scores: Vec<f32>) -> Result<Array2<f32>> {
        let classes = self.config.classes as usize;
        let scores = Array2::from_shape_vec((images, classes), scores).map_err(Error::internal)?;
        Ok(scores / self.config.temperature as f32)
    }

    /// What the network says of each picture of a batch, each with points of its own.
    fn read(&self, output: &Output, points: &[&[[f32; 2]]], class: Option<usize>) -> Result<Vec<Seen>> {
        let images = points.len();
        let mut all = vec![Seen::default(); images];
        if self.config.classes > 0 {
            let probabilities = self.config.outputs.probabilities(output.logits.view())?;
            let scores = self.config.outputs.scores(output.logits.view());
            all.par_iter_mut().enumerate().for_each(|(i, seen)| {
                let likeliest = largest(scores.row(i));
                seen.readout.probabilities = probabilities.row(i).to_owned();
                seen.likeliest = Some(likeliest);
                if self.block_at(Site::Head).is_some() {
                    return; // its gates stand between the features and the scores
                }
                let explained = class.unwrap_or(likeliest);
                let (features, logits) = (output.activated.part(i..i + 1), output.logits.row(i).to_vec());
                let map = self.class_activation(&features, &logits, explained);
                if output.kept.detail == Detail::Whole {
                    seen.readout.classes = self.class_activations(&features, &logits);
                }
                let made = Explanation { method: Method::GradCam, stage: None, class: explained, map };
                seen.readout.explanations.push(made);
            });
        }
        read_ground(output.kept.ground.as_ref(), &mut all)?;
        for (block, features) in output.kept.attention.iter().zip(&output.kept.features) {
            read_gates(block, features.as_ref(), &mut all)?;
            read_patches(block, points, output.kept.detail, &mut all)?;
        }
        roll_out(&output.kept.attention, &mut all)?;
        all.par_iter_mut().for_each(|seen| seen.readout.settle_likeness());
        let unasked = |(seen, points): (&Seen, &&[[f32; 2]])| seen.readout.patches.is_empty() && !points.is_empty();
        if all.iter().zip(points).any(unasked) {
            return Err(Error::argument("patch@X,Y", "these weights have no patch attention"));
        }
        Ok(all)
    }

    /// The place of this name: how many stages run before it, and whether the head follows.
    fn place(&self, name: &str) -> Result<(usize, bool)> {
        let places = self.config.places();
        match places.iter().position(|place| place == name) {
            Some(index) if index == self.stages => Ok((index, true)),
            Some(index) => Ok((index + 1, false)),
            None => Err(Error::argument(format!("stage {name:?}"), format!("this network has {}", places.join(", ")))),
        }
    }

    /// Pictures to the features at a place.
    pub(super) fn features_at(&self, place: &str, pixels: ArrayView4<'_, f32>) -> Result<Map> {
        let ((stages, head), xs) = (self.place(place)?, self.input(pixels)?);
        in_pool(|| {
            let features = self.up_to(stages, xs, &mut Kept::default())?;
            Ok(if head { self.backbone.head_activation(self.backbone.head_conv(features)) } else { features })
        })
    }

    /// The rest: the features of a place to logits `[N, classes]`.
    pub(super) fn logits_from(&self, place: &str, features: ArrayView4<'_, f32>) -> Result<Array2<f32>> {
        let (stages, head) = self.place(place)?;
        let channels = match backbone::stages(&self.config).get(stages.saturating_sub(1)) {
            Some(stage) if !head => stage.channels,
            _ => self.config.arch.head_channels(),
        };
        if features.shape()[1] != channels as usize {
            let (expected, got) = (format!("[N, {channels}, h, w]"), format!("{:?}", features.shape()));
            return Err(Error::Input { layer: "Network", expected, got });
        }
        let mut xs = Map::of(features)?;
        in_pool(|| {
            if !head {
                xs = (stages..self.stages).try_fold(xs, |xs, stage| self.stage(stage, xs, &mut Kept::default()))?;
                xs = self.backbone.head_activation(self.backbone.head_conv(xs));
            }
            let xs = self.attend(Site::Head, xs, &mut Kept::default())?;
            self.tempered(xs.images(), self.backbone.classify(&xs)?)
        })
    }
}

/// The index of the largest number, the first of equals.
pub(super) fn largest(scores: ArrayView1<'_, f32>) -> usize {
    let larger =
        |best: (usize, f32), (index, &score): (usize, &f32)| if score > best.1 { (index, score) } else { best };
    scores.iter().enumerate().fold((0, f32::NEG_INFINITY), larger).0
}

/// Runs `work` on one of rayon's threads, while this one waits: what it does in parallel there begins without waking a thread each
/// time.
pub(super) fn in_pool<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    if rayon::current_thread_index().is_some() { work() } else { rayon::scope(|_| work()) }
}
