//! What gates and attention are called: by the module of the user's network that they stand in.

use std::collections::HashMap;

use super::super::program::Node;

/// What stands for the network itself.
pub(super) const TOP: &str = "forward";

/// Modules that are one step of another, whose name says more.
const STEPS: [&str; 4] = [
    "torch.nn.modules.activation.",
    "torch.nn.modules.container.Sequential",
    "torch.nn.modules.linear.Identity",
    "torch.nn.modules.dropout.",
];

/// The path of the innermost module that is more than a step; if that is the network itself, of the innermost that is no activation.
pub(super) fn of(node: &Node) -> String {
    let is = |class: &str, steps: &[&str]| steps.iter().any(|step| class.starts_with(step));
    let attention = |class: &str| class.ends_with("MultiheadAttention");
    let innermost = |steps: &[&str]| {
        let mut modules = node.modules.iter().rev();
        let whole = modules.find(|module| attention(&module.class) || !is(&module.class, steps));
        whole.map(|module| module.path.clone()).filter(|path| !path.is_empty())
    };
    innermost(&STEPS).or_else(|| innermost(&STEPS[..1])).unwrap_or_else(|| TOP.to_owned())
}

/// Names that are taken, and how often.
#[derive(Debug, Default)]
pub(super) struct Names(HashMap<String, usize>);

impl Names {
    /// A name under which none of these kinds of maps is there yet.
    pub(super) fn unique_of(&mut self, maps: &[&str], name: String) -> String {
        let of = |map: &&str| format!("{map}:{name}");
        let count = 1 + maps.iter().map(|map| self.0.get(&of(map)).copied().unwrap_or(0)).max().unwrap_or(0);
        for map in maps {
            self.0.insert(of(map), count);
        }
        if count == 1 { name } else { format!("{name}#{count}") }
    }

    /// A name that no other has: with `#2` behind it if it is the second.
    pub(super) fn unique(&mut self, name: String) -> String {
        let count = self.0.entry(name.clone()).or_insert(0);
        *count += 1;
        if *count == 1 { name } else { format!("{name}#{count}") }
    }
}
