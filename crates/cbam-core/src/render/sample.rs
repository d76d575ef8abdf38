//! The samples of a picture, 8 or 16 bit, and how a colour is mixed into them.
// What is not inlined into a dispatched task loses that task's instructions.
#![allow(clippy::inline_always)]

/// One sample of a picture.
pub(super) trait Sample: Copy + Send {
    /// White, over 255.
    const UNIT: f32;
    /// A share of the colour, from 0 to 1.
    type Share: Copy + Default;
    fn share(share: f32) -> Self::Share;
    /// Mixes so much of each colour, of 0 to 255, into its sample.
    fn mix(samples: &mut [Self], colours: &[u8], shares: &[Self::Share]);
    fn to_f32(self) -> f32;
    /// Rounds a number that fits.
    fn from_f32(value: f32) -> Self;
    /// The bytes of samples, in the machine's order.
    fn into_bytes(samples: Vec<Self>) -> Vec<u8>;
}

impl Sample for u8 {
    const UNIT: f32 = 1.0;
    /// Over 32,768.
    type Share = i16;
    #[inline(always)]
    fn share(share: f32) -> i16 {
        (share * 32_768.0 + 0.5).min(32_767.0) as i16
    }
    /// To a 64th of a step before it is rounded, in 16-bit numbers, of which processors take many at once.
    #[inline(always)]
    fn mix(samples: &mut [u8], colours: &[u8], shares: &[i16]) {
        for ((sample, colour), share) in samples.iter_mut().zip(colours).zip(shares) {
            let picture = i16::from(*sample);
            let away = (i16::from(*colour) - picture) << 7;
            let part = (i32::from(away) * i32::from(*share)) >> 16;
            *sample = (((picture << 6) + part as i16 + 32) >> 6) as u8;
        }
    }
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    fn from_f32(value: f32) -> Self {
        (value + 0.5) as Self
    }
    fn into_bytes(samples: Vec<u8>) -> Vec<u8> {
        samples
    }
}

impl Sample for u16 {
    const UNIT: f32 = 257.0;
    type Share = f32;
    #[inline(always)]
    fn share(share: f32) -> f32 {
        share
    }
    #[inline(always)]
    fn mix(samples: &mut [u16], colours: &[u8], shares: &[f32]) {
        for ((sample, colour), share) in samples.iter_mut().zip(colours).zip(shares) {
            let picture = f32::from(*sample);
            *sample = Self::from_f32(picture + (f32::from(*colour) * Self::UNIT - picture) * share);
        }
    }
    fn to_f32(self) -> f32 {
        f32::from(self)
    }
    fn from_f32(value: f32) -> Self {
        (value + 0.5) as Self
    }
    fn into_bytes(samples: Vec<u16>) -> Vec<u8> {
        bytemuck::cast_slice(&samples).to_vec()
    }
}
