//! One logistic regression over the classes, or one for each class where items have several.

use clip_torch::tch::{Device, Kind, Tensor};

use super::objective::{Data, Fit};
use super::{Options, Part, Target};
use crate::Result;

/// What is fitted.
pub(super) enum Problem {
    Classes(Data),
    /// For each class those against which it is judged; none where they are all of one kind.
    Marks(Vec<Option<Data>>),
}

/// What was fitted, [`Problem`] by problem.
pub(super) enum Fitted {
    Classes(Fit),
    Marks(Vec<Option<Fit>>),
}

impl Problem {
    pub(super) fn new(part: &Part, classes: usize) -> Result<Self> {
        let marks = match &part.target {
            Target::Classes(labels) => {
                return Ok(Self::Classes(Data::new(&part.features, labels, classes)?));
            }
            Target::Marks(marks) => marks,
        };
        let one = |class: usize| -> Result<Option<Data>> {
            let judged: Vec<usize> =
                (0..marks.len()).filter(|&row| marks[row][class] != 0).collect();
            let labels: Vec<usize> =
                judged.iter().map(|&row| usize::from(marks[row][class] == 1)).collect();
            if !labels.contains(&0) || !labels.contains(&1) {
                return Ok(None);
            }
            let rows: Vec<i64> = judged.iter().map(|&row| row as i64).collect();
            let features = part.features.index_select(0, &Tensor::from_slice(&rows));
            Ok(Some(Data::new(&features, &labels, 2)?))
        };
        Ok(Self::Marks((0..classes).map(one).collect::<Result<_>>()?))
    }

    /// Fits by way of stronger ones. Where the strength is low, many weights are within the
    /// tolerance, and a step from zero finds some that fit noise: those near the optimum of a
    /// stronger fit are what the search scored.
    pub(super) fn fit_from_stronger(&self, lambda: f64, options: Options) -> Result<Fitted> {
        let (mut stronger, mut found) = (1.0, None);
        while stronger > lambda * (1.0 + 1e-9) {
            found = Some(self.fit(stronger, options, found.as_ref())?);
            stronger /= 100.0;
        }
        self.fit(lambda, options, found.as_ref())
    }

    pub(super) fn fit(
        &self,
        lambda: f64,
        options: Options,
        start: Option<&Fitted>,
    ) -> Result<Fitted> {
        match self {
            Self::Classes(data) => {
                let start = match start {
                    Some(Fitted::Classes(fit)) => Some(&fit.weights),
                    _ => None,
                };
                Ok(Fitted::Classes(data.fit(lambda, options, start)?))
            }
            Self::Marks(all) => {
                let begun = |class: usize| match start {
                    Some(Fitted::Marks(fits)) => fits[class].as_ref().map(|fit| &fit.weights),
                    _ => None,
                };
                let one = |(class, data): (usize, &Option<Data>)| {
                    data.as_ref().map(|data| data.fit(lambda, options, begun(class))).transpose()
                };
                Ok(Fitted::Marks(all.iter().enumerate().map(one).collect::<Result<_>>()?))
            }
        }
    }
}

impl Fitted {
    fn all(&self) -> Vec<&Fit> {
        match self {
            Self::Classes(fit) => vec![fit],
            Self::Marks(fits) => fits.iter().flatten().collect(),
        }
    }

    /// Scores [n, classes]: of a class that could not be fitted 0.
    pub(super) fn scores(&self, features: &Tensor) -> Tensor {
        match self {
            Self::Classes(fit) => fit.scores(features),
            Self::Marks(fits) => {
                let rows = features.size()[0];
                let column = |fit: &Option<Fit>| match fit {
                    Some(fit) => {
                        let both = fit.scores(features);
                        both.select(1, 1) - both.select(1, 0)
                    }
                    None => Tensor::zeros([rows], (Kind::Double, Device::Cpu)),
                };
                Tensor::stack(&fits.iter().map(column).collect::<Vec<_>>(), 1)
            }
        }
    }

    /// The sum over all regressions.
    pub(super) fn objective(&self) -> f64 {
        self.all().iter().map(|fit| fit.objective).sum()
    }

    /// Of the longest.
    pub(super) fn iterations(&self) -> usize {
        self.all().iter().map(|fit| fit.iterations).max().unwrap_or(0)
    }

    pub(super) fn converged(&self) -> bool {
        self.all().iter().all(|fit| fit.converged)
    }

    /// Classes that had no positive, or no negative item.
    pub(super) fn unfitted(&self) -> Vec<usize> {
        match self {
            Self::Classes(_) => Vec::new(),
            Self::Marks(fits) => (0..fits.len()).filter(|&class| fits[class].is_none()).collect(),
        }
    }
}
