//! The lists that tell the kind of line of numbers of the North American plan, which does not tell it by itself.
//!
//! One has the blocks of a thousand numbers that were given to wireless carriers, two the numbers that were ported since, each
//! way. A ported number is what it was ported to, whatever its block.

/// Blocks of a thousand numbers given to wireless carriers: a block is listed as its first number.
pub const WIRELESS_BLOCKS: &str = "us.line.wireless_blocks";
/// Numbers ported from a wireline to a wireless carrier.
pub const TO_WIRELESS: &str = "us.line.ported_to_wireless";
/// Numbers ported from a wireless to a wireline carrier.
pub const TO_WIRELINE: &str = "us.line.ported_to_wireline";

/// Whether a list is one of these.
#[must_use]
pub fn is_line_list(id: &str) -> bool {
    matches!(id, WIRELESS_BLOCKS | TO_WIRELESS | TO_WIRELINE)
}

/// The first number of the block of a thousand that a number lies in.
#[must_use]
pub const fn block_of(e164_digits: u64) -> u64 {
    e164_digits - e164_digits % 1_000
}

/// Whether the digits are those of a number of the North American plan.
#[must_use]
pub const fn is_north_american(e164_digits: u64) -> bool {
    e164_digits / 10_000_000_000 == 1
}

/// The area code of a number of the North American plan.
#[must_use]
pub fn area_of(e164_digits: u64) -> Option<u16> {
    if is_north_american(e164_digits) { u16::try_from(e164_digits / 10_000_000 % 1_000).ok() } else { None }
}
