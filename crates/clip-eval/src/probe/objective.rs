//! Logistic regression with scikit-learn's objective: multinomial, or binomial where two classes
//! are present.

use clip_torch::tch::{Kind, Tensor, no_grad};

use super::lbfgs::{Minimum, Stop, minimise};
use crate::{Error, Result};

/// Rows that are multiplied at a time: they stay in the cache between the two products.
const BLOCK: i64 = 2048;
/// Rows that the preconditioner looks at, at most.
const SAMPLE: i64 = 16_384;

/// How the fits are made.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// The largest entry of the mean's gradient that counts as none.
    pub tolerance: f64,
    /// Most iterations a fit.
    pub iterations: usize,
}

impl Default for Options {
    /// scikit-learn's tolerance, the paper's iterations.
    fn default() -> Self {
        Self { tolerance: 1e-4, iterations: 1000 }
    }
}

/// Rows of features with their classes.
pub struct Data {
    /// Features with a column of ones after them, [n, d + 1], in blocks, with the classes, [n].
    blocks: Vec<(Tensor, Tensor)>,
    rows: i64,
    dim: i64,
    /// The classes that are present: others have no weights, as in scikit-learn.
    present: Vec<i64>,
    classes: usize,
    /// X'X / n of (some of) the rows, [d + 1, d + 1] in f64.
    gram: Tensor,
    kind: Kind,
}

/// A fitted classifier.
#[derive(Debug)]
pub struct Fit {
    /// Weights and, in the last column, biases, [classes present, d + 1] in f64.
    pub weights: Tensor,
    /// `sum of cross-entropies + lambda / 2 * sum of squared weights`: scikit-learn's, with C = 1
    /// / lambda. Of two classes the weights are one vector, the difference of both.
    pub objective: f64,
    /// Iterations of L-BFGS.
    pub iterations: usize,
    /// Whether it converged within them.
    pub converged: bool,
    present: Vec<i64>,
    classes: usize,
}

impl Data {
    /// Features [n, d], of f32 or f64, and classes. The arithmetic is that of the features.
    ///
    /// # Errors
    /// No rows, fewer than two classes present, a class that is out of range, or features that are
    /// not finite.
    pub fn new(features: &Tensor, labels: &[usize], classes: usize) -> Result<Self> {
        let [rows, dim] = features.size()[..] else {
            return Err(Error::Probe("features are not [rows, dimensions]".into()));
        };
        if rows == 0 || rows as usize != labels.len() {
            return Err(Error::Probe(format!("{} labels for {rows} rows", labels.len())));
        }
        if labels.iter().any(|&label| label >= classes) {
            return Err(Error::Probe(format!("a label beyond the {classes} classes")));
        }
        if labels.iter().all(|label| *label == labels[0]) {
            return Err(Error::Probe("all rows are of one class".into()));
        }
        let kind = if features.kind() == Kind::Double { Kind::Double } else { Kind::Float };
        let features = features.to_kind(kind).contiguous();
        if features.isfinite().all().int64_value(&[]) == 0 {
            return Err(Error::Probe("features that are not finite".into()));
        }
        let mut place = vec![-1i64; classes];
        labels.iter().for_each(|&label| place[label] = 0);
        let present: Vec<i64> =
            (0..classes).filter(|&class| place[class] == 0).map(|class| class as i64).collect();
        present.iter().enumerate().for_each(|(at, &class)| place[class as usize] = at as i64);
        let labels: Vec<i64> = labels.iter().map(|&label| place[label]).collect();
        let labels = Tensor::from_slice(&labels);
        let ones = Tensor::ones([rows, 1], (kind, features.device()));
        let x = Tensor::cat(&[&features, &ones], 1);
        let sample = rows.min(SAMPLE);
        let some = x.slice(0, 0, rows, (rows / sample).max(1)).to_kind(Kind::Double);
        let gram = some.tr().matmul(&some) / some.size()[0] as f64;
        let starts = (0..rows).step_by(BLOCK as usize);
        let blocks = starts
            .map(|at| {
                let size = BLOCK.min(rows - at);
                (x.narrow(0, at, size).contiguous(), labels.narrow(0, at, size))
            })
            .collect();
        Ok(Self { blocks, rows, dim: dim + 1, present, classes, gram, kind })
    }

