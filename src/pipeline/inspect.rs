//! What the pipeline needs of a network.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use super::{Options, tune};
use crate::explain::{ExplainOptions, Method, explain_while};
use crate::maps::{Explanation, MapName, NO_ROLLOUT, Readout};
use crate::network::{HEAD, Network, Outputs};
use crate::photo::{ImageSize, Preprocess, Resampled};
use crate::weights::imagenet_classes;
use crate::{Error, Result};

/// The explanations that a run asks for.
#[derive(Debug, Clone, Default)]
pub struct Explain {
    /// The methods, each with its stage; none is the last convolution.
    pub methods: Vec<(Method, Option<String>)>,
    /// The class; none is each picture's likeliest.
    pub class: Option<usize>,
    /// How they are made.
    pub options: ExplainOptions,
}

/// What a network is asked about every picture of a batch.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    /// The points, as fractions of width and height, whose rows of attention weights are wanted.
    pub queries: &'a [[f32; 2]],
    /// The explanations that are wanted.
    pub explain: &'a Explain,
}

/// How far a costly explanation is.
#[derive(Debug, Clone, Copy)]
pub struct Step<'a> {
    /// The picture, by its place in the batch.
    pub picture: usize,
    /// The map.
    pub map: &'a MapName,
    /// How many runs of the network are done.
    pub done: usize,
    /// Of how many.
    pub total: usize,
}

/// A network that looks at pictures. One thread owns it, so it need not be [`Send`].
pub trait Inspect {
    /// How a picture becomes its input.
    fn preprocess(&self) -> Preprocess;

    /// How many classes it knows: two for a network that gives out one number.
    fn classes(&self) -> usize;

    /// The names of its classes, in the order of [`Readout::probabilities`]; classes beyond them have numbers.
    fn labels(&self) -> Vec<String>;

    /// What its numbers for the classes are.
    fn outputs(&self) -> Outputs {
        Outputs::default()
    }

    /// The stages behind which patch self-attentions stand, in the order of the network; [`MapName::PATCH`] is the first's.
    fn patch_stages(&self) -> Vec<String> {
        Vec::new()
    }

    /// The maps that it can make, with every stage and head of its attention by name, channel gates included, and every
    /// explanation method once, without a stage.
    fn map_names(&self) -> Vec<MapName>;

    /// The stages at which explanations may look.
    fn places(&self) -> Vec<String>;

    /// The one of them at which explanations look if none is named.
    fn default_place(&self) -> String {
        HEAD.to_owned()
    }

    /// How many pictures at once serve it best, in a run of `pictures` pictures, if most have about that size.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize;

    /// Looks at pictures of one size, as its [`preprocess`](Self::preprocess) resamples them. Returns one readout per picture,
    /// with what is asked for. `go_on` is told about costly explanations, and says whether to go on.
    ///
    /// # Errors
    /// What the network refuses; [`Error::Interrupted`] once `go_on` has returned false.
    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>>;
}

impl Inspect for Network {
    fn preprocess(&self) -> Preprocess {
        Network::preprocess(self).clone()
    }

    fn classes(&self) -> usize {
        self.answers()
    }

    fn labels(&self) -> Vec<String> {
        match self.config().labels.as_slice() {
            [] => {}
            // One number is of one class, and its second answer is that it is not there.
            [one] if self.config().classes == 1 => return vec![format!("not {one}"), one.clone()],
            labels => return labels.to_vec(),
        }
        let imagenet = imagenet_classes();
        if self.classes() == imagenet.len() { imagenet.iter().map(ToString::to_string).collect() } else { Vec::new() }
    }

    fn outputs(&self) -> Outputs {
        self.config().outputs
    }

    fn patch_stages(&self) -> Vec<String> {
        let patches = self.config().attention.iter().filter(|block| block.patch.is_some());
        patches.map(|block| block.stage.clone()).collect()
    }

