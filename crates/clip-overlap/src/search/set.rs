//! One evaluation set, searched by image.

use clip_image::Rgb;

use super::candidates::{CandidateOptions, Candidates, Placed};
use super::fingerprint::{Fingerprint, Query};
use super::found::{Found, best};
use super::keypoints::Variant;
use super::orientation::Orientation;
use super::vector::Nearest;
use crate::alignment::{Probe, Target, Transform, add_covered, align, rectified, refine_near};
use crate::pyramid::{ImagePyramid, Plane, shrink};
use crate::score::{ScoreParts, parts};

/// Least agreement on 16 x 16 points of a pair that is aligned. Of the pairs that end with a score
/// of 0.8, one in a thousand has less; of all candidates, nine in ten.
const GATE: f32 = 0.5;
/// Most pairs that are aligned for one image and orientation.
const ALIGNED: usize = 4;
/// What each local feature less than a number of them takes from the trust in a place.
const FEW_VOTES: (f32, usize) = (0.02, 4);
/// Least correlation of the two thirds of a part that differ least.
const BELIEVED: f32 = 0.6;
/// Longer side in pixels of the smaller image in which large places are looked at.
const HALF: u32 = 128;

/// Score below which an aligned whole image is looked at once more, without what covers it.
const COVERED: f32 = 0.85;

/// Least texture of what is found below words.
const TEXTURE: f32 = 0.5;

/// Fingerprints of one evaluation set, ready to be searched.
pub struct SetIndex {
    items: Vec<Fingerprint>,
    candidates: Candidates,
}

impl SetIndex {
    /// Builds the search structures.
    pub fn new(items: Vec<Fingerprint>, options: &CandidateOptions) -> Self {
        let candidates = Candidates::new(&items, options.clone());
        Self { items, candidates }
    }

    /// How candidates are sought.
    pub fn options(&self) -> &CandidateOptions {
        self.candidates.options()
    }

    /// The fingerprints.
    pub fn items(&self) -> &[Fingerprint] {
        &self.items
    }

    /// Items whose pHash is within `radius` bits, for images that are not there to be compared.
    pub fn by_hash(&self, phash: u64, radius: u32) -> Vec<(u32, u32)> {
        let mut near = self.candidates.phash(phash);
        near.retain(|&(item, distance)| distance <= radius && !self.items[item as usize].flat);
        near
    }

    /// What looks nearest to each image at first sight, to be handed to [`Self::search`]. Several
    /// images at once take less time than one after the other.
    pub fn nearest(&self, queries: &[&Query]) -> Vec<Nearest> {
        let vectors: Vec<&[i16]> = queries.iter().map(|q| q.print.vector.as_slice()).collect();
        self.candidates.nearest(&vectors)
    }

    /// Every candidate, compared; the best first, one entry an item. `nearest` are the items
    /// nearest to the image in each orientation, `extra` are items to compare as well.
    pub fn search(&self, query: &Query, nearest: &Nearest, extra: &[u32]) -> Vec<Found> {
        let mut found = self.anywhere(query, nearest, extra);
        let panels: Vec<&Query> = query.panels.iter().map(|panel| &panel.query).collect();
        for (panel, near) in query.panels.iter().zip(self.nearest(&panels)) {
            let mut here = self.anywhere(&panel.query, &near, &[]);
            // Of a drawing, what was taken for words is what it shows.
            here.retain(|found| !panel.is_whole() || found.parts.texture >= TEXTURE);
            found.extend(here.into_iter().map(|found| found.within(&panel.place)));
        }
        best(found)
    }

    /// Items that the image resembles as a whole, or that are somewhere in it.
    fn anywhere(&self, query: &Query, nearest: &Nearest, extra: &[u32]) -> Vec<Found> {
        let mut found = Vec::new();
        for (turn, near) in Orientation::all().zip(nearest) {
            found.extend(self.whole(query, turn, near, extra));
        }
        if !query.print.flat {
            let placed = self.candidates.placed(&query.print);
            if !placed.is_empty() {
                let half = shrink(&query.image, HALF);
                found.extend(placed.iter().filter_map(|placed| self.part(query, &half, placed)));
            }
        }
        found
    }

