//! What a loss of power leaves of a file: everything up to the last sync that returned, and of what was written since any
//! part, sector by sector, in any order. What was done to the file is recorded and played again up to a chosen moment.
#![allow(dead_code, reason = "each test uses its own part of this")]

use std::sync::{Arc, Mutex};

/// Disks write these whole or not at all.
const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub enum Op {
    Write {
        offset: u64,
        bytes: Vec<u8>,
    },
    Length(u64),
    /// A sync that returned.
    Synced,
    /// Somebody was told that this is safe.
    Told(u64),
}

/// What was done to one file, in order.
#[derive(Clone, Default, Debug)]
pub struct Record(Arc<Mutex<Vec<Op>>>);

impl Record {
    pub fn note(&self, op: Op) {
        self.0.lock().unwrap().push(op);
    }

    pub fn ops(&self) -> Vec<Op> {
        self.0.lock().unwrap().clone()
    }
}

/// A small generator: the same states at every run.
pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
        ((self.0 >> 33) as usize) % bound.max(1)
    }
}

/// What the file holds if the power goes after so many operations, and the newest thing that was told by then.
pub fn lost_at(ops: &[Op], moment: usize, dice: &mut Dice) -> (Vec<u8>, u64) {
    let before = &ops[..moment];
    let synced = before.iter().rposition(|op| matches!(op, Op::Synced)).map_or(0, |at| at + 1);
    let mut file = Vec::new();
    for op in &before[..synced] {
        apply(&mut file, op, |_| true);
    }
    // Sometimes all of what was under way arrives, sometimes nothing, mostly something.
    let keep = [0, 10, 50, 90, 100][dice.below(5)];
    for op in &before[synced..] {
        apply(&mut file, op, |dice_bound| dice.below(dice_bound) < keep);
    }
    let told = before.iter().filter_map(|op| if let Op::Told(n) = op { Some(*n) } else { None }).max();
    (file, told.unwrap_or(0))
}

/// Does it to the file, each sector only if `arrives` (of a hundred) says so.
fn apply(file: &mut Vec<u8>, op: &Op, mut arrives: impl FnMut(usize) -> bool) {
    match op {
        Op::Length(length) => {
            let length = usize::try_from(*length).unwrap();
            // A file may have become longer or not; it became shorter only as a whole.
            if arrives(100) {
                file.resize(length, 0);
            }
        }
        Op::Write { offset, bytes } => {
            let (mut at, mut rest) = (usize::try_from(*offset).unwrap(), bytes.as_slice());
            while !rest.is_empty() {
                let room = SECTOR - at % SECTOR;
                let (sector, behind) = rest.split_at(room.min(rest.len()));
                if arrives(100) {
                    if file.len() < at + sector.len() {
                        file.resize(at + sector.len(), 0);
                    }
                    file[at..at + sector.len()].copy_from_slice(sector);
                }
                at += sector.len();
                rest = behind;
            }
        }
        Op::Synced | Op::Told(_) => {}
    }
}
