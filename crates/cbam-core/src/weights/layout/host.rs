//! Where in a file a network's names begin: whatever stands before them is a prefix.
//!
//! | family | found by | and then called |
//! |---|---|---|
//! | residual | four containers of numbered blocks with `conv1` and `conv2` under one parent, or each the first in a container of its own (`layer1.0.0.conv1`), and the convolution of a picture before them | torchvision's names |
//! | pytorchcv's residual | `features.init_block.conv.conv` | torchvision's names |
//! | EfficientNet-Lite | `_conv_stem`, or timm's `conv_stem` and `blocks.0.0.conv_dw` | `_conv_stem`, `_blocks.0`, … |
//! | `MobileNetV2` | `1.conv.0.0` | `features.1`, … |
//! | VGG | `features.0`, a 3×3 convolution of a picture | as it is |

use std::collections::{BTreeMap, BTreeSet};

use super::modules::{Modules, OUTSIDE};
use super::names::natural;
use super::residual::Whose;
use super::{pytorchcv, timm};
use crate::weights::StoredTensor;

/// Under what stands, in a stage's container, that is beside the container of its blocks and behind it.
pub(super) const BEHIND: &str = "behind";
/// How many networks of one file are looked for, and how many candidates for one are looked into.
const MAX_HOSTS: usize = 32;

/// Which kind of network it is, by its names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Family {
    /// A residual network.
    Residual(Whose),
    /// EfficientNet-Lite, and whether its names are timm's.
    EfficientNetLite { timm: bool },
    /// `MobileNetV2`.
    MobileNetV2,
    /// VGG.
    Vgg,
}

/// A network in a file.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) family: Family,
    /// What stands before its names, with the dot at its end.
    pub(super) prefix: String,
    /// Modules that have other names here, the longest first.
    renamed: Vec<(String, String)>,
}

type Tensors = BTreeMap<String, StoredTensor>;

/// Every network that a file's names show.
pub(super) fn find(tensors: &Tensors) -> Vec<Host> {
    let mut hosts = residual(tensors);
    let host = |family, prefix: &str, renamed| Host { family, prefix: prefix.to_owned(), renamed };
    for (name, tensor) in tensors {
        if hosts.len() >= MAX_HOSTS {
            break;
        }
        let of_picture = |sides: [i64; 2]| matches!(*tensor.shape(), [_, 1 | 3, a, b] if [a, b] == sides);
        if let Some(prefix) = before(name, "features.init_block.conv.conv.weight") {
            hosts.push(host(Family::Residual(Whose { pytorchcv: true, ..Whose::default() }), prefix, Vec::new()));
        } else if let Some(prefix) = before(name, "_conv_stem.weight") {
            hosts.push(host(Family::EfficientNetLite { timm: false }, prefix, Vec::new()));
        } else if let Some(prefix) = before(name, "conv_stem.weight")
            && tensors.contains_key(&format!("{prefix}blocks.0.0.conv_dw.weight"))
        {
            hosts.push(host(Family::EfficientNetLite { timm: true }, prefix, Vec::new()));
        } else if let Some(features) = before(name, "1.conv.0.0.weight") {
            let prefix = before(features, "features.").unwrap_or(features);
            let renamed = vec![(features.to_owned(), "features.".to_owned())];
            hosts.push(host(Family::MobileNetV2, prefix, renamed));
        } else if let Some(prefix) = before(name, "features.0.weight")
            && of_picture([3, 3])
            && !hosts.iter().any(|host| host.prefix == format!("{prefix}features."))
        {
            hosts.push(host(Family::Vgg, prefix, Vec::new()));
        }
    }
    hosts
}

/// What stands before `end`, which must begin a name.
fn before<'n>(name: &'n str, end: &str) -> Option<&'n str> {
    name.strip_suffix(end).filter(|prefix| prefix.is_empty() || prefix.ends_with('.'))
}

/// The parent of a name, with its dot, and the name in it.
fn parent(name: &str) -> (&str, &str) {
    name.rfind('.').map_or(("", name), |dot| name.split_at(dot + 1))
}

/// The containers of residual blocks.
#[derive(Default)]
struct Containers<'t> {
    /// By their parents and their names there: where their blocks are.
    by_parent: BTreeMap<&'t str, BTreeMap<&'t str, String>>,
    /// What stands before all names in them, with its dot.
    all: BTreeSet<&'t str>,
}

impl<'t> Containers<'t> {
    fn of(tensors: &'t Tensors) -> Self {
        let mut containers = Self::default();
        for name in tensors.keys() {
            let Some(block) = name.strip_suffix(".conv1.weight") else { continue };
            let (container, number) = parent(block);
            let numbered = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            if numbered && container.len() > 1 && tensors.contains_key(&format!("{block}.conv2.weight")) {
                let (parent, label) = parent(&container[..container.len() - 1]);
                containers.by_parent.entry(parent).or_default().insert(label, container.to_owned());
                containers.all.insert(container);
            }
        }
        // A stage wrapped into a Sequential with what stands behind it: its blocks are the first there.
        let alone = |(parent, inside): (&&'t str, &BTreeMap<&'t str, String>)| match inside.iter().next() {
            Some((&"0", blocks)) if inside.len() == 1 && parent.len() > 1 => Some((*parent, blocks.clone())),
            _ => None,
        };
        let wrapped: Vec<(&str, String)> = containers.by_parent.iter().filter_map(alone).collect();
        for (wrapper, blocks) in wrapped {
            containers.by_parent.remove(wrapper);
            let (parent, label) = parent(&wrapper[..wrapper.len() - 1]);
            containers.by_parent.entry(parent).or_default().insert(label, blocks);
            containers.all.insert(wrapper);
        }
        containers
    }

