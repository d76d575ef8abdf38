//! Maps by name, from what a run of the network says.

use ndarray::{Array1, Array2, Array3, Axis};

use super::{
    AttentionMap, Explanation, MapName, MapRange, PatchReadout, Readout, attended, fuse, gated, likeness, object,
};
use crate::maps::Method;
use crate::{Error, Result, photo::Geometry};

const NO_PATCH: &str = "the network has no patch self-attention";
/// Why a network has no attention rollout.
pub(crate) const NO_ROLLOUT: &str =
    "rolls several patch self-attentions into one, and this network does not have two or more of them";

impl Readout {
    /// The map called `name`, on its native grid, unscaled.
    ///
    /// # Errors
    /// [`Error::Argument`] if the network has no such gate or head, if `patch@X,Y` is outside the picture or its row
    /// was not asked for, or if the name is no map: `channel:STAGE` is a vector
    /// ([`channel`](Self::channel)).
    pub fn map(&self, name: &MapName, geometry: &Geometry) -> Result<AttentionMap> {
        match name {
            MapName::Fused => {
                if self.patches.is_empty() {
                    self.gate(name, None)?; // there is one
                }
                AttentionMap::new(fuse(&self.looked_at(name)?, self.likeness.as_ref()), MapRange::Positive)
            }
            MapName::Object => {
                AttentionMap::new(object(&self.looked_at(name)?, self.likeness.as_ref()), MapRange::Unit)
            }
            MapName::Spatial(stage) => AttentionMap::new(self.gate(name, stage.as_deref())?.clone(), MapRange::Unit),
            MapName::Coordinate(stage) => {
                let gates =
                    || self.gates.iter().filter_map(|gate| Some((gate.stage.as_str(), gate.coordinate.as_ref()?)));
                let found = gates().rfind(|(of, _)| stage.as_deref().is_none_or(|stage| stage == *of));
                let stages = || gates().map(|(stage, _)| stage).collect::<Vec<_>>();
                let wrong = || Error::argument(name, format!("stages with coordinate attention: {}", list(&stages())));
                AttentionMap::new(found.ok_or_else(wrong)?.1.clone(), MapRange::Unit)
            }
            MapName::ClassToken { stage, head } => {
                let patch = self.patch(name, stage.as_deref())?;
                let looks = patch.class_token.as_ref();
                let looks =
                    looks.ok_or_else(|| Error::argument(name, format!("{} has no class token", patch.stage)))?;
                AttentionMap::new(of_head(name, patch, looks, *head)?, MapRange::Relative)
            }
            MapName::Patch { stage, head: None } => {
                AttentionMap::new(self.patch(name, stage.as_deref())?.mean(), MapRange::Relative)
            }
            MapName::Patch { stage, head: Some(head) } => {
                let patch = self.patch(name, stage.as_deref())?;
                AttentionMap::new(of_head(name, patch, &patch.received, Some(*head))?, MapRange::Relative)
            }
            MapName::PatchAt(..) => {
                // A point has one query; rows are found by it, as it was asked for.
                let query = name.query(geometry)?;
                let row = self.patch(name, None)?.rows.iter().find(|row| Some(row.query) == query);
                let row = row.ok_or_else(|| Error::argument(name, "this point was not asked of the network"))?;
                let map = AttentionMap::new(row.weights.clone(), MapRange::Relative)?;
                let [column, row] = map.grid().pixel(row.query);
                Ok(map.seen_from([row as usize, column as usize]))
            }
            MapName::Channel(_) => {
                Err(Error::argument(name, "a channel gate is a vector, one value per channel, and not a map"))
            }
            MapName::Rollout => {
                let rollout = self.rollout.as_ref();
                let rollout = rollout.ok_or_else(|| Error::argument(name, NO_ROLLOUT))?;
                AttentionMap::new(rollout.clone(), MapRange::Relative)
            }
            MapName::Output { index, channel } => {
                let output = self.outputs.iter().find(|output| output.index == *index);
                let output = output.ok_or_else(|| Error::argument(name, "this run gave out no such map"))?;
                let map = match channel {
                    None => output.maps.mean_axis(Axis(0)),
                    Some(channel) => output.maps.outer_iter().nth(*channel).map(|map| map.to_owned()),
                };
                let channels = output.maps.len_of(Axis(0));
                let map = map.ok_or_else(|| Error::argument(name, format!("this output has {channels} channels")))?;
                AttentionMap::new(map, MapRange::Positive)
            }
            MapName::Explain { method, stage } => {
                AttentionMap::new(self.explanation(name, *method, stage.as_deref())?.clone(), MapRange::Positive)
            }
        }
    }

    /// What is looked at, as far as it speaks for the class that is explained.
    fn looked_at(&self, name: &MapName) -> Result<Array2<f32>> {
        let class_activation = self.explanation(name, Method::GradCam, None)?;
        let patches: Vec<_> = self.patches.iter().map(PatchReadout::mean).collect();
        let gates: Vec<_> = self.gates.iter().filter_map(|gate| gate.spatial.as_ref()).collect();
        Ok(match (&patches[..], &gates[..]) {
            ([], []) => class_activation.clone(),
            ([], gates) => gated(gates, class_activation),
            (patches, _) => attended(patches, class_activation),
        })
    }

    /// Makes [`likeness`](Self::likeness) out of its ground, if there is one and the class activation is there, and it is not made yet.
    pub fn settle_likeness(&mut self) {
        if let (None, Some(ground)) = (&self.likeness, &self.ground)
            && let Ok(map) = self.looked_at(&MapName::Object)
        {
            self.likeness = Some(likeness(&map, ground));
        }
    }

