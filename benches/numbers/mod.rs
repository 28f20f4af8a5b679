//! Numbers made up as those on a national list lie: 30 to 95 of 100 exchanges of an area code in use, thousands uneven, a
//! fifth of them empty and none more than nine tenths full.

use std::io::{self, Read};

/// Numbers on the largest list there is, and the area codes they lie in.
const MOST: u64 = 250_000_000;
const AREAS: u64 = 380;

/// xorshift: the same numbers on every run.
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    /// Any number from 0 to one less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        (self.next() >> 11) % end
    }

    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// A thousand numbers of which some are on the list.
#[derive(Clone, Copy)]
pub struct Thousand {
    first: u64,
    /// How full it is, of `u64::MAX`.
    full: u64,
}

impl Thousand {
    /// Those on the list.
    pub fn numbers(self) -> impl Iterator<Item = u64> {
        let mut random = Random(self.first.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        (0..1_000).filter(move |_| random.next() < self.full).map(move |n| self.first + n)
    }
}

/// About so many numbers, in the first of these area codes: fewer numbers lie in fewer of them, as close.
pub fn thousands(wanted: u64, areas: &[u64]) -> Vec<Thousand> {
    let mut random = Random(0x9E37_79B9_7F4A_7C15);
    let mut weighed = Vec::new();
    let used_areas = (AREAS * wanted).div_ceil(MOST).clamp(1, AREAS);
    for area in areas.iter().take(used_areas as usize) {
        let used = 30 + random.below(66);
        for exchange in 200..1_000 {
            if random.below(100) >= used {
                continue;
            }
            for thousand in 0..10 {
                if random.below(5) > 0 {
                    let first = (1_000 + area) * 10_000_000 + exchange * 10_000 + thousand * 1_000;
                    weighed.push((first, random.part().powi(3)));
                }
            }
        }
    }
    let sum = |scale: f64| weighed.iter().map(|(_, weight)| (weight * scale).min(0.9) * 1_000.0).sum::<f64>();
    let mut scale = 0.1;
    for _ in 0..60 {
        scale *= wanted as f64 / sum(scale);
    }
    let full = |weight: f64| ((weight * scale).min(0.9) * u64::MAX as f64) as u64;
    weighed.into_iter().map(|(first, weight)| Thousand { first, full: full(weight) }).collect()
}

/// The numbers as the keeper hands them out, thousands in no order.
pub struct Text<'t> {
    thousands: &'t [Thousand],
    next: usize,
    lines: Vec<u8>,
    at: usize,
}

impl<'t> Text<'t> {
    /// The lines of all these.
    pub fn of(thousands: &'t [Thousand]) -> Self {
        Self { thousands, next: 0, lines: Vec::new(), at: 0 }
    }
}

impl Read for Text<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.at == self.lines.len() && self.next < self.thousands.len() {
            self.lines.clear();
            self.at = 0;
            // Strides that meet every thousand once: 99,991 is a prime, and divides none of the counts here.
            let thousand = self.thousands[(self.next * 99_991) % self.thousands.len()];
            self.next += 1;
            for number in thousand.numbers() {
                let mut line = *b"202,5550143\n";
                let mut rest = number - 10_000_000_000;
                for place in [10, 9, 8, 7, 6, 5, 4, 2, 1, 0] {
                    line[place] = b'0' + (rest % 10) as u8;
                    rest /= 10;
                }
                self.lines.extend(line);
            }
        }
        let count = (&self.lines[self.at..]).read(buffer)?;
        self.at += count;
        Ok(count)
    }
}
