//! Whether a configuration can be that of a file's tensors, found out before anything of it is built.
//!
//! A file of a kilobyte can claim a network of any size. Each number that decides how much is built is compared with the
//! tensor that it shapes, and the backbone with how much the file holds at all; numbers that shape no tensor have limits.
//! Building the network compares every tensor with its variable afterwards: here only
//! those matter that bound the rest.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{HEAD, NetworkConfig, STEM, StageAttention};
use crate::attention::PatchAttentionConfig;
use crate::backbone::Arch;
use crate::weights::StoredTensor;

/// The short sides that a network may ask for, in pixels.
const SHORT_SIDES: RangeInclusive<u32> = 32..=4096;
/// The dilations of BAM's convolutions, which leave no trace in a tensor: more cells than a map has sides.
const DILATIONS: RangeInclusive<i64> = 1..=128;
/// As many pools as there are kinds of them.
const MAX_POOLS: usize = 4;
/// The longest name of a place that a message repeats, in characters.
const LONGEST_NAME: usize = 60;

/// What a configuration is compared with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held<'a> {
    /// The tensors, in this crate's names: `backbone.…`, `attention.…`.
    pub(super) tensors: &'a BTreeMap<String, StoredTensor>,
    /// The classes of the backbone that is bundled, if it is that one, and not among the tensors.
    pub(super) bundled: Option<i64>,
}

impl Held<'_> {
    /// Says why the tensors cannot be those of this network; nothing of it is built for that.
    pub(super) fn fits(&self, config: &NetworkConfig) -> Result<(), String> {
        if !SHORT_SIDES.contains(&config.short_side) {
            let (least, most) = (SHORT_SIDES.start(), SHORT_SIDES.end());
            return Err(format!("short_side {}; it must be {least} to {most}", config.short_side));
        }
        config.check_temperature().map_err(|error| error.to_string())?;
        self.backbone(config)?;
        let places = places(config.arch);
        config.attention.iter().try_for_each(|attention| {
            let name: String = attention.stage.chars().take(LONGEST_NAME).collect();
            let Some((_, channels)) = places.iter().find(|place| place.0 == attention.stage) else {
                let names: Vec<&str> = places.iter().map(|place| place.0.as_str()).collect();
                return Err(format!("attention at {name:?}, which is none of {}", names.join(", ")));
            };
            self.attention(attention, *channels).map_err(|message| format!("attention at {name:?}: {message}"))
        })
    }

    fn backbone(&self, config: &NetworkConfig) -> Result<(), String> {
        let NetworkConfig { arch, classes, ref variant, .. } = *config;
        if let Some(bundled) = self.bundled {
            let same = classes == bundled && variant.is_usual();
            return same.then_some(()).ok_or_else(|| {
                format!("{classes} classes, or a variant; the bundled {arch} has {bundled} and is the usual one")
            });
        }
        let held: usize = self.tensors.values().map(StoredTensor::len).sum();
        let backbone = arch.least_values();
        let whole = backbone.saturating_add(arch.classifier_values(&variant.hidden, classes));
        for (part, needed) in [(format!("{arch}"), backbone), (format!("{arch} of {classes} classes"), whole)] {
            if needed > held as i128 {
                return Err(format!("{part} has {needed} weights at least, and the file holds {held}"));
            }
        }
        Ok(())
    }

    fn attention(&self, attention: &StageAttention, channels: i64) -> Result<(), String> {
        if !(attention.gain as f32).is_finite() {
            return Err(format!("gain {}; it must be a number that f32 holds", attention.gain));
        }
        let path = format!("attention.{}", attention.stage.replace('.', "_"));
        if let Some(cbam) = &attention.cbam {
            if cbam.channel.pools.len() > MAX_POOLS {
                return Err(format!("{} pools; there are {MAX_POOLS} kinds", cbam.channel.pools.len()));
            }
            self.squeeze(&format!("{path}.cbam.channel.fc1.weight"), channels, cbam.channel.reduction)?;
            if let Some(spatial) = &cbam.spatial {
                let side = spatial.kernel_size;
                self.shape(&format!("{path}.cbam.spatial.conv.weight"), &[1, 2, side, side])?;
            }
        }
        if let Some(spatial) = &attention.spatial {
            let side = spatial.kernel_size;
            self.shape(&format!("{path}.spatial.conv.weight"), &[1, 2, side, side])?;
        }
        if let Some(se) = &attention.se {
            self.squeeze(&format!("{path}.se.fc1.weight"), channels, se.reduction)?;
        }
        if let Some(size) = attention.eca.as_ref().and_then(|eca| eca.kernel_size) {
            self.shape(&format!("{path}.eca.conv.weight"), &[1, 1, size])?;
        }
        if let Some(bam) = &attention.bam {
            if !DILATIONS.contains(&bam.dilation) {
                let (least, most) = (DILATIONS.start(), DILATIONS.end());
                return Err(format!("dilation {}; it must be {least} to {most}", bam.dilation));
            }
            self.squeeze(&format!("{path}.bam.channel.fc1.weight"), channels, bam.reduction)?;
        }
        attention.patch.as_ref().map_or(Ok(()), |patch| self.patch(&format!("{path}.patch"), channels, patch))
    }

    fn patch(&self, path: &str, channels: i64, patch: &PatchAttentionConfig) -> Result<(), String> {
        let PatchAttentionConfig { patch_size, heads, head_dim } = *patch;
        let all = [("patch_size", patch_size), ("heads", heads), ("head_dim", head_dim)];
        if let Some((name, number)) = all.iter().find(|number| number.1 < 1) {
            return Err(format!("{name} {number}; it must be at least 1"));
        }
        let product = |numbers: &[i64]| numbers.iter().try_fold(1_i64, |product, number| product.checked_mul(*number));
        let too_large = || format!("patch_size {patch_size}, heads {heads}, head_dim {head_dim} are too large");
        let width = product(&[channels, patch_size, patch_size]).ok_or_else(too_large)?;
        let inner = product(&[heads, head_dim]).ok_or_else(too_large)?;
        self.shape(&format!("{path}.norm.weight"), &[width])?;
        self.shape(&format!("{path}.attention.q.weight"), &[inner, width])
    }

    /// The first layer of an MLP that reduces the channels.
    fn squeeze(&self, name: &str, channels: i64, reduction: i64) -> Result<(), String> {
        if reduction < 1 {
            return Err(format!("reduction {reduction}; it must be at least 1"));
        }
        self.shape(name, &[channels / reduction, channels])
    }

    /// That a tensor has the shape that the configuration gives it.
    fn shape(&self, name: &str, expected: &[i64]) -> Result<(), String> {
        match self.tensors.get(name).map(StoredTensor::shape) {
            Some(size) if size == expected => Ok(()),
            Some(size) => Err(format!("{name} should be {expected:?} by the configuration, and is {size:?}")),
            None => Err(format!("{name}, {expected:?} by the configuration, is missing")),
        }
    }
}

/// The places of a backbone by name, with their channels.
fn places(arch: Arch) -> Vec<(String, i64)> {
    let stages = arch.stages();
    let head = (HEAD.to_owned(), arch.head_channels());
    let stem = arch.stem_channels().map(|channels| (STEM.to_owned(), channels));
    let inside = stages.iter().flat_map(|stage| stage.inside.iter().map(|site| (site.name.clone(), site.channels)));
    let inside: Vec<_> = inside.collect();
    stages.into_iter().map(|stage| (stage.name, stage.channels)).chain(inside).chain([head]).chain(stem).collect()
}