    /// The names of every map that this readout holds, in the order of the network; `fused` first.
    pub fn map_names(&self) -> Vec<MapName> {
        let stages = self.gates.iter().filter(|gate| gate.spatial.is_some());
        let spatial: Vec<_> = stages.map(|gate| MapName::Spatial(Some(gate.stage.clone()))).collect();
        let heads = self.patches.iter().map(|patch| (patch.stage.as_str(), patch.received.len_of(Axis(0))));
        let patch = MapName::patches(heads);
        let class_activation = self.explanation(&MapName::Fused, Method::GradCam, None).is_ok();
        let attention = !spatial.is_empty() || !self.patches.is_empty();
        let fused = (attention && class_activation).then_some(MapName::Fused);
        let object = (class_activation && (attention || self.likeness.is_some())).then_some(MapName::Object);
        let coordinate = self.gates.iter().filter(|gate| gate.coordinate.is_some());
        let coordinate = coordinate.map(|gate| MapName::Coordinate(Some(gate.stage.clone())));
        let looking = self
            .patches
            .iter()
            .filter_map(|patch| Some((patch.stage.as_str(), patch.class_token.as_ref()?.len_of(Axis(0)))));
        let looking = MapName::class_tokens(looking);
        let rollout = self.rollout.as_ref().map(|_| MapName::Rollout);
        let outputs = self.outputs.iter();
        let outputs = outputs.flat_map(|output| MapName::outputs(output.index, output.maps.len_of(Axis(0))));
        let explained = self.explanations.iter();
        let explained = explained.map(|made| MapName::Explain { method: made.method, stage: made.stage.clone() });
        fused
            .into_iter()
            .chain(object)
            .chain(spatial)
            .chain(coordinate)
            .chain(patch)
            .chain(looking)
            .chain(rollout)
            .chain(outputs)
            .chain(explained)
            .collect()
    }

    /// Adds an explanation, in the place of one of the same method at the same stage.
    pub fn explained(&mut self, new: Explanation) {
        self.explanations.retain(|old| (old.method, &old.stage) != (new.method, &new.stage));
        self.explanations.push(new);
    }

    /// The channel gate of a stage, `[C]`, each in `[0, 1]`.
    ///
    /// # Errors
    /// [`Error::Argument`] if the stage has no channel gate.
    pub fn channel(&self, stage: &str) -> Result<&Array1<f32>> {
        let gates = || self.gates.iter().filter(|gate| !gate.channel.is_empty());
        let gate = gates().find(|gate| gate.stage == stage);
        gate.map(|gate| &gate.channel).ok_or_else(|| {
            let stages: Vec<_> = gates().map(|gate| gate.stage.as_str()).collect();
            Error::argument(
                MapName::Channel(stage.to_owned()),
                format!("stages with a channel gate: {}", list(&stages)),
            )
        })
    }

    /// The explanation of a method at a stage, which the map `name` needs.
    fn explanation(&self, name: &MapName, method: Method, stage: Option<&str>) -> Result<&Array2<f32>> {
        let made = self.explanations.iter().find(|made| made.method == method && made.stage.as_deref() == stage);
        made.map(|made| &made.map).ok_or_else(|| {
            let needed = MapName::Explain { method, stage: stage.map(str::to_owned) };
            Error::argument(name, format!("this run made no {needed}"))
        })
    }

    /// A stage's spatial gate, `[H, W]`; the last one's if `stage` is none.
    fn gate(&self, name: &MapName, stage: Option<&str>) -> Result<&Array2<f32>> {
        let gates = || self.gates.iter().filter_map(|gate| Some((gate.stage.as_str(), gate.spatial.as_ref()?)));
        let found = gates().rfind(|(of, _)| stage.is_none_or(|stage| stage == *of));
        found.map(|(_, gate)| gate).ok_or_else(|| {
            let stages: Vec<_> = gates().map(|(stage, _)| stage).collect();
            Error::argument(name, format!("stages with a spatial gate: {}", list(&stages)))
        })
    }

    /// The patch self-attention of a stage; the first, whose grid is the finest, if `stage` is none.
    fn patch(&self, name: &MapName, stage: Option<&str>) -> Result<&PatchReadout> {
        let found = self.patches.iter().find(|patch| stage.is_none_or(|stage| stage == patch.stage));
        found.ok_or_else(|| {
            let stages: Vec<_> = self.patches.iter().map(|patch| patch.stage.as_str()).collect();
            match stages[..] {
                [] => Error::argument(name, NO_PATCH),
                _ => Error::argument(name, format!("stages with a patch self-attention: {}", list(&stages))),
            }
        })
    }
}

impl PatchReadout {
    /// Attention received, the mean over heads, `[rows, columns]`; uniform attention is 1.
    pub fn mean(&self) -> Array2<f32> {
        let (_, rows, columns) = self.received.dim();
        self.received.mean_axis(Axis(0)).unwrap_or_else(|| Array2::zeros((rows, columns)))
    }
}

/// One head's map, `[rows, columns]`, or the mean over heads.
fn of_head(name: &MapName, of: &PatchReadout, maps: &Array3<f32>, head: Option<usize>) -> Result<Array2<f32>> {
    let heads = maps.len_of(Axis(0));
    match head {
        None => Ok(maps.mean_axis(Axis(0)).unwrap_or_default()),
        Some(head) if head < heads => Ok(maps.index_axis(Axis(0), head).to_owned()),
        Some(_) => {
            let message = format!("{} has heads 0 to {}", of.stage, heads.saturating_sub(1));
            Err(Error::argument(name, message))
        }
    }
}

fn list(stages: &[&str]) -> String {
    if stages.is_empty() { "none".to_owned() } else { stages.join(", ") }
}
