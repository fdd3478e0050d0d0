//! Tensors as a pickle describes them: a view of a storage.

use clip_torch::tch::{Kind, Tensor};

/// PyTorch's storage classes.
const STORAGES: [(&str, Kind); 10] = [
    ("FloatStorage", Kind::Float),
    ("HalfStorage", Kind::Half),
    ("BFloat16Storage", Kind::BFloat16),
    ("DoubleStorage", Kind::Double),
    ("LongStorage", Kind::Int64),
    ("IntStorage", Kind::Int),
    ("ShortStorage", Kind::Int16),
    ("CharStorage", Kind::Int8),
    ("ByteStorage", Kind::Uint8),
    ("BoolStorage", Kind::Bool),
];

/// The type of a storage class.
pub(super) fn kind_of(class: &str) -> Option<Kind> {
    STORAGES.iter().find(|(name, _)| *name == class).map(|(_, kind)| *kind)
}

/// The storage class of a type.
pub(super) fn class_of(kind: Kind) -> Option<&'static str> {
    STORAGES.iter().find(|(_, known)| *known == kind).map(|(name, _)| *name)
}

/// A run of numbers in a record of the archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Storage {
    /// Its record is `data/{key}`.
    pub key: String,
    pub kind: Kind,
    /// Numbers in it.
    pub numel: i64,
}

/// A view of a storage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct View {
    pub storage: Storage,
    pub offset: i64,
    pub size: Vec<i64>,
    pub stride: Vec<i64>,
}

impl View {
    /// Checks that the view is in its storage, so that no crafted file reads beyond it.
    pub fn check(&self) -> Result<(), String> {
        let outside = || {
            let (size, stride) = (&self.size, &self.stride);
            format!("a tensor of size {size:?} and stride {stride:?} is outside its storage")
        };
        if self.size.len() != self.stride.len()
            || self.offset < 0
            || self.storage.numel < 0
            || self.size.iter().chain(&self.stride).any(|&side| side < 0)
        {
            return Err(outside());
        }
        if self.size.contains(&0) {
            return Ok(());
        }
        // A view that shows a number in several places, as `expand` makes it, is no larger on disk
        // than its storage, and as large in memory as it says.
        let numel = self.size.iter().try_fold(1i64, |numel, &side| numel.checked_mul(side));
        if numel.is_none_or(|numel| numel > self.storage.numel) {
            return Err(format!(
                "a tensor of size {:?} has more values than its storage, which has {}\nhint: save a copy of it: tensor.clone()",
                self.size, self.storage.numel
            ));
        }
        let last =
            self.size.iter().zip(&self.stride).try_fold(self.offset, |last, (side, step)| {
                (side - 1).checked_mul(*step).and_then(|reach| last.checked_add(reach))
            });
        last.filter(|&last| last < self.storage.numel).map(|_| ()).ok_or_else(outside)
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> u64 {
        let values =
            self.size.iter().fold(1u64, |all, &side| all.saturating_mul(side.max(0) as u64));
        values.saturating_mul(self.storage.kind.elt_size_in_bytes() as u64)
    }

    /// Whether its numbers are contiguous.
    pub fn is_contiguous(&self) -> bool {
        let mut expected = 1;
        self.size.iter().zip(&self.stride).rev().all(|(&side, &step)| {
            let fits = side == 1 || step == expected;
            expected *= side.max(1);
            fits
        })
    }

    /// The tensor, over a function that gives a contiguous one of the storage: offset and shape.
    pub fn over(
        &self,
        storage: impl Fn(i64, &[i64]) -> Result<Tensor, String>,
    ) -> Result<Tensor, String> {
        self.check()?;
        if self.is_contiguous() || self.size.contains(&0) {
            return storage(self.offset, &self.size);
        }
        let whole = storage(0, &[self.storage.numel])?;
        let view = whole.f_as_strided(&self.size, &self.stride, Some(self.offset));
        view.and_then(|view| view.f_contiguous()).map_err(|e| e.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(offset: i64, size: &[i64], stride: &[i64]) -> View {
        let storage = Storage { key: "0".into(), kind: Kind::Float, numel: 12 };
        View { storage, offset, size: size.to_vec(), stride: stride.to_vec() }
    }

    #[test]
    fn views_stay_in_their_storage() {
        assert!(view(0, &[3, 4], &[4, 1]).check().is_ok());
        assert!(view(0, &[4, 3], &[1, 4]).check().is_ok());
        assert!(view(1, &[3, 4], &[4, 1]).check().is_err());
        assert!(view(0, &[2], &[i64::MAX]).check().is_err());
        assert!(view(-1, &[2], &[1]).check().is_err());
        assert!(view(0, &[2], &[1, 1]).check().is_err());
        assert!(view(100, &[0, 3], &[3, 1]).check().is_ok());
        assert!(view(0, &[3, 4], &[0, 1]).check().is_ok());
        for (size, stride) in
            [([30_000, 30_000], [0, 0]), ([1 << 40, 1 << 40], [0, 0]), ([4, 4], [0, 1])]
        {
            let refused = view(0, &size, &stride).check().unwrap_err();
            assert!(refused.contains("more values than its storage, which has 12"), "{refused}");
        }
        assert!(view(3, &[3, 1, 3], &[3, 7, 1]).is_contiguous());
        assert!(!view(0, &[4, 3], &[1, 4]).is_contiguous());
    }

    #[test]
    fn a_transposed_view_is_read_as_its_values() {
        let numbers = Tensor::arange(12, (Kind::Float, clip_torch::tch::Device::Cpu));
        let storage = |offset: i64, shape: &[i64]| {
            let length = shape.iter().product::<i64>();
            Ok(numbers.narrow(0, offset, length).view(shape))
        };
        let read = view(0, &[4, 3], &[1, 4]).over(storage).unwrap();
        assert!(read.equal(&numbers.view([3, 4]).transpose(0, 1)));
        assert!(
            view(4, &[2, 4], &[4, 1])
                .over(storage)
                .unwrap()
                .equal(&numbers.view([3, 4]).narrow(0, 1, 2))
        );
    }
}
