//! By AMX-BF16: tiles of 16×16 sums, to each of which 32 products are added at once.

use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, __get_cpuid_max, _mm512_load_ps};
use std::mem::MaybeUninit;

use super::avx512::{Finish, LANES};
use super::matrix::Part;
use crate::kernels::PANEL;
use crate::kernels::rows::Rows;

/// The positions, and the outputs, of a tile.
const SIDE: usize = 16;

/// The most positions whose sums are kept before they are finished: they stay in the first-level cache.
pub(super) const MOST: usize = 128;

/// Whether the processor has the unit and the system lets the process use it.
pub(super) fn is_there() -> bool {
    #[cfg(target_os = "linux")]
    {
        /// `AMX-BF16` and `AMX-TILE` in EDX of leaf 7.
        const BITS: u32 = 1 << 22 | 1 << 24;
        /// `ARCH_REQ_XCOMP_PERM`, of the tiles' contents (asm/prctl.h). Threads that begin later have it too.
        const REQUEST: [libc::c_long; 2] = [0x1023, 18];
        // SAFETY: the processor has these leaves. The call asks for a permission of the process, and touches no memory. (Since Rust 1.94 the
        // first two are safe.)
        #[allow(unused_unsafe)]
        unsafe {
            __get_cpuid_max(0).0 >= 7
                && __cpuid_count(7, 0).edx & BITS == BITS
                && libc::syscall(libc::SYS_arch_prctl, REQUEST[0], REQUEST[1]) == 0
        }
    }
    #[cfg(not(target_os = "linux"))]
    false
}

/// How the unit is set up, and what it reads: places as [`tiles`] takes them.
#[repr(C, align(64))]
struct Task {
    /// The form of eight tiles: 16 rows of 64 bytes.
    palette: [u8; 64],
    bias: *const f32,
    weight: *const u16,
    pieces: *const *const u16,
    pieces_end: *const *const u16,
    /// In how many steps of 32 inputs a piece is taken.
    steps: usize,
}

impl Task {
    const PALETTE: [u8; 64] = {
        let mut palette = [0; 64];
        palette[0] = 1;
        let mut tile = 0;
        while tile < 8 {
            palette[16 + 2 * tile] = 64;
            palette[48 + tile] = SIDE as u8;
            tile += 1;
        }
        palette
    };
}

/// Writes the sums of `$blocks` blocks of positions to `$sums`, `[positions, PANEL]`. All in one piece of assembly, as no compiler knows of
/// the unit: it is set up first, and empty again behind it.
macro_rules! tiles {
    ($task:expr, $blocks:expr, $apart:expr, $sums:expr; $block:literal, [$($begin:literal)*] [$($step:literal)*] [$($end:literal)*]) => {
        asm!(
            "ldtilecfg [{task}]",
            "xor {offset:e}, {offset:e}",
            "2:", // a block of positions; with a stride of 0 every row of a tile is the bias
            "xor {count:e}, {count:e}",
            "mov {a}, [{task} + 64]",
            $($begin,)*
            "mov {w}, [{task} + 72]",
            "mov {piece}, [{task} + 80]",
            "3:", // a piece
            "mov {a}, [{piece}]",
            "add {a}, {offset}",
            "mov {b}, {apart}",
            "shl {b}, 4",
            "add {b}, {a}",
            "mov {count}, [{task} + 96]",
            "4:", // 32 inputs
            "tileloadd tmm4, [{a} + {apart}*1]",
            "tileloadd tmm6, [{w} + {row}*1]",
            "tdpbf16ps tmm0, tmm4, tmm6",
            $($step,)*
            "add {a}, 64",
            "add {b}, 64",
            "add {w}, 2048",
            "dec {count}",
            "jnz 4b",
            "add {piece}, 8",
            "cmp {piece}, [{task} + 88]",
            "jne 3b",
            "tilestored [{sums} + {row}*1], tmm0",
            $($end,)*
            "mov {b}, {apart}",
            concat!("imul {b}, {b}, ", $block),
            "add {offset}, {b}",
            concat!("add {sums}, 128*", $block),
            "dec {blocks}",
            "jnz 2b",
            "tilerelease",
            task = in(reg) $task,
            apart = in(reg) $apart,
            row = in(reg) PANEL * size_of::<f32>(),
            sums = inout(reg) $sums => _,
            blocks = inout(reg) $blocks => _,
            offset = out(reg) _,
            count = out(reg) _,
            piece = out(reg) _,
            a = out(reg) _,
            b = out(reg) _,
            w = out(reg) _,
            out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
            out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
            options(nostack),
        )
    };
}

