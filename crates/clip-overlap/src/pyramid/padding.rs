//! What a copy was filled up with: bars beside it, a border around it, the corners that a rotation
//! leaves empty.

use clip_image::Rgb;

use super::plane::Plane;

/// Greatest difference of a channel from the corner's: what JPEG does to one colour.
const SAME: u8 = 14;
/// How far from the edge of what is shown an empty corner reaches, as a share of the side.
const DEPTH: f32 = 0.14;
/// Least share of an image: less changes no comparison.
const LEAST: f32 = 0.015;

/// 1 where the image is filled up with a corner's colour, 0 elsewhere; nothing where it hardly is.
pub(crate) fn padding(image: &Rgb) -> Option<Plane> {
    let (width, height) = (image.width as usize, image.height as usize);
    let filled = filled(image);
    let least = LEAST * filled.len() as f32;
    if (filled.iter().filter(|filled| **filled).count() as f32) < least {
        return None;
    }
    let shows = |x: usize, y: usize| !filled[y * width + x];
    let row = |y: &usize| (0..width).any(|x| shows(x, *y));
    let column = |x: &usize| (0..height).any(|y| shows(*x, y));
    let (top, bottom) = ((0..height).find(row)?, (0..height).rev().find(row)?);
    let (left, right) = ((0..width).find(column)?, (0..width).rev().find(column)?);
    let deep = |from: usize, to: usize| (DEPTH * (to - from + 1) as f32) as usize;
    let (across, down) = (deep(left, right), deep(top, bottom));
    let inner = |x: usize, y: usize| {
        (left + across..=right.saturating_sub(across)).contains(&x)
            && (top + down..=bottom.saturating_sub(down)).contains(&y)
    };
    // Deeper in, one colour is the ground that something is shown on.
    let value = |at: usize| f32::from(filled[at] && !inner(at % width, at / width));
    let data: Vec<f32> = (0..width * height).map(value).collect();
    (data.iter().sum::<f32>() >= least).then_some(Plane { width, height, data })
}

/// The pixels that have a corner's colour, and are joined to it by such pixels.
fn filled(image: &Rgb) -> Vec<bool> {
    let (width, height) = (image.width as usize, image.height as usize);
    let pixel = |at: usize| &image.data[3 * at..3 * at + 3];
    let mut filled = vec![false; width * height];
    for corner in [0, width - 1, (height - 1) * width, height * width - 1] {
        let same =
            |at: usize| pixel(at).iter().zip(pixel(corner)).all(|(a, b)| a.abs_diff(*b) <= SAME);
        let mut next = vec![corner];
        while let Some(at) = next.pop() {
            if filled[at] || !same(at) {
                continue;
            }
            filled[at] = true;
            let (x, y) = (at % width, at / width);
            next.extend((x > 0).then(|| at - 1));
            next.extend((x + 1 < width).then(|| at + 1));
            next.extend((y > 0).then(|| at - width));
            next.extend((y + 1 < height).then(|| at + width));
        }
    }
    filled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(shown: impl Fn(u32, u32) -> bool) -> Rgb {
        let mut image = Rgb::filled(40, 30, [250; 3]);
        for at in 0..40 * 30 {
            if shown(at % 40, at / 40) {
                let value = (at * 37 % 200) as u8;
                image.data[3 * at as usize..][..3].copy_from_slice(&[
                    value,
                    255 - value,
                    value / 2,
                ]);
            }
        }
        image
    }

    #[test]
    fn bars_and_corners_are_padding_and_a_ground_is_not() {
        assert!(padding(&image(|_, _| true)).is_none());
        let bar = padding(&image(|_, y| y < 24)).unwrap();
        assert!(bar.data[40 * 24..].iter().all(|v| *v == 1.0));
        assert_eq!(bar.data[40 * 15 + 20], 0.0);
        let turned = padding(&image(|x, y| x + 3 * y >= 12 && x + 3 * y <= 114)).unwrap();
        assert_eq!((turned.data[0], turned.data[40 * 15 + 20]), (1.0, 0.0));
        let object = padding(&image(|x, y| {
            (x > 1 && y > 1) && (x < 38 && y < 28) && x.abs_diff(20) + y.abs_diff(15) < 9
        }));
        let object = object.unwrap();
        assert_eq!((object.data[0], object.data[40 * 9 + 14]), (1.0, 0.0));
    }
}
