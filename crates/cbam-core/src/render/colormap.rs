//! Colour maps: a number in `[0, 1]` to a colour.

use crate::text::named;

/// A colour map, by the name that matplotlib gives it (there, [`Grey`](Self::Grey) is `gray`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Colormap {
    /// A rainbow that is even in lightness (Mikhailov 2019).
    #[default]
    Turbo,
    /// Blue to green to yellow; perceptually uniform.
    Viridis,
    /// Black to red to yellow; perceptually uniform.
    Inferno,
    /// Black to purple to cream; perceptually uniform.
    Magma,
    /// Blue to pink to yellow; perceptually uniform.
    Plasma,
    /// Blue to yellow; made for colour-blind readers (Nuñez et al. 2018).
    Cividis,
    /// The old rainbow; its bands are not in the data.
    Jet,
    /// Black to white.
    Grey,
}

named! {
    Colormap as "colormap";
    Turbo => "turbo",
    Viridis => "viridis",
    Inferno => "inferno",
    Magma => "magma",
    Plasma => "plasma",
    Cividis => "cividis",
    Jet => "jet",
    Grey => "grey",
}

impl Colormap {
    /// The colour (red, green, blue) of `value`, which is clamped to `[0, 1]`; not-a-number counts as 0.
    pub fn color(self, value: f32) -> [u8; 3] {
        let value = if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) };
        let gradient =
            |gradient: colorous::Gradient| between(value, 256, |index| gradient.eval_rational(index, 256).into_array());
        let stops = |stops: &[u32]| {
            between(value, stops.len(), |index| {
                let [_, rgb @ ..] = stops[index].to_be_bytes();
                rgb
            })
        };
        match self {
            Self::Turbo => stops(&TURBO),
            Self::Cividis => stops(&CIVIDIS),
            Self::Viridis => gradient(colorous::VIRIDIS),
            Self::Inferno => gradient(colorous::INFERNO),
            Self::Magma => gradient(colorous::MAGMA),
            Self::Plasma => gradient(colorous::PLASMA),
            Self::Jet => jet(value),
            Self::Grey => [(value * 255.0).round() as u8; 3],
        }
    }

    /// `N` colours at equal steps from 0 to 1, for looking up.
    pub(super) fn table<const N: usize>(self) -> [[u8; 3]; N] {
        std::array::from_fn(|index| self.color(index as f32 / (N - 1) as f32))
    }
}

/// matplotlib's `jet`: a straight line between the stops `(position, intensity)` of each channel.
fn jet(value: f32) -> [u8; 3] {
    const RED: &[(f32, f32)] = &[(0.0, 0.0), (0.35, 0.0), (0.66, 1.0), (0.89, 1.0), (1.0, 0.5)];
    const GREEN: &[(f32, f32)] = &[(0.0, 0.0), (0.125, 0.0), (0.375, 1.0), (0.64, 1.0), (0.91, 0.0), (1.0, 0.0)];
    const BLUE: &[(f32, f32)] = &[(0.0, 0.5), (0.11, 1.0), (0.34, 1.0), (0.65, 0.0), (1.0, 0.0)];
    [RED, GREEN, BLUE].map(|stops| {
        let line = stops.windows(2).find(|line| value <= line[1].0);
        let [(x0, y0), (x1, y1)] = line.map_or([(0.0, 0.0), (1.0, 0.0)], |line| [line[0], line[1]]);
        ((y0 + (y1 - y0) * (value - x0) / (x1 - x0)) * 255.0).round() as u8
    })
}

/// A straight line between the colours on both sides of `value`, of `count` at equal steps.
fn between(value: f32, count: usize, colour: impl Fn(usize) -> [u8; 3]) -> [u8; 3] {
    let position = value * (count - 1) as f32;
    let index = (position as usize).min(count - 2);
    let [low, high] = [index, index + 1].map(|index| colour(index).map(f32::from));
    let part = position - index as f32;
    std::array::from_fn(|c| (low[c] + (high[c] - low[c]) * part).round() as u8)
}

