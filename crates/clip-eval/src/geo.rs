//! Geolocalisation by nearest neighbours (paper, appendix E.4: IM2GPS).

use std::collections::BTreeMap;

use clip_torch::require_finite;
use clip_torch::tch::Tensor;
use serde::Serialize;

use crate::metrics::Accuracy;
use crate::{Error, Result};

/// The paper's distances: street, city, region, country, continent.
const KILOMETRES: [u32; 5] = [1, 25, 200, 750, 2500];
const EARTH_RADIUS_KM: f64 = 6371.0088;
/// Queries that are compared at a time.
const BATCH: i64 = 256;

/// A place on earth, in degrees.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// North is positive.
    pub latitude: f64,
    /// East is positive.
    pub longitude: f64,
}

/// How near the guesses were.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct GeoScores {
    /// By kilometres, the share of queries that were guessed so near.
    pub within: BTreeMap<u32, Accuracy>,
    /// Median distance, in kilometres.
    pub median_km: f64,
}

/// The distance along the surface (haversine).
pub fn kilometres(a: Place, b: Place) -> f64 {
    let (p1, p2) = (a.latitude.to_radians(), b.latitude.to_radians());
    let (dp, dl) = (p2 - p1, (b.longitude - a.longitude).to_radians());
    let h = (dp / 2.0).sin().powi(2) + p1.cos() * p2.cos() * (dl / 2.0).sin().powi(2);
    2.0 * EARTH_RADIUS_KM * h.sqrt().min(1.0).asin()
}

/// Guesses for each query the place of the gallery image that is nearest in the embedding; of equal
/// ones the first. Both hold unit features, [n, d].
///
/// # Errors
/// No query, or features that are not finite.
pub fn geolocate(
    gallery: (&Tensor, &[Place]),
    queries: (&Tensor, &[Place]),
) -> Result<(Vec<usize>, GeoScores)> {
    if queries.1.is_empty() {
        return Err(Error::Empty("the queries".into()));
    }
    require_finite(gallery.0, |row| format!("row {row} of the gallery"))?;
    require_finite(queries.0, |row| format!("row {row} of the queries"))?;
    let columns = gallery.0.tr();
    let count = queries.0.size()[0];
    let mut nearest: Vec<usize> = Vec::new();
    for start in (0..count).step_by(BATCH as usize) {
        let rows = queries.0.narrow(0, start, BATCH.min(count - start));
        let found: Vec<i64> = Vec::try_from(rows.matmul(&columns).argmax(1, false))?;
        nearest.extend(found.into_iter().map(|at| at as usize));
    }
    let guesses = nearest.iter().zip(queries.1);
    let mut distances: Vec<f64> =
        guesses.map(|(&at, &own)| kilometres(gallery.1[at], own)).collect();
    let within = KILOMETRES
        .into_iter()
        .map(|limit| Ok((limit, Accuracy::of(distances.iter().map(|d| *d <= f64::from(limit)))?)));
    let within = within.collect::<Result<_>>()?;
    distances.sort_by(f64::total_cmp);
    let median_km = distances[distances.len() / 2];
    Ok((nearest, GeoScores { within, median_km }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_and_guesses() {
        let place = |latitude, longitude| Place { latitude, longitude };
        let (paris, london, sydney) =
            (place(48.8566, 2.3522), place(51.5074, -0.1278), place(-33.8688, 151.2093));
        assert!((kilometres(paris, london) - 343.5).abs() < 1.0);
        assert!((kilometres(place(0.0, 179.0), place(0.0, -179.0)) - 222.4).abs() < 0.1);
        let gallery = Tensor::from_slice(&[1.0f32, 0.0, 0.0, 1.0]).view([2, 2]);
        let queries = Tensor::from_slice(&[0.8f32, 0.6, 0.0, 1.0]).view([2, 2]);
        let (nearest, scores) =
            geolocate((&gallery, &[london, sydney]), (&queries, &[paris, sydney])).unwrap();
        assert_eq!(nearest, [0, 1]);
        assert_eq!((scores.within[&25].value, scores.within[&750].value), (0.5, 1.0));
    }
}
