//! The maps that can be made of what was found.

use super::{Found, FoundAttention, FoundGate, GateKind};
use crate::maps::{MapName, Method};

impl Found {
    /// The maps that can be made, the one that is shown by itself first.
    pub fn maps(&self) -> Vec<MapName> {
        let classes = self.classes.is_some();
        let mut maps = Vec::new();
        if self.has_fused() {
            maps.extend([MapName::Fused, MapName::Object]);
        } else if classes && self.default_place.is_some() {
            maps.push(MapName::explain(Method::GradCam));
        }
        let named = |kinds: &'static [GateKind], name: fn(Option<String>) -> MapName| {
            self.gates_of(kinds).map(move |gate| name(Some(gate.name.clone())))
        };
        maps.extend(named(&[GateKind::Spatial, GateKind::Full], MapName::Spatial));
        maps.extend(named(&[GateKind::Coordinate], MapName::Coordinate));
        let heads = |of: &FoundAttention| of.heads as usize;
        maps.extend(MapName::patches(self.attention_in_order().map(|of| (of.name.as_str(), heads(of)))));
        let looking = self.attention_in_order().filter(|of| of.class_token);
        maps.extend(MapName::class_tokens(looking.map(|of| (of.name.as_str(), heads(of)))));
        maps.extend((self.rolled().count() > 1).then_some(MapName::Rollout));
        let channel = self.gates_of(&[GateKind::Channel, GateKind::Full]);
        maps.extend(channel.map(|gate| MapName::Channel(gate.name.clone())));
        let can = |method: &Method| {
            let place = match method {
                method if method.needs_attention() => self.is_relevant(),
                method => !method.needs_stage() || self.default_place.is_some(),
            };
            place && (classes || !method.needs_class())
        };
        for method in Method::ALL.into_iter().filter(can).map(MapName::explain) {
            if !maps.contains(&method) {
                maps.push(method);
            }
        }
        if classes && self.ground.is_some() && !maps.contains(&MapName::Object) {
            maps.push(MapName::Object);
        }
        maps
    }

    /// The attentions: the one that stands for all first, which is the last of those on the finest grid, then the others in their
    /// order.
    pub fn attention_in_order(&self) -> impl Iterator<Item = &FoundAttention> {
        let main = self.main_attention();
        let all = move || self.attention.iter().enumerate();
        let others = all().filter(move |(place, _)| Some(*place) != main).map(|(_, of)| of);
        main.map(|main| &self.attention[main]).into_iter().chain(others)
    }

    /// The place of the attention that stands for all.
    pub fn main_attention(&self) -> Option<usize> {
        let patches = |of: &FoundAttention| of.grid[0] * of.grid[1];
        let all = self.attention.iter().enumerate();
        all.max_by_key(|(place, of)| (patches(of), *place)).map(|(place, _)| place)
    }

    /// The places of the attentions that rollout joins: those over the tokens of the one that stands for all.
    pub fn rolled(&self) -> impl Iterator<Item = usize> {
        let tokens = |of: &FoundAttention| (of.grid, of.before, of.after);
        let main = self.main_attention().map(|main| tokens(&self.attention[main]));
        let all = self.attention.iter().enumerate();
        all.filter(move |(_, of)| Some(tokens(of)) == main).map(|(place, _)| place)
    }

    /// Whether all its attentions are over the same tokens, of which it is known how they make the answer, so that
    /// [`Method::Relevance`] can join them.
    pub fn is_relevant(&self) -> bool {
        let all = self.attention.len();
        all > 0 && self.rolled().count() == all && self.left_out.is_empty() && !self.crossing && self.answering
    }

    fn gates_of(&self, kinds: &'static [GateKind]) -> impl Iterator<Item = &FoundGate> {
        self.gates.iter().filter(move |gate| kinds.contains(&gate.kind))
    }

    /// Whether there are a class activation, and attention for it to be laid over.
    pub fn has_fused(&self) -> bool {
        let gates = self.gates_of(&[GateKind::Spatial, GateKind::Full]).next().is_some();
        self.classes.is_some() && self.default_place.is_some() && (gates || !self.attention.is_empty())
    }
}
