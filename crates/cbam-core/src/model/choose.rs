//! What a network is asked, from what is wanted and what the network has.

use super::Description;
use crate::classes::{ClassChoice, both_answers};
use crate::explain::NO_RELEVANCE;
use crate::maps::{MapName, Method, NO_ROLLOUT};
use crate::{Error, Result};

impl Description {
    /// The maps that are wanted, by the names that the network has for them; if none is, its first.
    ///
    /// # Errors
    /// [`Error::Argument`] if the network lacks one of them.
    pub fn choose_maps(&self, wanted: &[MapName]) -> Result<Vec<MapName>> {
        if wanted.is_empty() {
            let first = self.maps.first().cloned();
            return Ok(vec![first.ok_or_else(|| Error::argument("map", "this network has no map"))?]);
        }
        wanted.iter().map(|name| self.choose_map(name)).collect()
    }

    /// These maps, and those that whatever shows several has besides: the network's own first map and Grad-CAM, where that first map is
    /// made of it or is it; of other networks it is not known whether a gradient reaches their features.
    pub fn with_usual(&self, maps: &[MapName]) -> Vec<MapName> {
        let class_activation = MapName::explain(Method::GradCam);
        let usual = match self.maps.first() {
            Some(MapName::Fused) => vec![MapName::Fused, class_activation],
            Some(first) if *first == class_activation => vec![class_activation],
            _ => Vec::new(),
        };
        maps.iter().cloned().chain(usual.into_iter().filter(|name| !maps.contains(name))).collect()
    }

    /// The map that `spatial` and `coordinate` are, which name no stage: the last.
    pub fn last_of(&self, name: &MapName) -> Option<&MapName> {
        let mut from_last = self.maps.iter().rev();
        match name {
            MapName::Spatial(None) => from_last.find(|held| matches!(held, MapName::Spatial(_))),
            MapName::Coordinate(None) => from_last.find(|held| matches!(held, MapName::Coordinate(_))),
            _ => None,
        }
    }

    fn choose_map(&self, name: &MapName) -> Result<MapName> {
        let refused = |message: String| Err(Error::argument(format!("map {name}"), message));
        let has = match name {
            MapName::Spatial(None) | MapName::Coordinate(None) => self.last_of(name).is_some(),
            MapName::PatchAt(..) => self.maps.contains(&MapName::PATCH),
            // The first patch attention is known by its stage as well.
            MapName::Patch { stage: Some(stage), head } if self.patch_stages.first() == Some(stage) => {
                return self.choose_map(&MapName::Patch { stage: None, head: *head });
            }
            MapName::ClassToken { stage: Some(stage), head } if self.patch_stages.first() == Some(stage) => {
                return self.choose_map(&MapName::ClassToken { stage: None, head: *head });
            }
            MapName::Explain { method, stage } => {
                let has = self.maps.contains(&MapName::explain(*method));
                if let (true, Some(stage)) = (has, stage.as_ref().filter(|stage| !self.places.contains(stage))) {
                    return refused(format!(
                        "{stage} is no stage of this network; they are {}",
                        self.places.join(", ")
                    ));
                }
                let place = stage.as_ref().or(self.default_place.as_ref());
                if has && method.needs_gradient() && place.is_some_and(|place| self.without_gradient.contains(place)) {
                    return refused(self.gradient_places());
                }
                has
            }
            name => self.maps.contains(name),
        };
        match name {
            name if has => Ok(name.clone()),
            name if self.classes() == 0 && name.needs_class() => {
                let held = of_each_kind(&self.maps);
                refused(format!("is of a class, and this network has no classifier; it has {held}"))
            }
            MapName::Rollout => refused(NO_ROLLOUT.to_owned()),
            MapName::Explain { method, .. } if method.needs_attention() => refused(NO_RELEVANCE.to_owned()),
            name => refused(format!("this network has {}", alike(name, &self.maps))),
        }
    }

    /// Why a method that follows a gradient cannot look at each place.
    fn gradient_places(&self) -> String {
        let there: Vec<&str> =
            self.places.iter().filter(|place| !self.without_gradient.contains(place)).map(String::as_str).collect();
        let there = if there.is_empty() { "nowhere".to_owned() } else { format!("at {} alone", there.join(", ")) };
        format!(
            "this network has the gradient that it follows {there}; with libtorch (the crate cbam, the full build of the programs) \
             there is one at every stage"
        )
    }

