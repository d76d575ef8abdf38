//! Operations that only give on what they take: one table, for who shares elements with whom and for what can be followed.

use super::program::Node;

/// How an operation gives on the first tensor that it takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carries {
    /// In another shape, order or type.
    On,
    /// Times or plus a number.
    Changed,
    /// Repeated, or at another resolution.
    Spread,
}

/// An operation by its bare name: how it gives on, and whether its result may be the very elements that it takes.
const TABLE: [(&str, Carries, bool); 52] = [
    ("_to_copy", Carries::On, true),
    ("_unsafe_view", Carries::On, true),
    ("_upsample_bicubic2d_aa", Carries::Spread, false),
    ("_upsample_bilinear2d_aa", Carries::Spread, false),
    ("_upsample_nearest_exact2d", Carries::Spread, false),
    ("alias", Carries::On, true),
    ("broadcast_to", Carries::Spread, true),
    ("chunk", Carries::On, true),
    ("clone", Carries::On, false),
    ("contiguous", Carries::On, true),
    ("copy", Carries::On, false),
    ("detach", Carries::On, true),
    ("diagonal", Carries::On, true),
    ("dropout", Carries::On, true),
    ("expand", Carries::Spread, true),
    ("expand_as", Carries::Spread, true),
    ("feature_dropout", Carries::On, true),
    ("flatten", Carries::On, true),
    ("lift_fresh_copy", Carries::On, false),
    ("movedim", Carries::On, true),
    ("narrow", Carries::On, true),
    ("native_dropout", Carries::On, true),
    ("numpy_T", Carries::On, true),
    ("permute", Carries::On, true),
    ("repeat", Carries::Spread, false),
    ("repeat_interleave", Carries::Spread, false),
    ("reshape", Carries::On, true),
    ("reshape_as", Carries::On, true),
    ("select", Carries::On, true),
    ("slice", Carries::On, true),
    ("split", Carries::On, true),
    ("split_with_sizes", Carries::On, true),
    ("squeeze", Carries::On, true),
    ("swapaxes", Carries::On, true),
    ("swapdims", Carries::On, true),
    ("t", Carries::On, true),
    ("tensor_split", Carries::On, true),
    ("tile", Carries::Spread, false),
    ("to", Carries::On, true),
    ("transpose", Carries::On, true),
    ("type_as", Carries::On, true),
    ("unbind", Carries::On, true),
    ("unflatten", Carries::On, true),
    ("unfold", Carries::On, true),
    ("unsqueeze", Carries::On, true),
    ("upsample_bicubic2d", Carries::Spread, false),
    ("upsample_bilinear2d", Carries::Spread, false),
    ("upsample_nearest2d", Carries::Spread, false),
    ("view", Carries::On, true),
    ("view_as", Carries::On, true),
    ("alpha_dropout", Carries::On, true),
    ("feature_alpha_dropout", Carries::On, true),
];

/// The bare names of operations that give on what they take, in another shape, order or type.
pub fn carried() -> impl Iterator<Item = &'static str> {
    TABLE.iter().filter(|(_, how, _)| *how == Carries::On).map(|(name, ..)| *name)
}

impl Node {
    /// The operator's bare name: `conv2d` of `aten.conv2d.default`; of one in place, without its underscore.
    pub(super) fn bare(&self) -> &str {
        let kind = self.kind();
        let kind = kind.strip_prefix("aten.").unwrap_or(kind);
        kind.strip_suffix('_').unwrap_or(kind)
    }

    /// How it gives on the first tensor that it takes, if it does nothing else with it.
    pub(super) fn carries(&self) -> Option<Carries> {
        let name = self.bare();
        if let Some((_, how, _)) = TABLE.iter().find(|row| row.0 == name) {
            return Some(*how);
        }
        let with_number = matches!(name, "add" | "mul" | "div" | "sub" | "rsub") && self.takes().count() == 1;
        with_number.then_some(Carries::Changed)
    }

    /// Whether its results may be the very elements of the first tensor that it takes.
    pub(super) fn shares(&self) -> bool {
        self.writes() || TABLE.iter().any(|(name, _, shares)| *shares && *name == self.bare())
    }
}
