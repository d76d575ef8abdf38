//! Deflate (RFC 1951) for filtered pixels: Huffman codes made for each block, and runs of zeros; no other matches.
//!
//! What a filter leaves of a photo is noise around zero, in which matches are rare and short: looking for them takes most of
//! a general compressor's time and saves a few per cent. What is left to gain lies in the codes. fdeflate, which the
//! `png` crate takes for its fast setting, goes the same way with one table for all pictures; a table for each block is
//! no slower, and its files are smaller, by a quarter where a photo is soft.

/// The longest code, in bits: four of them fit a word with room to spare.
const LONGEST: usize = 12;
/// Literals, the end of the block, and lengths.
const SYMBOLS: usize = 286;
const END: usize = 256;

/// Adds a block of `bytes` to `out`, which must end at a byte's border, as it does again afterwards. The `last` block ends
/// the stream; the others end with an empty stored block, as zlib's sync flush does.
pub(super) fn block(bytes: &[u8], last: bool, out: &mut Vec<u8>) {
    let mut count = Count([[0; SYMBOLS]; 4]);
    read(bytes, &mut count);
    let mut frequencies: [u32; SYMBOLS] = std::array::from_fn(|symbol| count.0.iter().map(|count| count[symbol]).sum());
    frequencies[END] = 1;
    let lengths = code_lengths(&frequencies, LONGEST);
    let codes = codes(&lengths);

    let mut bits = Bits::new(out);
    bits.put(u64::from(last) | 0b10 << 1, 3); // dynamic codes
    put_lengths(&lengths, &mut bits);
    read(bytes, &mut Code { bits: &mut bits, codes: &codes });
    bits.put_code(codes[END]);
    if !last {
        bits.put(0, 3);
    }
    bits.finish();
    if !last {
        out.extend_from_slice(&[0, 0, 0xFF, 0xFF]);
    }
}

/// The lengths of the codes, in codes of their own.
fn put_lengths(lengths: &[u8; SYMBOLS], bits: &mut Bits<'_>) {
    const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
    let used = lengths.iter().rposition(|length| *length > 0).map_or(0, |last| last + 1); // the end is always used
    let all = || lengths[..used].iter().chain(&[1]); // and the code of the only distance, 1
    let mut frequencies = [0; 19];
    all().for_each(|length| frequencies[usize::from(*length)] += 1);
    let of_lengths = code_lengths(&frequencies, 7);
    let codes = codes(&of_lengths);
    bits.put(used as u64 - 257, 5);
    bits.put(0, 5); // one distance
    bits.put(ORDER.len() as u64 - 4, 4);
    for length in ORDER {
        bits.put(u64::from(of_lengths[length]), 3);
    }
    all().for_each(|length| bits.put_code(codes[usize::from(*length)]));
}

/// What is made of the bytes, piece by piece; the same pieces whenever the same bytes are read.
trait Pieces {
    fn eight(&mut self, bytes: [u8; 8]);
    fn one(&mut self, byte: u8);
    /// The last byte, which was a zero, 3 to 258 times more.
    fn again(&mut self, times: usize);
}

#[inline(always)]
#[expect(clippy::inline_always, reason = "the loop is a third slower if its steps are calls")]
fn read(bytes: &[u8], pieces: &mut impl Pieces) {
    let (eights, rest) = bytes.as_chunks::<8>();
    let mut zeros = 0;
    for eight in eights {
        if *eight == [0; 8] {
            zeros += 8;
        } else {
            if zeros > 0 {
                run(zeros, pieces);
                zeros = 0;
            }
            pieces.eight(*eight);
        }
    }
    if zeros > 0 {
        run(zeros, pieces);
    }
    for byte in rest {
        pieces.one(*byte);
    }
}

#[cold]
fn run(zeros: usize, pieces: &mut impl Pieces) {
    pieces.one(0);
    let mut left = zeros - 1;
    while left >= 3 {
        let times = left.min(258);
        pieces.again(times);
        left -= times;
    }
    (0..left).for_each(|_| pieces.one(0));
}

/// How often each symbol comes. Four tables, so that equal bytes in a row do not wait for one another.
struct Count([[u32; SYMBOLS]; 4]);