/// All positions.
///
/// # Safety
/// The fields must say what is there, and the unit must be there.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn compute(part: &Part) {
    let mut first = 0;
    while first < part.rows.count {
        let count = (part.rows.count - first).min(MOST);
        // SAFETY: the positions first..first + count are some of those there are.
        unsafe { compute_lines(&Part { rows: part.rows.block(first, count), ..*part }, [count, 0]) };
        first += count;
    }
}

/// Sums of positions.
#[repr(align(64))]
struct Sums([MaybeUninit<f32>; MOST * PANEL]);

/// At most [`MOST`] positions, in lines of so many, whose outputs are so far from one another.
///
/// # Safety
/// As [`compute`], and there must be that many positions and no more.
#[target_feature(enable = "avx512f")]
pub(super) unsafe fn compute_lines(part: &Part, [length, apart]: [usize; 2]) {
    debug_assert!(part.rows.count <= MOST && part.rows.count.is_multiple_of(length), "lines");
    let mut sums = Sums([MaybeUninit::uninit(); MOST * PANEL]);
    let to = sums.0.as_mut_ptr();
    // SAFETY: as many pieces as there are; of each, whole blocks of positions are read, which reach at most SLACK behind the last; of the
    // panel, what it has. Sums of whole blocks are written, of at most MOST positions, and those of positions that there are read.
    unsafe {
        let pieces = part.pieces();
        let all = pieces.as_ptr_range();
        let task = Task {
            palette: Task::PALETTE,
            bias: part.bias,
            weight: part.weight,
            pieces: all.start,
            pieces_end: all.start.add(part.rows.pieces * part.rows.across),
            steps: part.depth / (2 * SIDE),
        };
        let (task, step) = (&raw const task, part.rows.apart * size_of::<u16>());
        let [one, two] = [SIDE, 2 * SIDE].map(|block| part.rows.count.div_ceil(block));
        match (part.rows.count > SIDE, part.columns > SIDE) {
            (true, true) => tiles!(task, two, step, to; 32,
                ["tileloadd tmm0, [{a} + {count}*1]" "tileloadd tmm1, [{a} + {count}*1 + 64]"
                 "tileloadd tmm2, [{a} + {count}*1]" "tileloadd tmm3, [{a} + {count}*1 + 64]"]
                ["tileloadd tmm7, [{w} + {row}*1 + 64]" "tdpbf16ps tmm1, tmm4, tmm7"
                 "tileloadd tmm5, [{b} + {apart}*1]" "tdpbf16ps tmm2, tmm5, tmm6" "tdpbf16ps tmm3, tmm5, tmm7"]
                ["tilestored [{sums} + {row}*1 + 64], tmm1" "tilestored [{sums} + {row}*1 + 2048], tmm2"
                 "tilestored [{sums} + {row}*1 + 2112], tmm3"]),
            (true, false) => tiles!(task, two, step, to; 32,
                ["tileloadd tmm0, [{a} + {count}*1]" "tileloadd tmm2, [{a} + {count}*1]"]
                ["tileloadd tmm5, [{b} + {apart}*1]" "tdpbf16ps tmm2, tmm5, tmm6"]
                ["tilestored [{sums} + {row}*1 + 2048], tmm2"]),
            (false, true) => tiles!(task, one, step, to; 16,
                ["tileloadd tmm0, [{a} + {count}*1]" "tileloadd tmm1, [{a} + {count}*1 + 64]"]
                ["tileloadd tmm7, [{w} + {row}*1 + 64]" "tdpbf16ps tmm1, tmm4, tmm7"]
                ["tilestored [{sums} + {row}*1 + 64], tmm1"]),
            (false, false) => tiles!(task, one, step, to; 16, ["tileloadd tmm0, [{a} + {count}*1]"] [] []),
        }
        for line in 0..part.rows.count / length {
            let rows = Rows { ys: part.rows.ys.add(line * apart), ..part.rows };
            let (finish, from) = (Finish::of(part, rows), to.add(line * length * PANEL));
            for row in 0..length {
                for vector in 0..part.columns.div_ceil(LANES) {
                    finish.write(row, vector, _mm512_load_ps(from.add(row * PANEL + vector * LANES).cast()));
                }
            }
        }
    }
}