    /// Items that the whole image resembles in one orientation.
    fn whole(
        &self,
        query: &Query,
        turn: Orientation,
        nearest: &[u32],
        extra: &[u32],
    ) -> Vec<Found> {
        let near = self.candidates.alike(query, turn, nearest);
        let upright = matches!(turn, Orientation::PLAIN | Orientation::MIRRORED);
        let extra = if upright { extra } else { &[] };
        if near.is_empty() && extra.is_empty() {
            return Vec::new();
        }
        let probe = Probe::new(&turn.coarse(&query.print.coarse));
        let mut starts = Vec::new();
        for item in near.into_iter().chain(extra.iter().copied()) {
            let (agreement, start) = probe.search(&Target::new(&self.items[item as usize].coarse));
            if agreement >= GATE {
                starts.push((agreement, item, start));
            }
        }
        if starts.is_empty() {
            return Vec::new();
        }
        starts.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        starts.dedup_by_key(|start| start.1);
        let turned = turn.image(&query.print.thumb);
        let image = ImagePyramid::new(&turned);
        let large = query.image.width.max(query.image.height) >= HALF;
        let compared = |(_, item, start): (f32, u32, Transform)| {
            let own = &self.items[item as usize];
            let other = ImagePyramid::new(&own.thumb);
            let aligned = align(&other, &image, start)
                .and_then(|transform| Some((parts(&other, &image, &transform)?, transform)));
            let whole = aligned.map(|(parts, transform)| {
                self.found(item, query, parts, turn.then(&transform), turn.inverted())
            });
            // Not alike: perhaps something was laid over it. Small images agree by chance where
            // much is left out.
            let done = whole.as_ref().map_or(!upright, |f| f.score >= COVERED);
            if !large || query.print.flat || done {
                return whole;
            }
            let transform = whole.as_ref().map_or_else(|| turn.then(&start), |f| f.transform);
            let variant = Variant { mirrored: transform.mirrors(), inverted: turn.inverted() };
            let placed = Placed { item, votes: FEW_VOTES.1, variant, transform };
            let part = self.part(query, &shrink(&query.image, HALF), &placed);
            whole.into_iter().chain(part).max_by(|a, b| a.score.total_cmp(&b.score))
        };
        starts.into_iter().take(ALIGNED).filter_map(compared).collect()
    }

    /// An item that is somewhere in the image, as local features say, or of which the image is a
    /// part.
    fn part(&self, query: &Query, half: &Rgb, placed: &Placed) -> Option<Found> {
        let first = self.laid_over(query, half, placed)?;
        if first.score >= COVERED {
            return Some(first);
        }
        // What covers it is seen better once it is aligned.
        let again = Placed { transform: first.transform, ..*placed };
        let second = self.laid_over(query, half, &again);
        Some(second.filter(|second| second.score > first.score).unwrap_or(first))
    }

    /// The same as the place is given.
    fn laid_over(&self, query: &Query, half: &Rgb, placed: &Placed) -> Option<Found> {
        let own = &self.items[placed.item as usize];
        let sides = (own.thumb.width, own.thumb.height);
        let Variant { inverted, .. } = placed.variant;
        let size = (query.image.width, query.image.height);
        let pixels = placed.transform.pixels(size);
        let whole =
            if pixels.0.max(pixels.1) > 2 * sides.0.max(sides.1) { half } else { &query.image };
        let (seen, mut hidden) = rectified(whole, &placed.transform, sides, inverted)?;
        let other = ImagePyramid::new(&own.thumb);
        if add_covered(other.luma(), &Plane::luma(&seen), &mut hidden) < BELIEVED {
            return None;
        }
        let image = ImagePyramid::of_part(&seen, hidden, pixels, placed.transform.area());
        let change = refine_near(&other, &image, Transform::WHOLE)?;
        let mut parts = parts(&other, &image, &change)?;
        parts.penalty += FEW_VOTES.0 * FEW_VOTES.1.saturating_sub(placed.votes) as f32;
        // The rectified image is the item's unit square as the features place it.
        let transform = change.after(&placed.transform);
        Some(self.found(placed.item, query, parts, transform, inverted))
    }