impl Pieces for Count {
    #[inline]
    fn eight(&mut self, bytes: [u8; 8]) {
        for (index, byte) in bytes.into_iter().enumerate() {
            self.0[index % 4][usize::from(byte)] += 1;
        }
    }

    fn one(&mut self, byte: u8) {
        self.0[0][usize::from(byte)] += 1;
    }

    fn again(&mut self, times: usize) {
        self.0[0][length_symbol(times).0] += 1;
    }
}

/// A code, its first bit lowest, and its length.
type HuffmanCode = (u16, u8);

struct Code<'b, 'o> {
    bits: &'b mut Bits<'o>,
    codes: &'b [HuffmanCode; SYMBOLS],
}

impl Pieces for Code<'_, '_> {
    #[inline]
    fn eight(&mut self, bytes: [u8; 8]) {
        for half in bytes.as_chunks::<4>().0 {
            let (mut word, mut length) = (0, 0);
            for byte in half {
                let (code, bits) = self.codes[usize::from(*byte)];
                word |= u64::from(code) << length;
                length += u32::from(bits);
            }
            self.bits.put(word, length);
        }
    }

    fn one(&mut self, byte: u8) {
        self.bits.put_code(self.codes[usize::from(byte)]);
    }

    fn again(&mut self, times: usize) {
        let (symbol, extra, bits) = length_symbol(times);
        self.bits.put_code(self.codes[symbol]);
        self.bits.put(extra, bits);
        self.bits.put(0, 1); // the distance
    }
}

/// The symbol of a match's length, its extra bits, and how many they are.
fn length_symbol(length: usize) -> (usize, u64, u32) {
    match length - 3 {
        255 => (285, 0, 0),
        over @ 0..8 => (257 + over, 0, 0),
        over => {
            let bits = over.ilog2() - 2;
            (257 + 4 * bits as usize + (over >> bits), (over & ((1 << bits) - 1)) as u64, bits)
        }
    }
}

/// Bits, the first one lowest. Every time, a whole word is written, and as many of its bytes kept as are full: no branch
/// that a processor could not foresee.
struct Bits<'o> {
    /// What is written, up to `end`, and room.
    out: &'o mut Vec<u8>,
    end: usize,
    /// Bits that do not fill a byte yet: `held`, at most 7.
    word: u64,
    held: u32,
}

impl<'o> Bits<'o> {
    /// Behind what `out` holds.
    fn new(out: &'o mut Vec<u8>) -> Self {
        let end = out.len();
        Self { out, end, word: 0, held: 0 }
    }

    /// Adds the `count` (at most 56) lowest bits of `bits`; those above must be 0.
    #[inline]
    fn put(&mut self, bits: u64, count: u32) {
        self.word |= bits << self.held;
        self.held += count;
        if self.end + 8 > self.out.len() {
            self.out.resize((2 * self.out.len()).max(1 << 12), 0);
        }
        self.out[self.end..self.end + 8].copy_from_slice(&self.word.to_le_bytes());
        self.end += self.held as usize / 8;
        self.word >>= self.held & !7;
        self.held &= 7;
    }

    #[inline]
    fn put_code(&mut self, (code, length): HuffmanCode) {
        self.put(u64::from(code), u32::from(length));
    }

    /// Fills the last byte with zeros, and gives back the room.
    fn finish(mut self) {
        self.put(0, (8 - self.held) % 8);
        self.out.truncate(self.end);
    }
}