    /// Whether a name lies in any of them.
    fn hold(&self, name: &str) -> bool {
        name.match_indices('.').any(|(dot, _)| self.all.contains(&name[..=dot]))
    }
}

/// Residual networks: four containers of blocks each, and a stem before them.
fn residual(tensors: &Tensors) -> Vec<Host> {
    let containers = Containers::of(tensors);
    let fours = containers.by_parent.iter().filter(|(_, inside)| inside.len() == 4);
    let host = |(parent, inside): (&&str, &BTreeMap<&str, String>)| {
        let mut labels: Vec<(&str, &String)> = inside.iter().map(|(label, blocks)| (*label, blocks)).collect();
        labels.sort_by(|a, b| natural(a.0, b.0));
        let (first, blocks) = *labels.first()?;
        let size = tensors.get(&format!("{blocks}0.conv1.weight"))?.shape();
        let width = *size.get(1)?;
        let outside = |name: &str| !containers.hold(name);
        let (prefix, conv) = stem(tensors, parent, width, &outside)?;
        let norm = stem_norm(tensors, prefix, conv, width, &outside)?;
        let mut renamed: Vec<(String, String)> = Vec::new();
        for (stage, (label, blocks)) in labels.iter().enumerate() {
            let (stage, wrapper) = (stage + 1, format!("{parent}{label}."));
            renamed.push(((*blocks).clone(), format!("layer{stage}.")));
            if wrapper != **blocks {
                renamed.push((wrapper, format!("layer{stage}.{BEHIND}.")));
            }
        }
        renamed.push((format!("{conv}."), "conv1.".to_owned()));
        renamed.push((format!("{norm}."), "bn1.".to_owned()));
        // In a numbered Sequential, a ReLU and a pooling stand between the stem and the blocks, or a ReLU alone.
        let number = |name: &str| name.parse::<u32>().ok();
        let between =
            number(first).zip(number(norm.strip_prefix(prefix)?)).map(|(first, norm)| first.saturating_sub(norm));
        let caffe = conv.strip_prefix(prefix) == Some("layer0.conv1")
            && tensors.contains_key(&format!("{blocks}0.se_module.fc1.weight"));
        let whose = Whose { pytorchcv: false, unpooled: between == Some(2), caffe };
        Some(Host { family: Family::Residual(whose), prefix: prefix.to_owned(), renamed })
    };
    fours.take(MAX_HOSTS).filter_map(host).collect()
}

/// The convolution of a picture before blocks of `width` channels, under their parent or further out, and under what.
fn stem<'t>(
    tensors: &'t Tensors,
    parent_of_blocks: &'t str,
    width: i64,
    outside: &dyn Fn(&str) -> bool,
) -> Option<(&'t str, &'t str)> {
    let mut prefix = parent_of_blocks;
    loop {
        let of_picture = tensors.iter().filter(|(name, tensor)| {
            matches!(*tensor.shape(), [outputs, 1 | 3, a, b] if outputs == width && a == b && a > 1)
                && name.starts_with(prefix)
                && outside(name)
        });
        let mut names: Vec<&str> = of_picture.filter_map(|(name, _)| name.strip_suffix(".weight")).collect();
        names.sort_by(|a, b| natural(a, b));
        if let Some(conv) = names.first() {
            return Some((prefix, conv));
        }
        prefix = parent(prefix.strip_suffix('.')?).0;
    }
}

/// The BatchNorm behind the stem's convolution: the only one of as many channels outside of the blocks, or the one that is called
/// as the convolution is.
fn stem_norm<'t>(
    tensors: &'t Tensors,
    prefix: &str,
    conv: &str,
    width: i64,
    outside: &dyn Fn(&str) -> bool,
) -> Option<&'t str> {
    let norms: Vec<&str> = tensors
        .iter()
        .filter(|(name, tensor)| name.starts_with(prefix) && outside(name) && tensor.shape() == [width])
        .filter_map(|(name, _)| name.strip_suffix(".running_mean"))
        .collect();
    if let [only] = norms[..] {
        return Some(only);
    }
    let (path, label) = parent(conv);
    let next = label.parse::<u32>().ok().map(|number| format!("{path}{}", number + 1));
    let called = ["bn", "norm"].map(|word| format!("{path}{}", label.replace("conv", word)));
    let called = next.into_iter().chain(called);
    called.filter(|name| name != conv).find_map(|name| norms.iter().copied().find(|norm| *norm == name))
}

impl Host {
    /// The tensors by their names in the network.
    pub(super) fn modules(&self, tensors: &Tensors) -> Modules {
        Modules::new(tensors, |name| self.rename(name))
    }

    /// The name of a tensor in the network; one that lies outside begins with `/`.
    fn rename(&self, name: &str) -> String {
        let Some(inside) = name.strip_prefix(&self.prefix) else {
            return self.of_module(name).unwrap_or_else(|| format!("{OUTSIDE}{name}"));
        };
        match self.family {
            Family::Residual(Whose { pytorchcv: true, .. }) => pytorchcv::torchvision(inside),
            Family::EfficientNetLite { timm: true } => timm::published(inside),
            _ => self.of_module(name),
        }
        .unwrap_or_else(|| inside.to_owned())
    }

    fn of_module(&self, name: &str) -> Option<String> {
        // A `Sequential` of nothing but features has numbers alone.
        let numbered = name.starts_with(|c: char| c.is_ascii_digit());
        let module = self
            .renamed
            .iter()
            .find(|(theirs, _)| if theirs.is_empty() { numbered } else { name.starts_with(theirs.as_str()) });
        module.map(|(theirs, here)| format!("{here}{}", &name[theirs.len()..]))
    }
}
