//! Images within an image: a page, a slide or a collage shows them between lines of one colour
//! (recursive X-Y cut: Nagy and Seth 1984).

use clip_image::Rgb;

/// Most levels between a channel of a line's colour and of a pixel that has it.
const SAME: u8 = 20;
/// Share of a line's pixels that may have others: what compression leaves beside an edge.
const OTHERS: f32 = 0.02;
/// Least side of a panel: as a share of the image's longer side, and in pixels.
const SIDE: (f32, usize) = (0.12, 32);
/// Greatest share of the image's area: what shows more is found as a whole.
const AREA: f32 = 0.6;
/// Least share of a panel's edge that differs from the ground beside it: what an object on a ground
/// touches of the rectangle around it is less.
const FRAMED: f32 = 0.2;
/// How often a part is cut.
const DEPTH: usize = 12;
/// Most panels, the largest ones.
const MOST: usize = 16;

/// A rectangle in pixels: where it begins and ends on each axis, across and down.
type Rectangle = [[usize; 2]; 2];

/// Left, top, width and height of each panel; none where an image is one.
pub(super) fn panels(image: &Rgb) -> Vec<[u32; 4]> {
    let sides = [image.width as usize, image.height as usize];
    let least = SIDE.1.max((SIDE.0 * sides[0].max(sides[1]) as f32) as usize);
    let mut found = Vec::new();
    cut(image, sides.map(|side| [0, side]), (least, DEPTH), &mut found);
    let area = |own: &Rectangle| own.iter().map(|[from, to]| to - from).product::<usize>();
    let most = AREA * (sides[0] * sides[1]) as f32;
    found.retain(|own| area(own) as f32 <= most && is_framed(image, *own));
    found.sort_by_key(|own| (std::cmp::Reverse(area(own)), *own));
    found.truncate(MOST);
    let panel = |[[left, right], [top, bottom]]: Rectangle| [left, top, right - left, bottom - top];
    found.into_iter().map(|own| panel(own).map(|value| value as u32)).collect()
}

/// Cuts a part at its lines of one colour, until there are none; too small parts are dropped.
fn cut(image: &Rgb, part: Rectangle, (least, depth): (usize, usize), found: &mut Vec<Rectangle>) {
    let large = |[from, to]: [usize; 2]| to - from >= least;
    if !part.into_iter().all(large) {
        return;
    }
    // Down first: a page is read so.
    for axis in [1, 0] {
        let shown = shown(image, part, axis);
        if shown != [part[axis]] && depth > 0 {
            for own in shown {
                let mut smaller = part;
                smaller[axis] = own;
                cut(image, smaller, (least, depth - 1), found);
            }
            return;
        }
    }
    found.push(part);
}

/// Where a part's lines are of more than one colour: rows for axis 1, columns for axis 0.
fn shown(image: &Rgb, part: Rectangle, axis: usize) -> Vec<[usize; 2]> {
    let [from, to] = part[axis];
    let mut runs: Vec<[usize; 2]> = Vec::new();
    for at in (from..to).filter(|&at| !is_ground(image, part, axis, at)) {
        match runs.last_mut() {
            Some(run) if run[1] == at => run[1] += 1,
            _ => runs.push([at, at + 1]),
        }
    }
    runs
}

/// The pixel of a row (axis 1) or a column (axis 0) at a place along it.
fn pixel(image: &Rgb, axis: usize, line: usize, along: usize) -> [u8; 3] {
    let (x, y) = if axis == 1 { (along, line) } else { (line, along) };
    let first = 3 * (y * image.width as usize + x);
    std::array::from_fn(|channel| image.data[first + channel])
}

fn is_same(a: [u8; 3], b: [u8; 3]) -> bool {
    a.into_iter().zip(b).all(|(a, b)| a.abs_diff(b) <= SAME)
}

/// Whether enough of a part's edge differs from what is beside it.
fn is_framed(image: &Rgb, part: Rectangle) -> bool {
    let (mut differs, mut all) = (0, 0);
    for (axis, side) in [image.width, image.height].into_iter().enumerate() {
        let [from, to] = part[axis];
        // What compression made of the edge itself is left out.
        let before = from.checked_sub(2).map(|outer| (outer, from + 1));
        let behind = (to + 1 < side as usize).then(|| (to + 1, to - 2));
        for (outer, inner) in before.into_iter().chain(behind) {
            let [from, to] = part[1 - axis];
            let pixels = |along| [outer, inner].map(|line| pixel(image, axis, line, along));
            let differ = |along: &usize| {
                let [outer, inner] = pixels(*along);
                !is_same(outer, inner)
            };
            differs += (from..to).filter(differ).count();
            all += to - from;
        }
    }
    differs as f32 >= FRAMED * all as f32
}

/// Whether a line of a part is of one colour.
fn is_ground(image: &Rgb, part: Rectangle, axis: usize, at: usize) -> bool {
    let [from, to] = part[1 - axis];
    let pixel = |along: usize| pixel(image, axis, at, along);
    let length = to - from;
    let samples: [[u8; 3]; 5] =
        std::array::from_fn(|sample| pixel(from + (2 * sample + 1) * length / 10));
    let colour: [u8; 3] = std::array::from_fn(|channel| {
        let mut values = samples.map(|own| own[channel]);
        values.sort_unstable();
        values[2]
    });
    let others = (OTHERS * length as f32) as usize;
    // Most lines of a photograph end here after a few pixels.
    (from..to).filter(|&along| !is_same(pixel(along), colour)).nth(others).is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, width: usize, height: usize) -> Vec<u8> {
        let mut data = vec![0; 3 * width * height];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
        data
    }

    fn paste(page: &mut Rgb, seed: u64, [left, top, width, height]: [u32; 4]) {
        let (left, top, width) = (left as usize, top as usize, width as usize);
        let row = 3 * page.width as usize;
        for (y, own) in noise(seed, width, height as usize).chunks(3 * width).enumerate() {
            page.data[row * (top + y) + 3 * left..][..3 * width].copy_from_slice(own);
        }
    }

    #[test]
    fn images_on_a_page_are_its_panels_and_lines_of_text_are_not() {
        let mut page = Rgb::filled(400, 300, [240, 244, 250]);
        let wanted = [[200, 80, 160, 120], [20, 150, 100, 90]];
        paste(&mut page, 1, wanted[0]);
        paste(&mut page, 2, wanted[1]);
        for (line, y) in [10, 30, 90, 110].into_iter().enumerate() {
            paste(&mut page, 3 + line as u64, [20, y, 150, 10]);
        }
        assert_eq!(panels(&page), wanted);
    }

    #[test]
    fn a_collage_is_cut_at_narrow_lines_and_one_image_is_not() {
        let mut page = Rgb::filled(326, 326, [255; 3]);
        let wanted =
            [[2, 2, 160, 160], [2, 164, 160, 160], [164, 2, 160, 160], [164, 164, 160, 160]];
        (0..).zip(wanted).for_each(|(seed, tile)| paste(&mut page, seed, tile));
        assert_eq!(panels(&page), wanted);
        let mut whole = Rgb::filled(320, 240, [0; 3]);
        paste(&mut whole, 9, [10, 10, 300, 220]);
        assert!(panels(&whole).is_empty());
    }
}