    /// The names of its classes: those given, one for each class, or its own. Of a network that gives out one number, one name is
    /// enough: it is that of class 1, and class 0 is that it is not there.
    ///
    /// # Errors
    /// [`Error::Argument`] if as many are not given as there are classes.
    pub fn choose_labels(&self, given: Option<&[String]>) -> Result<Vec<String>> {
        let classes = self.classes();
        match given {
            None => Ok(self.labels.clone()),
            Some([one]) if self.numbers == 1 && classes == 2 => Ok(both_answers(one)),
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

    /// The number of the class that the maps are to be of, whose names are `labels`.
    ///
    /// # Errors
    /// [`Error::Argument`] if there is no such class, or no map depends on it.
    pub fn choose_class(&self, class: &ClassChoice, labels: &[String], maps: &[MapName]) -> Result<usize> {
        if self.classes() == 0 {
            let message = "the network has no classifier, and so no classes";
            return Err(Error::argument(format!("class {class}"), message));
        }
        let number = class.resolve(self.classes(), labels)?;
        if maps.iter().any(MapName::needs_class) {
            return Ok(number);
        }
        let maps: Vec<_> = maps.iter().map(ToString::to_string).collect();
        let message =
            format!("no map here depends on a class ({}); choose one that does, such as gradcam", maps.join(", "));
        Err(Error::argument(format!("class {class}"), message))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<MapName> {
        names.iter().map(|name| name.parse().unwrap()).collect()
    }

    /// A network of three classes.
    fn holds(maps: &[&str]) -> Description {
        let strings = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Description {
            numbers: 3,
            labels: strings(&["red", "green", "blue"]),
            maps: names(maps),
            places: strings(&["stage5", "head"]),
            patch_stages: strings(&["stage5"]),
            ..Description::default()
        }
    }

    #[test]
    fn short_names_and_points_stand_for_held_maps() {
        let maps =
            ["fused", "spatial:stage5", "patch", "patch:0", "layercam", "channel:stage5", "eigencam", "gradcam++"];
        let network = Description { without_gradient: vec!["stage5".to_owned()], ..holds(&maps) };
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
            ("layercam:stage5", false),
            ("layercam:head", true),
            ("layercam:stage4", false),
            ("channel:stage5", true),
            ("channel:stage1", false),
            ("eigencam:stage5", true),
            ("gradcam++:stage5", false),
            ("gradcam++:head", true),
            ("gradcam++", true),
            ("rollout", false),
            ("gradcam", false),
            ("gradcam:stage5", false),
        ] {
            assert_eq!(network.choose_maps(&names(&[name])).is_ok(), ok, "{name}");
        }
        let refused = |name: &str| network.choose_maps(&names(&[name])).unwrap_err().to_string();
        assert!(refused("gradcam").ends_with("has layercam, eigencam, gradcam++"), "only names of its kind");
        assert!(refused("gradcam++:stage5").contains("follows at head alone;"));
        assert!(refused("layercam:stage4").contains("stage5, head"));
        assert!(refused("spatial:stage4").ends_with("has spatial:stage5"), "only names of its kind");
        assert!(refused("rollout").contains("two or more"));
        assert_eq!(network.choose_maps(&[]).unwrap(), [MapName::Fused]);
        let fused = holds(&["fused"]);
        assert!(fused.choose_maps(&names(&["patch@0,0"])).is_err());
        assert!(fused.choose_maps(&names(&["spatial"])).is_err());
    }

    #[test]
    fn a_class_needs_a_map_that_depends_on_it() {
        let network = holds(&[]);
        let maps = names(&["patch", "eigencam", "layercam:stage5"]);
        let choose = |class: &str, maps: &[MapName]| {
            let chosen = network.choose_class(&ClassChoice::Name(class.into()), &network.labels, maps);
            chosen.map_err(|error| error.to_string())
        };
        assert_eq!(choose("Blue", &maps), Ok(2));
        let error = choose("blue", &maps[..2]).unwrap_err();
        assert!(error.contains("patch, eigencam") && error.contains("gradcam"), "{error}");
        // The fused map is of a class, through its Grad-CAM.
        assert_eq!(choose("Blue", &names(&["fused"])), Ok(2));
        assert!(choose("yellow", &maps).unwrap_err().contains("yellow"));
        let silent = Description { numbers: 0, ..network.clone() };
        let error = silent.choose_class(&ClassChoice::Number(0), &[], &maps).unwrap_err().to_string();
        assert!(error.contains("no classifier"), "{error}");
    }

    #[test]
    fn the_usual_maps_follow_what_is_asked_for() {
        let with_usual = |held: &[&str], asked: &[&str]| holds(held).with_usual(&names(asked));
        assert_eq!(with_usual(&["fused", "object"], &["patch"]), names(&["patch", "fused", "gradcam"]));
        assert_eq!(with_usual(&["fused", "object"], &["gradcam", "fused"]), names(&["gradcam", "fused"]));
        assert_eq!(with_usual(&["gradcam"], &["object"]), names(&["object", "gradcam"]));
        assert_eq!(with_usual(&["spatial:stage5", "fused"], &["patch"]), names(&["patch"]));
    }

    #[test]
    fn one_name_is_enough_for_one_number() {
        let labels = |names: &[&str], numbers| {
            let names: Vec<String> = names.iter().map(ToString::to_string).collect();
            let network = Description { numbers, ..Description::default() };
            network.choose_labels(Some(&names)).map_err(|error| error.to_string())
        };
        assert_eq!(labels(&["crack"], 1).unwrap(), ["not crack", "crack"]);
        assert_eq!(labels(&["sound", "crack"], 1).unwrap(), ["sound", "crack"]);
        assert_eq!(labels(&["sound", "crack"], 2).unwrap(), ["sound", "crack"]);
        assert_eq!(labels(&["crack"], 2).unwrap_err(), "labels: 1 name, but the network has 2 classes");
        let json = labels(&["[\"a\", \"b\", \"c\"]"], 3).unwrap_err();
        assert_eq!(json, "labels: 1 name, but the network has 3 classes; it looks like JSON: write one name a line");
        assert!(Description { numbers: 3, ..Description::default() }.choose_labels(None).unwrap().is_empty());
    }
}
