//! BAM, the Bottleneck Attention Module (Park et al. 2018): one gate for every channel at every position, from a branch
//! that looks at the channels and one that looks at the positions.
//!
//! `F' = F ⊗ (1 + M)`, `M = σ(M_c ⊗ M_s)` as the official code has it, or `M = σ(M_c + M_s)` as the paper writes (eqs. 1–2).
//! `M_c = fc₂(ReLU(BN(fc₁(AvgPool(F)))))` is a value per channel; `M_s`, a value per position, is a 1×1 convolution to C/r
//! channels, two dilated 3×3 convolutions, each with BatchNorm and ReLU, and a 1×1 convolution to one channel. It stands
//! after a stage, where the resolution is about to halve.

use serde::{Deserialize, Serialize};

/// How the two branches of a `Bam` are joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BamForm {
    /// Their product, as in the official code.
    #[default]
    Product,
    /// Their sum, as in the paper.
    Sum,
}

/// How a `Bam` is built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct BamConfig {
    /// The reduction r: both branches have C / r hidden channels, rounded down. Default: 16.
    pub reduction: i64,
    /// The dilation of the 3×3 convolutions. Default: 4.
    pub dilation: i64,
    /// How the branches are joined. Default: the product.
    pub form: BamForm,
}

impl Default for BamConfig {
    fn default() -> Self {
        Self { reduction: 16, dilation: 4, form: BamForm::default() }
    }
}

impl BamConfig {
    /// With this reduction.
    pub fn with_reduction(mut self, reduction: i64) -> Self {
        self.reduction = reduction;
        self
    }

    /// With 3×3 convolutions of this dilation.
    pub fn with_dilation(mut self, dilation: i64) -> Self {
        self.dilation = dilation;
        self
    }

    /// With the branches joined so.
    pub fn with_form(mut self, form: BamForm) -> Self {
        self.form = form;
        self
    }
}