/// Turbo (Anton Mikhailov, Google LLC; Apache-2.0) at 65 equal steps, `0xRRGGBB`: the lines between them are within 1 of
/// all its 256 colours. colorous has turbo as d3's polynomial, whose ends are off by 30 and more.
#[rustfmt::skip]
const TURBO: [u32; 65] = [
    0x30_123B, 0x35_1E58, 0x39_2A73, 0x3D_358B, 0x40_40A1, 0x42_4BB5, 0x44_56C7, 0x46_61D6, 0x46_6BE3, 0x47_75EE,
    0x46_7FF6, 0x45_89FC, 0x42_93FF, 0x3D_9DFE, 0x37_A7FA, 0x30_B1F4, 0x29_BBEC, 0x22_C4E3, 0x1D_CDD8, 0x19_D5CE,
    0x18_DCC3, 0x19_E3B9, 0x1E_E8B0, 0x26_EDA5, 0x31_F299, 0x3E_F68C, 0x4C_F97E, 0x5C_FB71, 0x6B_FD64, 0x7B_FE58,
    0x8A_FF4D, 0x97_FE43, 0xA3_FD3C, 0xAD_FA38, 0xB8_F735, 0xC2_F234, 0xCC_ED34, 0xD5_E635, 0xDE_E037, 0xE6_D838,
    0xED_D03A, 0xF3_C83A, 0xF8_C03A, 0xFB_B738, 0xFD_AE35, 0xFE_A331, 0xFE_982C, 0xFD_8C27, 0xFB_8022, 0xF9_741D,
    0xF5_6817, 0xF1_5D13, 0xEC_520F, 0xE6_490B, 0xE0_4009, 0xD9_3807, 0xD2_3105, 0xCA_2A04, 0xC0_2302, 0xB7_1D02,
    0xAC_1701, 0xA1_1101, 0x95_0D01, 0x88_0802, 0x7A_0403,
];

/// Cividis (Nuñez, Anderton and Renslow 2018), sampled from matplotlib's table (its licence is permissive) at 65 equal
/// steps, `0xRRGGBB`: the lines between them are within 3 of all its 256 colours. colorous has d3's polynomial, which is
/// off by 7 and more.
#[rustfmt::skip]
const CIVIDIS: [u32; 65] = [
    0x00_224E, 0x00_2554, 0x00_285B, 0x00_2B62, 0x00_2E6A, 0x00_3070, 0x04_3371, 0x11_3570, 0x1A_386F, 0x21_3B6E,
    0x27_3E6E, 0x2D_416D, 0x32_436D, 0x36_466C, 0x3B_496C, 0x3F_4C6C, 0x43_4E6C, 0x47_516C, 0x4B_546C, 0x4F_576C,
    0x52_596D, 0x56_5C6D, 0x5A_5F6E, 0x5D_626E, 0x61_656F, 0x64_6770, 0x68_6A71, 0x6B_6D72, 0x6F_7073, 0x72_7374,
    0x75_7676, 0x79_7877, 0x7C_7B78, 0x80_7E78, 0x84_8179, 0x87_8478, 0x8B_8778, 0x8F_8A78, 0x93_8D78, 0x97_9077,
    0x9B_9376, 0x9F_9676, 0xA3_9A75, 0xA7_9D74, 0xAB_A072, 0xAF_A371, 0xB3_A670, 0xB7_AA6E, 0xBB_AD6C, 0xBF_B06B,
    0xC3_B469, 0xC8_B766, 0xCC_BA64, 0xD0_BE61, 0xD4_C15F, 0xD9_C55C, 0xDD_C958, 0xE1_CC55, 0xE6_D051, 0xEA_D44C,
    0xEF_D748, 0xF4_DB42, 0xF8_DF3C, 0xFD_E334, 0xFE_E838,
];
