//! Where the parts of a probe come from: a model and a set, or features that are there.

use std::ops::Range;
use std::path::PathBuf;

use anyhow::bail;
use clip_cli::torch::ProbeSource;
use clip_eval::{Dropped, Part, Parts, Target, metric_for};

use super::about::About;
use super::extract::Extractor;
use super::files;

enum Origin {
    Features(PathBuf),
    Model(Box<Extractor>),
}

/// An opened source.
pub struct Probed {
    pub about: About,
    origin: Origin,
}

/// Opens what is probed; `with_zero_shot` gives the score of zero-shot transfer as well.
pub fn open(source: &ProbeSource, with_zero_shot: bool) -> anyhow::Result<Probed> {
    clip_torch::init(None)?;
    if let Some(folder) = &source.features {
        let about = files::about(folder)?;
        return Ok(Probed { about, origin: Origin::Features(folder.clone()) });
    }
    let (extractor, about) = Extractor::open(source, with_zero_shot)?;
    if about.folds > 1 && source.fold.is_none() && source.save_features.is_some() {
        bail!(
            "--save-features: {} has {} folds, which share items\nhint: --fold N keeps one of them",
            about.name,
            about.folds
        );
    }
    Ok(Probed { about, origin: Origin::Model(Box::new(extractor)) })
}

/// The folds that are asked for, from 0.
pub fn folds(source: &ProbeSource, probed: &Probed) -> anyhow::Result<Range<usize>> {
    let about = &probed.about;
    Ok(match source.fold {
        None => 0..about.folds,
        Some(_) if about.folds == 1 => {
            bail!("--fold: {} has no predefined folds", about.name)
        }
        Some(fold) if (1..=about.folds).contains(&fold) => fold - 1..fold,
        Some(fold) => bail!("--fold {fold}: {} has folds 1 to {}", about.name, about.folds),
    })
}

impl Probed {
    /// The parts of a fold, with what was left out of them; with `chosen` there is a part to choose
    /// on.
    pub fn parts(
        &mut self,
        source: &ProbeSource,
        fold: usize,
        chosen: bool,
    ) -> anyhow::Result<(Parts, Dropped)> {
        let (train, val, test) = match &mut self.origin {
            Origin::Features(folder) => files::read(folder)?,
            Origin::Model(extractor) => extractor.parts(fold)?,
        };
        let about = &mut self.about;
        if let Origin::Model(extractor) = &self.origin {
            about.sample = extractor.sample;
        }
        if let Origin::Features(_) = &self.origin {
            about.classes = about.classes.max(files::classes([&train, &val, &test]));
        }
        about.metric = metric_for(about.metric, &train.target, about.classes);
        if let Some(folder) = &source.save_features {
            files::save(folder, about, [&train, &val, &test])?;
            println!("features: {}", folder.display());
        }
        let (classes, metric) = (about.classes, about.metric);
        let mut parts = Parts { train, val, test, classes, metric };
        about.hash(&parts);
        let dropped = if source.drop_shared { parts.drop_shared() } else { Dropped::default() };
        if source.drop_shared {
            println!(
                "left out: {} of train and {} of val that are in test, {} of train that are in val",
                dropped.train_in_test, dropped.val_in_test, dropped.train_in_val
            );
        }
        parts.check_disjoint()?;
        present(about, &parts, source.limit.is_some())?;
        if parts.val.is_empty() && chosen {
            (parts.train, parts.val) = parts.train.split(source.seed.unwrap_or(0));
        } else if source.seed.is_some() {
            bail!("--seed draws a validation part: no effect, since {} has one", about.name);
        }
        Ok((parts, dropped))
    }
}

/// Every class that is scored is fitted on, unless only some items are used; classes that are not
/// scored are printed.
fn present(about: &mut About, parts: &Parts, limited: bool) -> anyhow::Result<()> {
    let count = |part: &Part| {
        let mut counts = vec![0usize; about.classes];
        match &part.target {
            Target::Classes(labels) => labels.iter().for_each(|&label| counts[label] += 1),
            Target::Marks(marks) => marks.iter().for_each(|row| {
                row.iter().zip(&mut counts).for_each(|(mark, n)| *n += usize::from(*mark == 1));
            }),
        }
        counts
    };
    let (train, val, test) = (count(&parts.train), count(&parts.val), count(&parts.test));
    let fitted = |class: &usize| train[*class] + val[*class] > 0;
    let unknown = (0..about.classes).find(|class| test[*class] > 0 && !fitted(class));
    if let Some(class) = unknown.filter(|_| !limited) {
        bail!(
            "{}: {:?} has {} items to score and none to fit on\nhint: --classes leaves it out",
            about.name,
            about.class_name(class),
            test[class]
        );
    }
    let untested: Vec<String> = (0..about.classes)
        .filter(|class| fitted(class) && test[*class] == 0)
        .map(|class| about.class_name(class))
        .collect();
    if !untested.is_empty() && untested != about.untested {
        let some = untested.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let more = if untested.len() > 5 { ", …" } else { "" };
        println!(
            "{} of {} classes are fitted on but have no items to score: {some}{more}",
            untested.len(),
            about.classes
        );
    }
    about.untested = untested;
    Ok(())
}