    /// Fits with the strength `lambda`, from `start` (weights of another fit) or from zero.
    ///
    /// The optimum is scikit-learn's; the way there is shorter: the variables are changed by the
    /// Cholesky factor of Boehning's bound on the Hessian (1992), `X'X / 2n + lambda / n`. It
    /// stops by scikit-learn's rules: no entry of the mean's gradient above `tolerance`, or no
    /// change of the value.
    pub fn fit(&self, lambda: f64, options: Options, start: Option<&Tensor>) -> Result<Fit> {
        let n = self.rows as f64;
        let shape = [self.present.len() as i64, self.dim];
        // Of two classes scikit-learn has one vector of weights, w = b - a. With twice the strength
        // on a and b the optimum is the same: there a = -w / 2 and b = w / 2, so lambda
        // (|a|^2 + |b|^2) = lambda / 2 |w|^2.
        let strength = if self.present.len() == 2 { 2.0 * lambda } else { lambda };
        let penalty = strength / n;
        let mut diagonal = vec![penalty; self.dim as usize];
        // The bias is free; a little keeps the factor regular where features do not vary.
        diagonal[self.dim as usize - 1] = 0.0;
        let mean = self.gram.trace().double_value(&[]) / self.dim as f64;
        let bound = &self.gram * 0.5
            + Tensor::from_slice(&diagonal).diag(0)
            + Tensor::eye(self.dim, (Kind::Double, clip_torch::tch::Device::Cpu))
                * (1e-9 * mean.max(1e-12));
        let factor = bound.f_linalg_cholesky(false)?;
        // Weights w (rows) and variables u: u = w L, w = u L^-1; gradients: g_u = g_w L^-T.
        let weights = |u: &Tensor| factor.linalg_solve_triangular(u, false, false, false);
        let transposed = factor.tr();
        let flat = |tensor: &Tensor| Vec::<f64>::try_from(tensor.contiguous().view([-1]));
        let start = match start {
            Some(start) => flat(&start.matmul(&factor))?,
            None => vec![0.0; self.present.len() * self.dim as usize],
        };
        let (gradient, iterations) = (options.tolerance, options.iterations);
        // scikit-learn stops at this change whatever its tolerance; a tighter one than its default
        // iterates further.
        let tighter = (gradient / Options::default().tolerance).min(1.0);
        let stop = Stop { gradient, change: 64.0 * f64::EPSILON * tighter, iterations };
        let mut failed = None;
        let largest = std::cell::Cell::new(f64::INFINITY);
        let Minimum { x, value, iterations, converged } = no_grad(|| {
            minimise(
                start,
                stop,
                |_| largest.get(),
                |u, gradient| {
                    let u = Tensor::from_slice(u).view(shape);
                    let w = weights(&u);
                    match self.value(&w, penalty) {
                        Ok((value, slope)) => {
                            largest.set(slope.abs().max().double_value(&[]));
                            let slope =
                                transposed.linalg_solve_triangular(&slope, true, false, false);
                            slope.contiguous().view([-1]).copy_data(gradient, slope.numel());
                            value
                        }
                        Err(error) => {
                            failed.get_or_insert(error);
                            f64::NAN
                        }
                    }
                },
            )
        });
        if let Some(error) = failed {
            return Err(error);
        }
        let weights = weights(&Tensor::from_slice(&x).view(shape));
        let (present, classes) = (self.present.clone(), self.classes);
        Ok(Fit { weights, objective: value * n, iterations, converged, present, classes })
    }

    /// The mean loss with its penalty, and its gradient, at weights [classes present, d + 1].
    fn value(&self, weights: &Tensor, penalty: f64) -> Result<(f64, Tensor)> {
        let w = weights.to_kind(self.kind);
        let transposed = w.tr();
        let mut loss = 0.0;
        let mut gradient = Tensor::zeros_like(weights);
        for (x, labels) in &self.blocks {
            let scores = x.f_matmul(&transposed)?;
            let mut logs = scores.log_softmax(1, self.kind);
            let own = logs.gather(1, &labels.unsqueeze(1), false);
            loss -= own.sum(Kind::Double).double_value(&[]);
            let mut errors = logs.exp_();
            let _ = errors.scatter_add_(1, &labels.unsqueeze(1), &Tensor::full_like(&own, -1.0));
            gradient += errors.tr().matmul(x).to_kind(Kind::Double);
        }
        let n = self.rows as f64;
        let free = weights.narrow(1, 0, self.dim - 1);
        let square = (free.shallow_clone() * &free).sum(Kind::Double).double_value(&[]);
        gradient /= n;
        let mut own = gradient.narrow(1, 0, self.dim - 1);
        own += free * penalty;
        Ok((loss / n + penalty / 2.0 * square, gradient))
    }
}

impl Fit {
    /// Scores [n, classes] of features [n, d]; a class that nothing was fitted to has the lowest
    /// there is.
    pub fn scores(&self, features: &Tensor) -> Tensor {
        let dim = self.weights.size()[1] - 1;
        let features = features.to_kind(Kind::Double);
        let scores =
            features.matmul(&self.weights.narrow(1, 0, dim).tr()) + self.weights.select(1, dim);
        if self.present.len() == self.classes {
            return scores;
        }
        let shape = [features.size()[0], self.classes as i64];
        let all = Tensor::full(shape, f64::NEG_INFINITY, (Kind::Double, features.device()));
        all.index_copy(1, &Tensor::from_slice(&self.present), &scores)
    }

    /// The classes of features [n, d].
    pub fn predict(&self, features: &Tensor) -> Result<Vec<usize>> {
        let best = self.scores(features).argmax(1, false);
        Ok(Vec::<i64>::try_from(best)?.into_iter().map(|class| class as usize).collect())
    }
}
