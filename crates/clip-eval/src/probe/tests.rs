use super::*;
use clip_datasets::Metric;
use clip_torch::tch::{Device, Kind, Tensor};

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
    Part::of_features(rows, Target::Classes(labels[from..to].to_vec())).unwrap()
}

fn parts() -> Parts {
    let digits = digits();
    Parts {
        train: part(&digits, 0, 1000),
        val: part(&digits, 1000, 1297),
        test: part(&digits, 1297, 1797),
        classes: 10,
        metric: Metric::Accuracy,
    }
}

fn labels(part: &Part) -> &[usize] {
    let Target::Classes(labels) = &part.target else { panic!() };
    labels
}

/// Features that no other seed or row has, in 0 to 1, and unlike from class to class by chance
/// only.
fn noise(rows: usize, seed: u64) -> Tensor {
    let numbers: Vec<f32> =
        (0..rows).flat_map(|row| draw(seed, row)).map(|byte| f32::from(byte) / 255.0).collect();
    Tensor::from_slice(&numbers).view([rows as i64, 32])
}

fn of_noise(rows: usize, seed: u64, classes: usize) -> Part {
    let labels = (0..rows).map(|row| row % classes).collect();
    Part::of_features(noise(rows, seed), Target::Classes(labels)).unwrap()
}

#[test]
fn objectives_are_scikit_learns() {
    let digits = digits();
    let (train, test) = (part(&digits, 0, 1000), part(&digits, 1297, 1797));
    let data = Data::new(&train.features, labels(&train), 10).unwrap();
    let exact = Options { tolerance: 1e-10, iterations: 5000 };
    for (lambda, objective, correct) in
        [(1.0, 230.260988, 455), (1.0 / 0.316, 413.640705, 448), (100.0, 1659.184073, 433)]
    {
        let fit = data.fit(lambda, exact, None).unwrap();
        assert!((fit.objective - objective).abs() < 1e-6, "{lambda}: {}", fit.objective);
        let found = fit.predict(&test.features).unwrap();
        let right = found.iter().zip(labels(&test)).filter(|(a, b)| a == b).count();
        assert_eq!(right, correct, "{lambda}");
    }
    // In f32 the same to its precision.
    let single = Data::new(&train.features.to_kind(Kind::Float), labels(&train), 10).unwrap();
    let fit = single.fit(1.0, Options { tolerance: 1e-5, ..exact }, None).unwrap();
    assert!(fit.converged && (fit.objective - 230.260988).abs() < 1e-2, "{fit:?}");
}

#[test]
fn converged_fits_are_those_of_newtons_method() {
    // scikit-learn's newton-cholesky to 1e-10: right on validation, and on test when fitted on
    // both.
    let Parts { train, val, test, .. } = parts();
    let both = train.with(&val);
    let exact = Options { tolerance: 1e-9, iterations: 5000 };
    let right = |fitted: &Part, scored: &Part, lambda: f64| {
        let data = Data::new(&fitted.features, labels(fitted), 10).unwrap();
        let found = data.fit(lambda, exact, None).unwrap().predict(&scored.features).unwrap();
        found.iter().zip(labels(scored)).filter(|(a, b)| a == b).count()
    };
    for (lambda, on_val, on_test) in [(1e-2, 285, 462), (0.1, 287, 465), (1.0, 288, 459)] {
        assert_eq!(right(&train, &val, lambda), on_val, "{lambda}");
        assert_eq!(right(&both, &test, lambda), on_test, "{lambda}");
    }
}

