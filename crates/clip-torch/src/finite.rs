//! What a model computed must be numbers: a comparison with NaN is false, and so NaN passes for a
//! good rank.

use tch::{Device, Kind, Tensor};

use crate::{Error, Result};

/// The first row of `rows`, [n, …], that holds a value that is NaN or infinite; none where all are
/// finite.
pub fn first_not_finite(rows: &Tensor) -> Option<usize> {
    let finite = rows.isfinite();
    if rows.numel() == 0 || finite.all().int64_value(&[]) != 0 {
        return None;
    }
    let count = rows.size().first().copied().unwrap_or(1);
    let bad = finite.reshape([count, -1]).logical_not().any_dim(1, false);
    let first = bad.to_kind(Kind::Int64).to_device(Device::Cpu).argmax(0, false);
    Some(first.int64_value(&[]) as usize)
}

/// Refuses output of a model with a row that is not finite; `item` names what a row was computed
/// for.
///
/// # Errors
/// [`Error::NotFinite`] with the name of the first such row.
pub fn require_finite(rows: &Tensor, item: impl Fn(usize) -> String) -> Result<()> {
    match first_not_finite(rows) {
        None => Ok(()),
        Some(row) => Err(Error::NotFinite { item: item(row) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_that_is_not_finite_is_named() {
        let rows = |values: &[f32]| Tensor::from_slice(values).view([3, 2]);
        assert_eq!(first_not_finite(&rows(&[0.0; 6])), None);
        let (nan, inf) = (f32::NAN, f32::INFINITY);
        assert_eq!(first_not_finite(&rows(&[0.0, 1.0, nan, 0.0, inf, nan])), Some(1));
        assert_eq!(first_not_finite(&rows(&[0.0, 1.0, 2.0, 0.0, 3.0, -inf])), Some(2));
        let half = rows(&[1.0, 2.0, 3.0, 70_000.0, 0.0, 0.0]).to_kind(Kind::Half);
        let message = require_finite(&half, |row| format!("row {row}")).unwrap_err().to_string();
        assert!(message.contains("row 1") && message.contains("not finite"), "{message}");
        assert_eq!(first_not_finite(&Tensor::from_slice(&[1.0f64, f64::NAN])), Some(1));
        assert_eq!(first_not_finite(&Tensor::zeros([0, 4], (Kind::Float, Device::Cpu))), None);
    }
}
