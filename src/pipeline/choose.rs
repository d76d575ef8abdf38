//! What a run asks of a network, from what it was asked for and what the network has.

use super::{Explain, Inspect, Options};
use crate::classes::both_answers;
use crate::maps::{MapName, Method, NO_ROLLOUT};
use crate::{Error, Result};

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

/// The names of a network's classes: those given, one for each class, or the network's own. Of a network that gives out one
/// number, one name is enough: it is that of class 1, and class 0 is that it is not there.
///
/// # Errors
/// [`Error::Argument`] if as many are not given as there are classes.
pub fn class_labels(given: Option<&[String]>, network: &impl Inspect) -> Result<Vec<String>> {
    let classes = network.classes();
    match given {
        None => Ok(network.labels()),
        Some([one]) if network.numbers() == 1 => Ok(both_answers(one)),
        Some(labels) if labels.len() == classes => Ok(labels.to_vec()),
        Some(labels) => {
            let json = labels.first().is_some_and(|first| first.trim_start().starts_with(['[', '{']));
            let hint = if json { "; it looks like JSON: write one name a line" } else { "" };
            let names = if labels.len() == 1 { "name" } else { "names" };
            let message = format!("{} {names}, but the network has {classes} classes{hint}", labels.len());
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
    use crate::classes::ClassChoice;
    use crate::maps::Readout;
    use crate::photo::{ImageSize, Preprocess, Resampled};
    use crate::pipeline::{Ask, Step};

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

    /// A network of so many numbers.
    struct Gives(usize);

    impl Inspect for Gives {
        fn preprocess(&self) -> Preprocess {
            Preprocess::default()
        }

        fn classes(&self) -> usize {
            self.0.max(2)
        }

        fn numbers(&self) -> usize {
            self.0
        }

        fn labels(&self) -> Vec<String> {
            Vec::new()
        }

        fn map_names(&self) -> Vec<MapName> {
            Vec::new()
        }

        fn places(&self) -> Vec<String> {
            Vec::new()
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

    #[test]
    fn one_name_is_enough_for_one_number() {
        let labels = |names: &[&str], numbers| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            class_labels(Some(&names), &Gives(numbers)).map_err(|error| error.to_string())
        };
        assert_eq!(labels(&["crack"], 1).unwrap(), ["not crack", "crack"]);
        assert_eq!(labels(&["sound", "crack"], 1).unwrap(), ["sound", "crack"]);
        assert_eq!(labels(&["sound", "crack"], 2).unwrap(), ["sound", "crack"]);
        assert_eq!(labels(&["crack"], 2).unwrap_err(), "labels: 1 name, but the network has 2 classes");
        let json = labels(&["[\"a\", \"b\", \"c\"]"], 3).unwrap_err();
        assert_eq!(json, "labels: 1 name, but the network has 3 classes; it looks like JSON: write one name a line");
        assert!(class_labels(None, &Gives(3)).unwrap().is_empty());
    }
}