#[test]
fn the_papers_search_halves_around_the_best() {
    let found = linear_probe(&parts(), None, Options::default(), |_| {}).unwrap();
    let correct = |trial: &Trial| (trial.value * 297.0).round() as u64;
    let most = found.trials.iter().map(correct).max().unwrap();
    let best = found.trials.iter().find(|trial| trial.lambda == found.lambda).unwrap();
    assert_eq!((correct(best), most), (288, 288), "{found:?}");
    let acc1 = found.scores.acc1.unwrap();
    assert!((7..=19).contains(&found.trials.len()) && acc1.correct >= 455, "{found:?}");
    let at = |lambda: f64| {
        correct(found.trials.iter().find(|t| (t.lambda / lambda - 1.0).abs() < 1e-6).unwrap())
    };
    for (lambda, wanted) in [(1.0, 288), (1e2, 271), (1e4, 76), (1e6, 28)] {
        assert_eq!(at(lambda), wanted, "{lambda}");
    }
    let given = linear_probe(&parts(), Some(found.lambda), Options::default(), |_| {}).unwrap();
    assert_eq!((given.trials.len(), given.scores.acc1), (0, found.scores.acc1));
}

#[test]
fn more_shots_are_better_and_zero_shot_is_read_off() {
    let shots = Shots { counts: &[1, 4, 2000], seeds: 2, zero_shot: Some(0.75) };
    let found = few_shot(&parts(), shots, Options::default(), |_| {}).unwrap();
    let shots: Vec<_> = found.points.iter().map(|point| point.shots).collect();
    assert_eq!((found.metric, shots), ("acc1", vec![Some(1), Some(4), None]));
    assert!(found.points.windows(2).all(|pair| pair[0].value < pair[1].value), "{found:?}");
    assert!(found.efficiency.is_some());
    // What was left out is named, with a class that is too small.
    let [left] = &found.left_out[..] else { panic!("{:?}", found.left_out) };
    let size = labels(&parts().train).iter().filter(|&&label| label == left.class).count();
    assert_eq!((left.shots, left.has), (2000, size));
}

#[test]
fn test_items_in_the_training_part_are_refused_or_left_out() {
    // Noise of eight classes: on what it was fitted on a probe is far above chance.
    let (train, test) = (of_noise(64, 1, 8), of_noise(64, 2, 8));
    let leaking = || Parts {
        train: of_noise(64, 1, 8),
        val: of_noise(64, 2, 8),
        test: of_noise(64, 2, 8),
        classes: 8,
        metric: Metric::Accuracy,
    };
    let error = linear_probe(&leaking(), None, Options::default(), |_| {}).unwrap_err();
    let message = error.to_string();
    assert!(message.starts_with("64 items of val are in test too"), "{message}");
    assert!(message.contains("\"row 0\" of val and \"row 0\" of test"), "{message}");
    let shots = Shots { counts: &[1], seeds: 1, zero_shot: None };
    assert!(few_shot(&leaking(), shots, Options::default(), |_| {}).is_err());

    let (own, held) = train.split(0);
    let mut clean = Parts { train: own, val: held, test, ..leaking() };
    assert_eq!(clean.drop_shared(), Dropped::default());
    let found = linear_probe(&clean, None, Options::default(), |_| {}).unwrap();
    let acc1 = found.scores.acc1.unwrap();
    assert!(acc1.low < 0.125 && 0.125 < acc1.high && acc1.value < 0.3, "{acc1:?}");

    // Three test items among those to fit on, one of them twice, and one to fit on among those to
    // choose on.
    let rows = |part: &Part, rows: &[usize]| part.rows(rows);
    clean.train = clean.train.with(&rows(&clean.test, &[5, 5, 9])).with(&rows(&clean.val, &[0]));
    clean.val = clean.val.with(&rows(&clean.test, &[30]));
    let before = (clean.train.len(), clean.val.len());
    let message = clean.check_disjoint().unwrap_err().to_string();
    assert!(message.contains("3 items of train are in test too"), "{message}");
    assert!(message.contains("\"row 5\" of train") && message.contains("--drop-shared"));
    let dropped = clean.drop_shared();
    assert_eq!(dropped, Dropped { train_in_test: 3, val_in_test: 1, train_in_val: 1 });
    assert_eq!(
        (clean.train.len() + 4, clean.val.len() + 1, dropped.count()),
        (before.0, before.1, 5)
    );
    clean.check_disjoint().unwrap();
}