    fn found(
        &self,
        item: u32,
        query: &Query,
        parts: ScoreParts,
        transform: Transform,
        inverted: bool,
    ) -> Found {
        let prints = [&self.items[item as usize], &query.print];
        Found::new(item, prints, parts, transform, inverted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hit_kind::HitKind;
    use clip_image::{Filter, crop, flip_horizontal, resize};

    /// Blotches of which no two images have the same.
    fn image(seed: u64) -> Rgb {
        let mut data = vec![0; 12 * 8 * 3];
        blake3::Hasher::new().update(&seed.to_le_bytes()).finalize_xof().fill(&mut data);
        resize(&Rgb { width: 12, height: 8, data }, 480, 320, Filter::Bicubic)
    }

    fn search(set: &SetIndex, image: &Rgb) -> Vec<Found> {
        let query = Query::of(image, set.options().working);
        set.search(&query, &set.nearest(&[&query])[0], &[])
    }

    /// With a border of eight hundredths, and turned by five degrees within black corners.
    fn filled_up(image: &Rgb) -> [Rgb; 2] {
        let (w, h) = (image.width, image.height);
        let mut framed = Rgb::filled(w + 52, h + 52, [0; 3]);
        let mut turned = Rgb::filled(w, h, [0; 3]);
        let (sin, cos) = 5f32.to_radians().sin_cos();
        for (x, y) in (0..h).flat_map(|y| (0..w).map(move |x| (x, y))) {
            let pixel = |x: u32, y: u32| &image.data[3 * (y * w + x) as usize..][..3];
            let at = 3 * ((y + 26) * framed.width + x + 26) as usize;
            framed.data[at..at + 3].copy_from_slice(pixel(x, y));
            let (u, v) = (x as f32 - w as f32 / 2.0, y as f32 - h as f32 / 2.0);
            let (u, v) = (cos * u - sin * v + w as f32 / 2.0, sin * u + cos * v + h as f32 / 2.0);
            if (0.0..w as f32).contains(&u) && (0.0..h as f32).contains(&v) {
                let at = 3 * (y * w + x) as usize;
                turned.data[at..at + 3].copy_from_slice(pixel(u as u32, v as u32));
            }
        }
        [framed, turned]
    }

    #[test]
    fn what_a_copy_was_filled_up_with_does_not_count() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let items = images.iter().map(Fingerprint::of).collect();
        let set = SetIndex::new(items, &CandidateOptions::default());
        for (at, own) in images.iter().enumerate() {
            for copy in filled_up(own) {
                let found = search(&set, &copy);
                assert_eq!(found.first().map(|f| f.item), Some(at as u32));
                assert!(found[0].score > 0.9 && found.len() == 1, "{found:?}");
            }
        }
    }

    #[test]
    fn a_narrow_crop_is_found_where_it_was_cut() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let items = images.iter().map(Fingerprint::of).collect();
        let set = SetIndex::new(items, &CandidateOptions::default());
        let part = crop(&images[5], 144, 8, 192, 312);
        let found = search(&set, &part);
        assert_eq!((found[0].item, found[0].kind), (5, HitKind::Crop));
        assert!(found[0].score > 0.9, "{found:?}");
        let wanted = [0.4, 0.0, 0.3, 0.0, 0.975, 0.025];
        for (value, wanted) in found[0].transform.affine.into_iter().zip(wanted) {
            assert!((value - wanted).abs() < 0.01, "{found:?}");
        }
        assert!(search(&set, &image(9)).iter().all(|f| f.score < 0.6));
    }

    fn set(images: &[Rgb], options: &CandidateOptions) -> SetIndex {
        SetIndex::new(images.iter().map(Fingerprint::of).collect(), options)
    }

