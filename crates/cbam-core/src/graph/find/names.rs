//! What gates and attention are called: by the module of the user's network that they stand in.

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

/// The path of the innermost module that is more than a step.
pub(super) fn of(node: &Node) -> String {
    let attention = |class: &str| class.ends_with("MultiheadAttention");
    let whole = node
        .modules
        .iter()
        .rev()
        .find(|module| attention(&module.class) || !STEPS.iter().any(|step| module.class.starts_with(step)));
    match whole.map(|module| module.path.as_str()) {
        None | Some("") => TOP.to_owned(),
        Some(path) => path.to_owned(),
    }
}

/// A name that no other has: with `#2` behind it if it is the second.
pub(super) fn unique(name: String, taken: &[&str]) -> String {
    if !taken.contains(&name.as_str()) {
        return name;
    }
    let numbered = (2..).map(|number| format!("{name}#{number}"));
    numbered.into_iter().find(|name| !taken.contains(&name.as_str())).unwrap_or(name)
}