    fn map_names(&self) -> Vec<MapName> {
        let attention = &self.config().attention;
        let spatial = attention.iter().filter(|block| block.has_spatial_gate());
        let spatial: Vec<_> = spatial.map(|block| MapName::Spatial(Some(block.stage.clone()))).collect();
        let patch =
            attention.iter().filter_map(|block| Some((block.stage.as_str(), block.patch.as_ref()?.heads as usize)));
        let patch = MapName::patches(patch);
        let mut names = Vec::new();
        if !spatial.is_empty() {
            names.push(MapName::Fused);
        }
        names.extend(spatial);
        names.extend(patch);
        if attention.iter().filter(|block| block.patch.is_some()).count() > 1 {
            names.push(MapName::Rollout);
        }
        names.extend(Method::ALL.map(MapName::explain));
        let gated = attention.iter().filter(|block| block.has_channel_gate());
        names.extend(gated.map(|block| MapName::Channel(block.stage.clone())));
        if self.classes() == 0 {
            // Nothing can be of a class. First, and so drawn unless another is asked for, is the last gate.
            names.retain(|name| !name.needs_class());
            names.sort_by_key(|name| !matches!(name, MapName::Spatial(_)));
            let spatial = names.iter().take_while(|name| matches!(name, MapName::Spatial(_))).count();
            names[..spatial].reverse();
            if spatial == 0 {
                names.sort_by_key(|name| *name != MapName::explain(Method::EigenCam));
            }
        }
        names
    }

    fn places(&self) -> Vec<String> {
        Network::places(self).into_iter().map(str::to_owned).collect()
    }

    /// On a CPU a batch costs as much as its pictures one by one, and more memory; it only occupies many threads better.
    /// With the crate's own kernels each thread takes a part of it: four pictures, which read the weights together. On a GPU it
    /// is found by trying.
    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        if self.is_prepared() {
            let threads = rayon::current_num_threads();
            return if threads > 1 { (4 * threads).min(32) } else { 1 };
        }
        if self.is_one_by_one() {
            return rayon::current_num_threads();
        }
        if self.device() == tch::Device::Cpu {
            return (tch::get_num_threads() as usize / 4).clamp(1, 8);
        }
        tune::batch_size(pictures, |batch| {
            let start = Instant::now();
            // Most of tch's methods panic where memory is short.
            let passed = catch_unwind(AssertUnwindSafe(|| self.try_out(batch, size)));
            passed.is_ok_and(|passed| passed.is_ok()).then(|| start.elapsed())
        })
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        let mut readouts = self.look(pictures, ask.queries)?;
        let Explain { methods, class, options } = ask.explain;
        for (picture, readout) in readouts.iter_mut().enumerate() {
            let likeliest = readout.explanations.first().map_or(0, |grad_cam| grad_cam.class);
            // That of another class gives way; `fused` needs one.
            let of_class = class.map(|_| (Method::GradCam, None));
            if class.is_some() {
                readout.explanations.clear();
            }
            let class = class.unwrap_or(likeliest);
            for (method, stage) in methods.iter().chain(&of_class) {
                let map = MapName::Explain { method: *method, stage: stage.clone() };
                if readout.explanations.iter().any(|made| made.method == *method && made.stage == *stage) {
                    continue;
                }
                let pixels = self.pictures(&pictures[picture..=picture])?;
                let mut told = |done, total| !method.is_costly() || go_on(Step { picture, map: &map, done, total });
                let made = explain_while(self, &pixels, *method, stage.as_deref(), class as i64, options, &mut told)?;
                readout.explained(Explanation { method: *method, stage: stage.clone(), class, map: made });
            }
        }
        Ok(readouts)
    }
}

impl<N: Inspect + ?Sized> Inspect for Box<N> {
    fn preprocess(&self) -> Preprocess {
        (**self).preprocess()
    }

    fn classes(&self) -> usize {
        (**self).classes()
    }

    fn labels(&self) -> Vec<String> {
        (**self).labels()
    }

    fn outputs(&self) -> Outputs {
        (**self).outputs()
    }

    fn patch_stages(&self) -> Vec<String> {
        (**self).patch_stages()
    }

    fn map_names(&self) -> Vec<MapName> {
        (**self).map_names()
    }

    fn places(&self) -> Vec<String> {
        (**self).places()
    }

    fn default_place(&self) -> String {
        (**self).default_place()
    }

    fn batch_size(&self, pictures: usize, size: ImageSize) -> usize {
        (**self).batch_size(pictures, size)
    }