    #[test]
    fn every_orientation_is_found_with_and_without_inverted_colours() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let set = set(&images, &CandidateOptions::default());
        for turn in Orientation::all() {
            let found = search(&set, &turn.image(&images[3]));
            assert_eq!((found.len(), found[0].item), (1, 3), "{turn:?}");
            assert!(found[0].score > 0.95, "{turn:?} {found:?}");
            let kind = match turn {
                Orientation::PLAIN => HitKind::Near,
                Orientation::MIRRORED => HitKind::Mirrored,
                _ if turn.inverted() => HitKind::Inverted,
                _ => HitKind::Rotated,
            };
            assert_eq!(found[0].kind, kind, "{turn:?}");
        }
    }

    /// Turned by an angle about its middle, as large as it was, within grey corners.
    fn turned(image: &Rgb, degrees: f32) -> Rgb {
        let (w, h) = (image.width as f32, image.height as f32);
        let (sin, cos) = degrees.to_radians().sin_cos();
        let mut turned = Rgb::filled(image.width, image.height, [128; 3]);
        for at in 0..image.width * image.height {
            let (x, y) = ((at % image.width) as f32 - w / 2.0, (at / image.width) as f32 - h / 2.0);
            let (u, v) = (cos * x - sin * y + w / 2.0, sin * x + cos * y + h / 2.0);
            if (0.0..w).contains(&u) && (0.0..h).contains(&v) {
                let from = 3 * (v as u32 * image.width + u as u32) as usize;
                turned.data[3 * at as usize..][..3].copy_from_slice(&image.data[from..from + 3]);
            }
        }
        turned
    }

    #[test]
    fn any_angle_is_found_and_what_covers_a_part_does_not_hide_the_rest() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let set = set(&images, &CandidateOptions::default());
        for (at, own) in images.iter().enumerate() {
            let mut copy = turned(own, 25.0 + 40.0 * at as f32);
            if at.is_multiple_of(2) {
                copy = flip_horizontal(&copy);
            }
            let found = search(&set, &copy);
            assert_eq!(found.first().map(|f| f.item), Some(at as u32));
            assert!(found[0].score > 0.9 && found[0].kind == HitKind::Rotated, "{found:?}");
            // A fifth of it is under one colour.
            let mut covered = own.clone();
            for y in 180..260 {
                covered.data[3 * 480 * y..][..3 * 380].fill(20 * at as u8);
            }
            let found = search(&set, &covered);
            assert_eq!(found.first().map(|f| f.item), Some(at as u32));
            assert!(found[0].score > 0.85, "{found:?}");
        }
    }

    #[test]
    fn words_over_much_of_an_image_do_not_hide_it() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let set = set(&images, &CandidateOptions::default());
        for (at, own) in images.iter().enumerate() {
            let mut covered = own.clone();
            // A line of white letters with black around them, above and below.
            for (x, y) in (0..320).flat_map(|y| (0..480).map(move |x| (x, y))) {
                let (row, across) = (if y < 160 { y } else { 319 - y }, x % 34);
                if row < 46 && across < 26 {
                    let edge = !(4..42).contains(&row) || !(4..22).contains(&across);
                    covered.data[3 * (480 * y + x)..][..3].fill(if edge { 0 } else { 255 });
                }
            }
            let found = search(&set, &covered);
            assert_eq!(found.first().map(|f| f.item), Some(at as u32), "{found:?}");
            assert!(found[0].score > 0.8, "{found:?}");
        }
    }

    #[test]
    fn each_image_of_a_collage_is_found_by_a_thorough_search() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let set = set(&images, &CandidateOptions::thorough());
        let mut collage = Rgb::filled(2 * 480, 2 * 320, [255; 3]);
        for place in 0..4 {
            let (left, top) = (480 * (place % 2), 320 * (place / 2));
            for y in 0..320 {
                let from = &images[2 * place].data[3 * 480 * y..][..3 * 480];
                collage.data[3 * (960 * (top + y) + left)..][..3 * 480].copy_from_slice(from);
            }
        }
        let found = search(&set, &collage);
        let mut items: Vec<u32> = found.iter().filter(|f| f.score > 0.85).map(|f| f.item).collect();
        items.sort_unstable();
        assert_eq!(items, [0, 2, 4, 6]);
        assert!(found[..4].iter().all(|f| f.kind == HitKind::Crop), "{found:?}");
    }

    #[test]
    fn a_part_of_an_image_is_found_on_a_page_that_shows_it_small() {
        let images: Vec<Rgb> = (0..8).map(image).collect();
        let set = set(&images, &CandidateOptions::default());
        for (at, own) in images.iter().enumerate() {
            // A ninth of the page, and less than local features are sought in.
            let shown = resize(&crop(own, 60, 20, 360, 280), 66, 51, Filter::Area);
            let mut page = Rgb::filled(200, 160, [244, 246, 250]);
            for y in 0..51 {
                let row = 3 * (200 * (70 + y) + 110);
                page.data[row..row + 198].copy_from_slice(shown.row(y as u32));
            }
            let found = search(&set, &page);
            assert_eq!((found[0].item, found[0].kind), (at as u32, HitKind::Crop));
            assert!(found[0].score > 0.85, "{found:?}");
            let [left, top, right, bottom] = found[0].transform.bounds().unwrap();
            assert!(left > 0.45 && right < 0.95 && top > 0.38 && bottom < 0.82, "{found:?}");
        }
    }
}
