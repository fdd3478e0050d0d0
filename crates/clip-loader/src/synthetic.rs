//! Images made on the spot.

use clip_image::Rgb;
use clip_random::mix;

/// A square of `side` pixels: two colours and a bar, decided by the number.
pub(crate) fn drawing(number: u64, side: u32) -> Rgb {
    let bits = mix(0x5eed, 0, number).to_le_bytes();
    let mut image = Rgb::filled(side, side, [bits[0], bits[1], bits[2]]);
    let bar = (u32::from(bits[6]) * side / 256) as usize;
    for row in 0..side as usize {
        let at = (row * side as usize + bar) * 3;
        image.data[at..at + 3].copy_from_slice(&bits[3..6]);
    }
    image
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawings_repeat_and_differ() {
        assert_eq!(drawing(3, 8), drawing(3, 8));
        assert_ne!(drawing(3, 8), drawing(4, 8));
    }
}