/// The lengths of Huffman codes of at most `longest` bits; 0 for symbols that do not come.
///
/// Huffman's tree by two queues (van Leeuwen 1976). Where it is too deep, its leaves are raised to `longest`, and as many
/// others lowered as make room for them.
fn code_lengths<const N: usize>(frequencies: &[u32; N], longest: usize) -> [u8; N] {
    let mut lengths = [0; N];
    let used = frequencies.iter().zip(0..N).filter(|(frequency, _)| **frequency > 0);
    let mut leaves: Vec<(u32, usize)> = used.map(|(frequency, symbol)| (*frequency, symbol)).collect();
    leaves.sort_unstable();
    let count = leaves.len();
    if count < 2 {
        for (_, symbol) in leaves {
            lengths[symbol] = 1;
        }
        return lengths;
    }
    // Leaves first, then their joints in the order in which they are made, which is that of their weights.
    let mut weights: Vec<u32> = leaves.iter().map(|(frequency, _)| *frequency).collect();
    let mut parents = vec![0; 2 * count - 1];
    let (mut leaf, mut joint) = (0, count);
    for next in count..2 * count - 1 {
        let mut weight = 0;
        for _ in 0..2 {
            let queue =
                if leaf < count && (joint == next || weights[leaf] <= weights[joint]) { &mut leaf } else { &mut joint };
            parents[*queue] = next;
            weight += weights[*queue];
            *queue += 1;
        }
        weights.push(weight);
    }
    let mut depths = vec![0; 2 * count - 1];
    for node in (0..2 * count - 2).rev() {
        depths[node] = depths[parents[node]] + 1;
    }
    let mut of_length = vec![0_usize; longest + 1];
    depths[..count].iter().for_each(|depth| of_length[longest.min(*depth)] += 1);
    let room = 1 << longest;
    let mut taken: usize = (1..=longest).map(|length| of_length[length] << (longest - length)).sum();
    while taken > room {
        // One of the longest goes beside a shorter one, which is made longer by a bit: that frees one place.
        let Some(shorter) = (1..longest).rev().find(|length| of_length[*length] > 0) else { break };
        of_length[longest] -= 1;
        of_length[shorter] -= 1;
        of_length[shorter + 1] += 2;
        taken -= 1;
    }
    let mut rarest_first = leaves.iter();
    for length in (1..=longest).rev() {
        for (_, symbol) in rarest_first.by_ref().take(of_length[length]) {
            lengths[*symbol] = length as u8;
        }
    }
    lengths
}

/// The codes of these lengths (RFC 1951, 3.2.2).
fn codes<const N: usize>(lengths: &[u8; N]) -> [HuffmanCode; N] {
    let mut next = [0_u16; 16];
    let mut code = 0;
    for (length, next) in next.iter_mut().enumerate().skip(1) {
        *next = code;
        code = (code + lengths.iter().filter(|other| usize::from(**other) == length).count() as u16) << 1;
    }
    lengths.map(|length| {
        if length == 0 {
            return (0, 0);
        }
        let code = &mut next[usize::from(length)];
        *code += 1;
        ((*code - 1).reverse_bits() >> (16 - length), length)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// What zlib (in Rust) makes of the blocks.
    fn inflate(stream: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(stream), &mut out).unwrap();
        out
    }

    fn check(blocks: &[&[u8]]) {
        let mut stream = Vec::new();
        for (index, bytes) in blocks.iter().enumerate() {
            block(bytes, index + 1 == blocks.len(), &mut stream);
        }
        assert!(inflate(&stream) == blocks.concat());
    }

    #[test]
    fn runs_of_every_length_come_back() {
        for zeros in (0..600).chain([100_000]) {
            let mut bytes = vec![1];
            bytes.resize(8 + zeros, 0);
            bytes.push(2);
            check(&[&bytes]);
            check(&[&bytes, &bytes[8..], &bytes]);
        }
        check(&[&[]]);
        check(&[&[], &[0], &[255]]);
    }

    #[test]
    fn codes_stay_short_where_the_tree_is_deep() {
        // Fibonacci's numbers make the deepest tree that there is.
        let (mut bytes, mut pair) = (Vec::new(), (1_usize, 1));
        for symbol in 0..25 {
            bytes.extend(std::iter::repeat_n(symbol * 7, pair.0));
            pair = (pair.1, pair.0 + pair.1);
        }
        let mut frequencies = [0; SYMBOLS];
        for byte in &bytes {
            frequencies[usize::from(*byte)] += 1;
        }
        assert!(code_lengths(&frequencies, 30).contains(&20));
        let lengths = code_lengths(&frequencies, LONGEST);
        assert_eq!(lengths.iter().max(), Some(&(LONGEST as u8)));
        let taken: usize =
            lengths.iter().filter(|length| **length > 0).map(|length| 1 << (LONGEST - usize::from(*length))).sum();
        assert_eq!(taken, 1 << LONGEST, "no code is free");
        check(&[&bytes]);
    }

    proptest! {
        #[test]
        fn blocks_come_back(blocks in proptest::collection::vec(proptest::collection::vec(
            prop_oneof![5 => Just(0_u8), 3 => 0_u8..4, 1 => any::<u8>()], 0..2000), 1..4)) {
            check(&blocks.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}
