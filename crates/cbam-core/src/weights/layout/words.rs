//! What the names of modules say of them, where shapes do not.

use super::names::words;

/// Words that modules of attention are called, whole or as part of a word.
const ATTENTION: [&str; 5] = ["cbam", "attn", "atten", "squeeze", "excit"];
/// And whole words alone: others hold them by chance (`aggregate`, `cascade`).
const ATTENTION_WORDS: [&str; 20] = [
    "se", "ca", "sa", "eca", "att", "cam", "sam", "ge", "sk", "scse", "sse", "cse", "bam", "gate", "gates", "gating",
    "senet", "selayer", "ecanet", "ecalayer",
];
/// What squeeze-and-excitation is called.
const EXCITES: [&str; 2] = ["squeeze", "excit"];
const EXCITE_WORDS: [&str; 5] = ["se", "cse", "senet", "selayer", "seblock"];
/// What the channel gate of CBAM is called.
const CHANNEL: [&str; 3] = ["cbam", "channel", "shared"];
const CHANNEL_WORDS: [&str; 3] = ["ca", "cam", "ch"];
/// What words begin with that call modules which serve training alone, or make no class scores.
const TRAINING: [&str; 11] =
    ["loss", "criterion", "queue", "proj", "predict", "prototype", "momentum", "metric", "center", "centre", "memory"];
/// And tensors that weigh classes in a loss.
const TRAINING_WEIGHTS: [&str; 2] = ["class_weight", "pos_weight"];
/// What the numbers are called that pictures are normalised by.
const MEAN: [&str; 1] = ["mean"];
const DEVIATION: [&str; 3] = ["std", "stdev", "deviation"];
/// What single numbers are called that a network pools or scales by.
const SCALE_WORDS: [&str; 10] =
    ["p", "pool", "gem", "scale", "scaling", "gamma", "alpha", "beta", "temperature", "tau"];

fn says(name: &str, parts: &[&str], whole: &[&str]) -> bool {
    words(name).iter().any(|word| parts.iter().any(|part| word.contains(part)) || whole.contains(&word.as_str()))
}

/// Whether a module is called attention.
pub(super) fn named_attention(name: &str) -> bool {
    says(name, &ATTENTION, &ATTENTION_WORDS)
}

/// Whether a tensor of this name and shape is likely one of attention's.
pub(super) fn looks_like_attention(name: &str, shape: Option<&[i64]>) -> bool {
    let (path, last) = name.rsplit_once('.').unwrap_or(("", name));
    let by_shape = match shape {
        Some(&[1, 2, rows, columns]) => rows == columns && rows > 1,
        Some(&[1, 1, _]) => last == "weight",
        _ => false,
    };
    by_shape || named_attention(if matches!(last, "weight" | "bias") { path } else { name })
}

/// Whether a channel gate is called squeeze-and-excitation.
pub(super) fn named_squeeze(name: &str) -> bool {
    says(name, &EXCITES, &EXCITE_WORDS)
}

/// Whether a channel gate is called as CBAM's.
pub(super) fn named_channel(name: &str) -> bool {
    says(name, &CHANNEL, &CHANNEL_WORDS)
}

/// Whether a module is called as what serves training alone, or makes no class scores.
pub(super) fn serves_training(name: &str) -> bool {
    let begins = |word: &String| TRAINING.iter().any(|part| word.starts_with(part)) || word.ends_with("loss");
    let lower = name.to_lowercase();
    words(name).iter().any(begins) || TRAINING_WEIGHTS.iter().any(|weight| lower.contains(weight))
}

/// Whether numbers are called as the mean, or else the deviation, that pictures are normalised by.
pub(super) fn normalises(name: &str) -> Option<Normalises> {
    let words = words(name);
    let last = words.last().filter(|_| words.iter().all(|word| word != "running"))?;
    if MEAN.contains(&last.as_str()) {
        Some(Normalises::Mean)
    } else {
        DEVIATION.contains(&last.as_str()).then_some(Normalises::Deviation)
    }
}

/// What pictures are normalised by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Normalises {
    Mean,
    Deviation,
}

/// Whether a single number is called as one that a network pools or scales by.
pub(super) fn scales(name: &str) -> bool {
    says(name, &[], &SCALE_WORDS)
}

/// What a module's name says beside that it is attention: `stem` of `ca_stem`, nothing of `channel_attention`.
pub(super) fn beside_attention(name: &str) -> String {
    const PARTS: [&str; 12] = [
        "channel",
        "spatial",
        "attention",
        "attentions",
        "module",
        "modules",
        "layer",
        "block",
        "ch",
        "sp",
        "mlp",
        "conv",
    ];
    let said = words(name).into_iter().filter(|word| {
        let number = word.bytes().all(|byte| byte.is_ascii_digit());
        !number && !named_attention(word) && !PARTS.contains(&word.as_str())
    });
    said.collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attention_is_told_by_whole_words() {
        for name in [
            "layer1.0.se.fc1",
            "SpatialGate.conv",
            "cbam3",
            "ca_stem",
            "attention1",
            "channel_attn",
            "SELayer",
            "sp_gate",
        ] {
            assert!(named_attention(name), "{name}");
        }
        for name in ["aggregate_fc", "navigate.fc", "cascade", "base", "scale", "embedding.propagate", "layer1.0.conv1"]
        {
            assert!(!named_attention(name), "{name}");
        }
    }

    #[test]
    fn a_name_says_where_attention_stands() {
        for (name, said) in [
            ("ca_stem", "stem"),
            ("stem_sa", "stem"),
            ("cbam_first", "first"),
            ("channel_attention", ""),
            ("SpatialGate", ""),
            ("ca1", ""),
            ("attentions", ""),
        ] {
            assert_eq!(beside_attention(name), said, "{name}");
        }
    }

    #[test]
    fn what_serves_training_alone_is_told_by_its_name() {
        assert!(
            ["criterion.pos_weight", "memory.queue", "MetricLoss.w", "class_weights", "projection_head", "celoss"]
                .into_iter()
                .all(serves_training)
        );
        assert!(
            !["norm.weight", "lstm.weight_ih_l0", "neck.conv", "symmetric_pool", "epicenter"]
                .into_iter()
                .any(serves_training)
        );
        assert!(scales("pool.p") && scales("logit_scale") && !scales("best_acc"));
        assert_eq!(normalises("module.pixel_mean"), Some(Normalises::Mean));
        assert_eq!(normalises("normalize.std"), Some(Normalises::Deviation));
        assert!(["bn.running_mean", "mean_iou", "meaning"].into_iter().all(|name| normalises(name).is_none()));
    }
}