    fn inspect(
        &mut self,
        pictures: &[&Resampled],
        ask: Ask<'_>,
        go_on: &mut dyn FnMut(Step<'_>) -> bool,
    ) -> Result<Vec<Readout>> {
        (**self).inspect(pictures, ask, go_on)
    }
}

/// The maps of a run: those wanted, or the network's first, which is `fused` if it has that.
///
/// # Errors
/// [`Error::Argument`] if the network lacks one of them.
pub(super) fn choose_maps(wanted: &[MapName], network: &impl Inspect) -> Result<Vec<MapName>> {
    let held = network.map_names();
    if wanted.is_empty() {
        let first = held.first().cloned().ok_or_else(|| Error::argument("map", "this network has no map"))?;
        return Ok(vec![first]);
    }
    wanted.iter().map(|name| choose_map(name, &held, network)).collect()
}

fn choose_map(name: &MapName, held: &[MapName], network: &impl Inspect) -> Result<MapName> {
    let refused = |message: String| Err(Error::argument(format!("map {name}"), message));
    let has = match name {
        MapName::Spatial(None) => held.iter().any(|held| matches!(held, MapName::Spatial(_))),
        MapName::PatchAt(..) => held.contains(&MapName::PATCH),
        // The first patch attention is known by its stage as well.
        MapName::Patch { stage: Some(stage), head } if network.patch_stages().first() == Some(stage) => {
            return choose_map(&MapName::Patch { stage: None, head: *head }, held, network);
        }
        MapName::Explain { method, stage: Some(stage) } => {
            let (places, has) = (network.places(), held.contains(&MapName::explain(*method)));
            if has && !places.contains(stage) {
                return refused(format!("this network's stages are {}", places.join(", ")));
            }
            has
        }
        name => held.contains(name),
    };
    match name {
        name if has => Ok(name.clone()),
        name if network.classes() == 0 && name.needs_class() => {
            refused(format!("is of a class, and this network has no classifier; it has {}", of_each_kind(held)))
        }
        MapName::Rollout => refused(NO_ROLLOUT.to_owned()),
        name => refused(format!("this network has {}", alike(name, held))),
    }
}

/// The maps that a network has of the kind of `name`, or, if there are none, what it has of each kind.
fn alike(name: &MapName, held: &[MapName]) -> String {
    let kind = |name: &MapName| std::mem::discriminant(name);
    let of_kind: Vec<_> = held.iter().filter(|other| kind(other) == kind(name)).map(ToString::to_string).collect();
    if of_kind.is_empty() { of_each_kind(held) } else { of_kind.join(", ") }
}

/// The maps that a network has, at most some of a kind.
fn of_each_kind(held: &[MapName]) -> String {
    /// How many of a kind stand for it.
    const SHOWN: usize = 3;
    let kind = |name: &MapName| std::mem::discriminant(name);
    let mut shown = Vec::new();
    for (place, other) in held.iter().enumerate() {
        let before = held[..place].iter().filter(|earlier| kind(earlier) == kind(other)).count();
        match before {
            _ if matches!(other, MapName::Explain { .. }) || before < SHOWN => shown.push(other.to_string()),
            SHOWN => shown.push("…".to_owned()),
            _ => {}
        }
    }
    if shown.is_empty() { "none".to_owned() } else { shown.join(", ") }
}

/// The names of the classes: those given, or the network's own.
///
/// # Errors
/// [`Error::Argument`] if as many are not given as there are classes.
pub(super) fn choose_labels(options: &Options, network: &impl Inspect) -> Result<Vec<String>> {
    match &options.labels {
        None => Ok(network.labels()),
        Some(labels) if labels.len() == network.classes() => Ok(labels.clone()),
        Some(labels) => {
            let one = if network.classes() == 2 && labels.len() == 1 {
                ", no and yes where it gives out one number"
            } else {
                ""
            };
            let names = if labels.len() == 1 { "name" } else { "names" };
            let message = format!("{} {names}, but the network has {} classes{one}", labels.len(), network.classes());
            Err(Error::argument("labels", message))
        }
    }
}

/// The explanations among the maps of a run, and the class that they are of.
///
/// # Errors
/// [`Error::Argument`] if there is no such class, or no map depends on it.
pub(super) fn choose_explanations(
    options: &Options,
    maps: &[MapName],
    network: &impl Inspect,
    labels: &[String],
) -> Result<Explain> {
    options.explain.check()?;
    if let (Some(choice), 0) = (&options.class, network.classes()) {
        return Err(Error::argument(format!("class {choice}"), "the network has no classifier, and so no classes"));
    }
    let class = options.class.as_ref().map(|class| class.resolve(network.classes(), labels)).transpose()?;
    if let (Some(choice), false) = (&options.class, maps.iter().any(MapName::needs_class)) {
        let maps: Vec<_> = maps.iter().map(ToString::to_string).collect();
        let message =
            format!("no map here depends on a class ({}); choose one that does, such as gradcam", maps.join(", "));
        return Err(Error::argument(format!("class {choice}"), message));
    }
    let methods = maps.iter().filter_map(|name| match name {
        MapName::Explain { method, stage } => Some((*method, stage.clone())),
        MapName::Fused => Some((Method::GradCam, None)),
        _ => None,
    });
    Ok(Explain { methods: methods.collect(), class, options: options.explain.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pipeline::ClassChoice;

    /// A network that only says what it has.
    struct Holds(Vec<MapName>);

    impl Inspect for Holds {
        fn preprocess(&self) -> Preprocess {
            Preprocess::default()
        }

        fn classes(&self) -> usize {
            3
        }

        fn labels(&self) -> Vec<String> {
            ["red", "green", "blue"].map(str::to_owned).into()
        }

        fn map_names(&self) -> Vec<MapName> {
            self.0.clone()
        }

        fn places(&self) -> Vec<String> {
            ["stage5", "head"].map(str::to_owned).into()
        }

        fn patch_stages(&self) -> Vec<String> {
            vec!["stage5".to_owned()]
        }

        fn batch_size(&self, _: usize, _: ImageSize) -> usize {
            1
        }

        fn inspect(
            &mut self,
            _: &[&Resampled],
            _: Ask<'_>,
            _: &mut dyn FnMut(Step<'_>) -> bool,
        ) -> Result<Vec<Readout>> {
            Ok(Vec::new())
        }
    }

    fn names(names: &[&str]) -> Vec<MapName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    #[test]
    fn short_names_and_points_stand_for_held_maps() {
        let network = Holds(names(&["fused", "spatial:stage5", "patch", "patch:0", "layercam", "channel:stage5"]));
        for (name, ok) in [
            ("fused", true),
            ("spatial", true),
            ("spatial:stage5", true),
            ("spatial:stage4", false),
            ("patch@3,4", true),
            ("patch:1", false),
            ("patch:stage5", true),
            ("patch:stage5:0", true),
            ("patch:stage5:1", false),
            ("patch:stage4", false),
            ("layercam", true),
            ("layercam:stage5", true),
            ("layercam:stage4", false),
            ("channel:stage5", true),
            ("channel:stage1", false),
            ("rollout", false),
            ("gradcam", false),
            ("gradcam:stage5", false),
        ] {
            assert_eq!(choose_maps(&names(&[name]), &network).is_ok(), ok, "{name}");
        }
        let refused = |name: &str| choose_maps(&names(&[name]), &network).unwrap_err().to_string();
        assert!(refused("gradcam").ends_with("has layercam"), "only names of its kind");
        assert!(refused("layercam:stage4").contains("stage5, head"));
        assert!(refused("spatial:stage4").ends_with("has spatial:stage5"), "only names of its kind");
        assert!(refused("rollout").contains("two or more"));
        assert_eq!(choose_maps(&[], &network).unwrap(), [MapName::Fused]);
        let fused = Holds(names(&["fused"]));
        assert!(choose_maps(&names(&["patch@0,0"]), &fused).is_err());
        assert!(choose_maps(&names(&["spatial"]), &fused).is_err());
    }

    #[test]
    fn a_class_needs_a_map_that_depends_on_it() {
        let network = Holds(Vec::new());
        let options = |class: &str| Options { class: Some(ClassChoice::Name(class.into())), ..Options::default() };
        let maps = names(&["patch", "eigencam", "layercam:stage5"]);
        let chosen = choose_explanations(&options("Blue"), &maps, &network, &network.labels()).unwrap();
        assert_eq!(chosen.class, Some(2));
        assert_eq!(chosen.methods, [(Method::EigenCam, None), (Method::LayerCam, Some("stage5".into()))]);
        let error =
            choose_explanations(&options("blue"), &maps[..2], &network, &network.labels()).unwrap_err().to_string();
        assert!(error.contains("patch, eigencam") && error.contains("gradcam"), "{error}");
        // The fused map is of a class, through its Grad-CAM.
        let chosen = choose_explanations(&options("Blue"), &names(&["fused"]), &network, &network.labels()).unwrap();
        assert_eq!(chosen.methods, [(Method::GradCam, None)]);
        let error =
            choose_explanations(&options("yellow"), &maps, &network, &network.labels()).unwrap_err().to_string();
        assert!(error.contains("yellow"), "{error}");
        assert_eq!(choose_explanations(&Options::default(), &maps, &network, &network.labels()).unwrap().class, None);
    }
}
