//! Attention that was found in somebody's weights, as this crate configures it.

use super::StageAttention;
use crate::attention::{BamConfig, EcaConfig, SqueezeExciteConfig};
use crate::weights::{AttentionKind, SiteAttention};

impl From<SiteAttention> for StageAttention {
    fn from(SiteAttention { site, kind, .. }: SiteAttention) -> Self {
        let place = Self::at(site);
        match kind {
            AttentionKind::Cbam(config) => place.with_cbam(config),
            AttentionKind::Spatial(config) => place.with_spatial(config),
            AttentionKind::Bam { reduction } => place.with_bam(BamConfig::default().with_reduction(reduction)),
            AttentionKind::SqueezeExcite { reduction, bias } => {
                place.with_se(SqueezeExciteConfig::default().with_reduction(reduction).with_bias(bias))
            }
            AttentionKind::Eca { kernel_size } => place.with_eca(EcaConfig::default().with_kernel_size(kernel_size)),
        }
    }
}