#[test]
fn a_weak_strength_scores_as_the_search_found_it() {
    // One direction separates the classes, the others hardly vary: a step that trusts them all
    // alike fits noise.
    let part = |rows: usize, seed: u64| {
        let small = Tensor::cat(&[noise(rows, seed), noise(rows, seed + 1)], 1) * 1e-3;
        let labels: Vec<usize> = (0..rows).map(|row| row % 4).collect();
        let signal: Vec<f32> = labels.iter().map(|label| *label as f32).collect();
        let features = small + Tensor::from_slice(&signal).unsqueeze(1);
        Part::of_features(features, Target::Classes(labels)).unwrap()
    };
    let (train, val) = part(80, 10).split(0);
    let parts = Parts { train, val, test: part(200, 20), classes: 4, metric: Metric::Accuracy };
    let found = linear_probe(&parts, None, Options::default(), |_| {}).unwrap();
    let best = found.trials.iter().find(|trial| trial.lambda == found.lambda).unwrap();
    let acc1 = found.scores.acc1.unwrap().value;
    assert!(
        acc1 > best.value - 0.1,
        "{acc1} on test, {} on validation, {}",
        best.value,
        found.lambda
    );
    let given = linear_probe(&parts, Some(found.lambda), Options::default(), |_| {}).unwrap();
    assert_eq!(given.scores.acc1, found.scores.acc1);
}

#[test]
fn rows_of_one_content_are_drawn_together() {
    let part = of_noise(40, 3, 4);
    let (train, val) = part.split(7);
    assert_eq!((train.len(), val.len()), (32, 8));
    let (again, _) = part.split(7);
    assert_eq!(again.items, train.items);
    let twice = part.with(&part);
    let (train, val) = twice.split(7);
    assert_eq!((train.len(), val.len()), (64, 16));
    check_disjoint(("train", &train.items), ("val", &val.items)).unwrap();
    // With marks each class is drawn from, the rarest of an item first.
    let marks = (0..40).map(|row| vec![if row < 5 { 1 } else { -1 }, 1]).collect();
    let part = Part::of_features(noise(40, 3), Target::Marks(marks)).unwrap();
    let (train, val) = part.split(7);
    let rare = |part: &Part| {
        let Target::Marks(marks) = &part.target else { panic!() };
        marks.iter().filter(|row| row[0] == 1).count()
    };
    assert_eq!((rare(&train), rare(&val), val.len()), (4, 1, 8));
}

#[test]
fn the_metric_is_the_sets_where_the_truths_allow_it() {
    let classes = Target::Classes(vec![0]);
    for (wanted, count, found) in [
        (Metric::MeanTop1Top5, 5, Metric::MeanTop1Top5),
        (Metric::MeanTop1Top5, 4, Metric::Accuracy),
        (Metric::RocAuc, 2, Metric::RocAuc),
        (Metric::RocAuc, 3, Metric::Accuracy),
        (Metric::MeanPerClass, 3, Metric::MeanPerClass),
        (Metric::Map11Point, 20, Metric::Accuracy),
    ] {
        assert_eq!(metric_for(wanted, &classes, count), found);
    }
    assert_eq!(metric_for(Metric::Accuracy, &Target::Marks(vec![]), 3), Metric::Map11Point);
}

#[test]
fn rows_that_cannot_be_fitted_are_named() {
    let rows = Tensor::ones([3, 2], (Kind::Float, Device::Cpu));
    for (labels, reason) in
        [(&[0, 1][..], "2 labels for 3"), (&[0, 1, 9], "beyond"), (&[1, 1, 1], "one class")]
    {
        let error = Data::new(&rows, labels, 3).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
    let bad = &rows * f64::NAN;
    assert!(Data::new(&bad, &[0, 1, 1], 3).is_err());
    // Features that do not vary are fitted all the same.
    let fit = Data::new(&rows, &[0, 1, 1], 2).unwrap().fit(1.0, Options::default(), None).unwrap();
    assert_eq!(fit.predict(&rows).unwrap(), [1, 1, 1]);
}
