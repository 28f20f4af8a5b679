//! Bytes that nobody meant, made from those that somebody did.

/// xorshift: the same numbers on every run.
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each name.
    pub fn new(name: &str) -> Self {
        // FNV-1a.
        let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        Self(name.bytes().fold(0xcbf2_9ce4_8422_2325, hash))
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() >> 11).unwrap() % end.max(1)
    }

    /// One of these, a little different, or with a piece of another.
    pub fn mangled(&mut self, seeds: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = seeds[self.below(seeds.len())].clone();
        for _ in 0..=self.below(4) {
            if self.below(8) == 0 {
                let other = &seeds[self.below(seeds.len())];
                let from = self.below(other.len());
                let piece = other[from..(from + self.below(60)).min(other.len())].to_vec();
                self.put(&mut bytes, &piece);
            } else {
                self.mangle(&mut bytes);
            }
        }
        bytes
    }

    fn put(&mut self, bytes: &mut Vec<u8>, piece: &[u8]) {
        let to = self.below(bytes.len() + 1);
        bytes.splice(to..to, piece.iter().copied());
    }

    /// Flips, cuts, repeats, or puts in what files and messages have at their joints.
    fn mangle(&mut self, bytes: &mut Vec<u8>) {
        const JOINTS: [&[u8]; 24] = [
            b"\n",
            b"\r\n",
            b",",
            b";",
            b"\"",
            b"\0",
            b"+",
            b"\xff\xfe",
            b"A",
            b"2026-01-01",
            b"99999999999999999999",
            b"\xef\xbb\xbf",
            b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
            b"\x0a\x00",
            b"null",
            b"{}",
            b"[",
            b"\\u0000",
            b"-1",
            b"[[rule]]\n",
            b"\xe2\x80\x8f",
            b"STOP",
            b"true",
            b"\x80",
        ];
        let at = self.below(bytes.len());
        match self.below(6) {
            0 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            1 if !bytes.is_empty() => bytes[at] = u8::try_from(self.below(256)).unwrap(),
            2 => bytes.truncate(at),
            3 => {
                let end = (at + self.below(40)).min(bytes.len());
                let copy = bytes[at..end].to_vec();
                self.put(bytes, &copy);
            }
            4 => {
                let end = (at + self.below(8)).min(bytes.len());
                bytes.drain(at..end);
            }
            _ => {
                let joint = JOINTS[self.below(JOINTS.len())];
                self.put(bytes, joint);
            }
        }
    }
}
