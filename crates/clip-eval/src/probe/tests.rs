use super::*;
use clip_torch::tch::{Device, Kind};

/// scikit-learn's digits: 1,797 of 8 x 8, pixels 0 to 16, the class after them.
fn digits() -> (Tensor, Vec<usize>) {
    let packed = include_bytes!("../../tests/golden/digits.csv.gz");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&packed[..]), &mut text)
        .unwrap();
    let rows: Vec<Vec<f64>> =
        text.lines().map(|line| line.split(',').map(|n| n.parse().unwrap()).collect()).collect();
    let pixels: Vec<f64> = rows.iter().flat_map(|row| row[..64].iter().map(|p| p / 16.0)).collect();
    let labels = rows.iter().map(|row| row[64] as usize).collect();
    (Tensor::from_slice(&pixels).view([rows.len() as i64, 64]), labels)
}

fn part((features, labels): &(Tensor, Vec<usize>), from: usize, to: usize) -> Part {
    let rows = features.narrow(0, from as i64, (to - from) as i64);
    Part { features: rows, labels: labels[from..to].to_vec() }
}

#[test]
fn objectives_are_scikit_learns() {
    let digits = digits();
    let (train, test) = (part(&digits, 0, 1000), part(&digits, 1297, 1797));
    let data = Data::new(&train.features, &train.labels, 10).unwrap();
    let exact = Options { tolerance: 1e-10, iterations: 5000 };
    for (lambda, objective, correct) in
        [(1.0, 230.260988, 455), (1.0 / 0.316, 413.640705, 448), (100.0, 1659.184073, 433)]
    {
        let fit = data.fit(lambda, exact, None).unwrap();
        assert!((fit.objective - objective).abs() < 1e-6, "{lambda}: {}", fit.objective);
        let found = fit.predict(&test.features).unwrap();
        let right = found.iter().zip(&test.labels).filter(|(a, b)| a == b).count();
        assert_eq!(right, correct, "{lambda}");
    }
    // In f32 the same to its precision.
    let single = Data::new(&train.features.to_kind(Kind::Float), &train.labels, 10).unwrap();
    let fit = single.fit(1.0, Options { tolerance: 1e-5, ..exact }, None).unwrap();
    assert!(fit.converged && (fit.objective - 230.260988).abs() < 1e-2, "{fit:?}");
}

#[test]
fn converged_fits_are_those_of_newtons_method() {
    // scikit-learn's newton-cholesky to 1e-10: right on validation, and on test when fitted on both.
    let digits = digits();
    let (train, val, test) =
        (part(&digits, 0, 1000), part(&digits, 1000, 1297), part(&digits, 1297, 1797));
    let both = train.with(&val);
    let exact = Options { tolerance: 1e-9, iterations: 5000 };
    let right = |fitted: &Part, scored: &Part, lambda: f64| {
        let data = Data::new(&fitted.features, &fitted.labels, 10).unwrap();
        let found = data.fit(lambda, exact, None).unwrap().predict(&scored.features).unwrap();
        found.iter().zip(&scored.labels).filter(|(a, b)| a == b).count()
    };
    for (lambda, on_val, on_test) in [(1e-2, 285, 462), (0.1, 287, 465), (1.0, 288, 459)] {
        assert_eq!(right(&train, &val, lambda), on_val, "{lambda}");
        assert_eq!(right(&both, &test, lambda), on_test, "{lambda}");
    }
}

#[test]
fn the_papers_search_halves_around_the_best() {
    let digits = digits();
    let (train, val, test) =
        (part(&digits, 0, 1000), part(&digits, 1000, 1297), part(&digits, 1297, 1797));
    let found = linear_probe(&train, &val, &test, 10, Options::default(), |_| {}).unwrap();
    let most = found.trials.iter().map(|trial| trial.correct).max().unwrap();
    let best = found.trials.iter().find(|trial| trial.lambda == found.lambda).unwrap();
    assert_eq!((best.correct, most), (288, 288), "{found:?}");
    assert!((7..=19).contains(&found.trials.len()) && found.acc1.correct >= 455, "{found:?}");
    let at = |lambda: f64| {
        found.trials.iter().find(|t| (t.lambda / lambda - 1.0).abs() < 1e-6).unwrap().correct
    };
    for (lambda, correct) in [(1.0, 288), (1e2, 271), (1e4, 76), (1e6, 28)] {
        assert_eq!(at(lambda), correct, "{lambda}");
    }
}

#[test]
fn more_shots_are_better_and_zero_shot_is_read_off() {
    let digits = digits();
    let (train, val, test) =
        (part(&digits, 0, 1000), part(&digits, 1000, 1297), part(&digits, 1297, 1797));
    let found = few_shot(
        &train,
        &val,
        &test,
        10,
        Shots { counts: &[1, 4, 2000], seeds: 2, zero_shot: Some(0.75) },
        Options::default(),
        |_| {},
    )
    .unwrap();
    let shots: Vec<_> = found.points.iter().map(|point| point.shots).collect();
    assert_eq!(shots, [Some(1), Some(4), None]);
    assert!(found.points.windows(2).all(|pair| pair[0].accuracy < pair[1].accuracy), "{found:?}");
    assert!(found.efficiency.is_some());
}

#[test]
fn rows_that_cannot_be_fitted_are_named() {
    let rows = Tensor::ones([3, 2], (Kind::Float, Device::Cpu));
    for (labels, told) in
        [(&[0, 1][..], "2 labels for 3"), (&[0, 1, 9], "beyond"), (&[1, 1, 1], "one class")]
    {
        let error = Data::new(&rows, labels, 3).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(told), "{error}");
    }
    let bad = &rows * f64::NAN;
    assert!(Data::new(&bad, &[0, 1, 1], 3).is_err());
    // Features that do not vary are fitted all the same.
    let fit = Data::new(&rows, &[0, 1, 1], 2).unwrap().fit(1.0, Options::default(), None).unwrap();
    assert_eq!(fit.predict(&rows).unwrap(), [1, 1, 1]);
}
