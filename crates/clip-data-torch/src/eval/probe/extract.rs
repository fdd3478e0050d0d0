//! Features of the parts of a set, each distinct item once.

use std::collections::{HashMap, HashSet};

use anyhow::bail;
use clip_cli::torch::{ModelArgs, ModelPath, ProbeSource, PromptArgs};
use clip_datasets::{Error, EvalSet, OpenOptions, Split, Task, Truth};
use clip_eval::{
    FeatureOptions, Part, ProbeItem, Sample, Space, Target, ZeroShotOptions, image_features,
    metric_for, zero_shot,
};
use clip_torch::tch::Tensor;

use super::super::inputs::{Model, progress, warnings};
use super::about::About;

/// What features are taken of.
pub struct Extractor {
    model: Model,
    options: FeatureOptions,
    dataset: String,
    test_dataset: Option<String>,
    protocol: Option<clip_datasets::Protocol>,
    subset: Option<String>,
    /// The train part, whose classes all others are numbered by.
    reference: EvalSet,
    /// Items that several folds share, of a set whose keys name the same item in all of them.
    seen: Seen,
    /// How many items of the part that was taken last, the test part.
    pub sample: Option<Sample>,
}

/// Items by key, with the row of their features.
#[derive(Default)]
struct Seen {
    places: HashMap<String, (usize, Truth, [u8; 32])>,
    features: Option<Tensor>,
}

impl Extractor {
    /// Opens model and set.
    pub fn open(source: &ProbeSource, with_zero_shot: bool) -> anyhow::Result<(Self, About)> {
        let (Some(model), Some(dataset)) = (&source.model, &source.dataset) else {
            bail!("--model and --dataset, or --features");
        };
        let fold = source.fold.map(|fold| fold.saturating_sub(1));
        let classes = source.classes.as_deref();
        let reference = opened(dataset, source.protocol, classes, Split::Train, fold);
        let reference = reference.map_err(|error| match error.downcast_ref::<Error>() {
            Some(Error::Part { path, part, tree }) => anyhow::anyhow!(
                "{}: no {part} part, which a probe is fitted on; `clip-data eval zero-shot` needs none\nhint: the expected tree is\n{tree}",
                path.display()
            ),
            _ => error,
        })?;
        if reference.task == Task::Retrieval {
            bail!("{}: a probe wants classes, not captions", reference.name);
        }
        if with_zero_shot && reference.task != Task::Classification {
            bail!("{}: few-shot examples are drawn by class: one class an item", reference.name);
        }
        let space = if source.projected { Space::Joint } else { Space::Tower };
        let weights = ModelPath::at(model.clone()).with(source.options.clone());
        let model = Model::open(&ModelArgs { weights, device: source.device.clone() })?;
        let mut about = About {
            name: match &source.test_dataset {
                Some(other) => clip_datasets::set_name(other),
                None => reference.name.clone(),
            },
            fitted_on: source.test_dataset.as_ref().map(|_| reference.name.clone()),
            model: model.name(),
            model_hash: model.hash.clone(),
            config_hash: model.config_hash(),
            space: if source.projected { "projected".into() } else { "tower".into() },
            preprocess: Some(model.preprocess()),
            metric: metric_of(&reference),
            classes: reference.classes.len(),
            class_names: reference.classes.clone(),
            subset: reference.subset.clone(),
            folds: reference.folds,
            ..About::default()
        };
        let extractor = Self {
            options: FeatureOptions {
                space,
                limit: source.limit,
                batch_size: source.batch.batch_size,
                ..FeatureOptions::default()
            },
            model,
            dataset: dataset.clone(),
            test_dataset: source.test_dataset.clone(),
            protocol: source.protocol,
            subset: source.classes.clone(),
            reference,
            seen: Seen::default(),
            sample: None,
        };
        // What does not fit is an error before hours of features.
        let test = extractor.set(Split::Test, fold)?;
        // Most are of both parts.
        let mut said = warnings(&extractor.reference);
        let of_test = warnings(&test).into_iter();
        said.extend(of_test.filter(|text| !said.contains(text)).collect::<Vec<_>>());
        said.iter().for_each(|text| eprintln!("{text}"));
        extractor.places(&test)?;
        if with_zero_shot {
            about.zero_shot = extractor.zero_shot(&test, about.classes)?;
        }
        Ok((extractor, about))
    }

    fn set(&self, split: Split, fold: Option<usize>) -> anyhow::Result<EvalSet> {
        let (dataset, fold) = match &self.test_dataset {
            Some(other) if split == Split::Test => (other, None),
            _ => (&self.dataset, fold),
        };
        opened(dataset, self.protocol, self.subset.as_deref(), split, fold)
    }

    /// Where the classes of another part are among those of the train part.
    fn places(&self, set: &EvalSet) -> anyhow::Result<Vec<Option<usize>>> {
        if set.task != self.reference.task {
            bail!("{}: one class an item here, several there", set.name);
        }
        Ok(set.places_in(&self.reference)?)
    }

    fn zero_shot(&self, test: &EvalSet, classes: usize) -> anyhow::Result<Option<f64>> {
        if test.classes.len() != classes {
            println!(
                "zero-shot chooses among the {} classes of {}, the probes among the {classes} that they are fitted on",
                test.classes.len(),
                test.name
            );
        }
        let prompts = PromptArgs {
            templates: None,
            class_prompts: None,
            names: "mean".into(),
            classifier_cache: None,
            no_classifier_cache: false,
        };
        let options = ZeroShotOptions {
            cache: prompts.cache(),
            model_hash: self.model.hash.clone(),
            limit: self.options.limit,
            batch_size: Some(self.options.batch_size),
            ..ZeroShotOptions::default()
        };
        let shown = progress(&test.name, test.len());
        let found = zero_shot(&self.model.clip, &self.model.tokenizer, test, &options, &shown);
        let found = self.model.blame(found)?;
        Ok(found.metrics.get(metric_of(&self.reference).name()).copied().flatten())
    }

    /// Train, validation (or nothing) and test of a fold.
    pub fn parts(&mut self, fold: usize) -> anyhow::Result<(Part, Part, Part)> {
        let fold = Some(fold).filter(|_| self.reference.folds > 1);
        let train = self.part(self.set(Split::Train, fold)?)?;
        let val = match self.set(Split::Val, fold) {
            Ok(set) => self.part(set)?,
            Err(error) if lacks_part(&error) => Part::empty(),
            Err(error) => return Err(error),
        };
        let test = self.part(self.set(Split::Test, fold)?)?;
        Ok((train, val, test))
    }

    fn part(&mut self, mut set: EvalSet) -> anyhow::Result<Part> {
        let places = self.places(&set)?;
        let own = set.split != Split::Test || self.test_dataset.is_none();
        let keys = if own && self.reference.folds > 1 { set.keys() } else { None };
        let Some(mut keys) = keys else {
            let found = self.features(&set, self.options)?;
            self.sample = Some(found.sample);
            let contents = found.keys.into_iter().zip(found.contents);
            let items = contents.map(|(key, content)| ProbeItem { key, content }).collect();
            let target = self.target(&found.truths, &places)?;
            return Ok(Part { features: found.tensor, target, items });
        };
        let (limit, items_total) = (self.options.limit, keys.len() as u64);
        self.sample = Some(Sample { limit, items_total });
        if let Some(limit) = limit.filter(|limit| *limit < keys.len()) {
            keys = (0..limit).map(|at| keys[at * keys.len() / limit].clone()).collect();
        }
        let missing: HashSet<&str> = keys
            .iter()
            .map(String::as_str)
            .filter(|key| !self.seen.places.contains_key(*key))
            .collect();
        if !missing.is_empty() {
            set.retain(|key| missing.contains(key));
            let found = self.features(&set, FeatureOptions { limit: None, ..self.options })?;
            self.seen.add(found);
        }
        // A key that is not there is of a class that is left out.
        let seen = || keys.iter().filter_map(|key| Some((key, self.seen.places.get(key)?)));
        let rows: Vec<i64> = seen().map(|(_, found)| found.0 as i64).collect();
        let truths: Vec<Truth> = seen().map(|(_, found)| found.1.clone()).collect();
        let item = |(key, found): (&String, &(usize, Truth, [u8; 32]))| ProbeItem {
            key: key.clone(),
            content: found.2,
        };
        let items = seen().map(item).collect();
        let features = self.seen.features.as_ref();
        let Some(features) = features.filter(|_| !rows.is_empty()) else {
            bail!("{}: no items of its {} part", set.name, set.split.name());
        };
        let features = features.index_select(0, &Tensor::from_slice(&rows));
        Ok(Part { features, target: self.target(&truths, &places)?, items })
    }

    fn features(
        &self,
        set: &EvalSet,
        options: FeatureOptions,
    ) -> anyhow::Result<clip_eval::Features> {
        let name = format!("{} {}", set.name, set.split.name());
        let shown = progress(&name, set.len());
        self.model.blame(image_features(&self.model.clip, set, options, &shown))
    }

    /// Truths by the classes of the train part; marks of classes that a part does not have are not
    /// judged.
    fn target(&self, truths: &[Truth], places: &[Option<usize>]) -> anyhow::Result<Target> {
        let count = self.reference.classes.len();
        if self.reference.task == Task::MultiLabel {
            let place = |truth: &Truth| {
                let mut placed = vec![0; count];
                if let Truth::Marks(marks) = truth {
                    for (mark, place) in marks.iter().zip(places) {
                        if let Some(place) = place {
                            placed[*place] = *mark;
                        }
                    }
                }
                placed
            };
            return Ok(Target::Marks(truths.iter().map(place).collect()));
        }
        let class = |truth: &Truth| truth.class().and_then(|class| places[class]);
        match truths.iter().map(class).collect::<Option<Vec<usize>>>() {
            Some(classes) => Ok(Target::Classes(classes)),
            None => bail!("{}: an item of a class that the train part lacks", self.reference.name),
        }
    }
}

impl Seen {
    fn add(&mut self, found: clip_eval::Features) {
        let start = self.places.len();
        let items = found.keys.into_iter().zip(found.truths).zip(found.contents);
        for (at, ((key, truth), content)) in items.enumerate() {
            self.places.insert(key, (start + at, truth, content));
        }
        self.features = Some(match self.features.take() {
            Some(features) => Tensor::cat(&[features, found.tensor], 0),
            None => found.tensor,
        });
    }
}

/// The metric that probes of the set are chosen and scored by.
fn metric_of(set: &EvalSet) -> clip_datasets::Metric {
    let kind = match set.task {
        Task::MultiLabel => Target::Marks(Vec::new()),
        _ => Target::Classes(Vec::new()),
    };
    metric_for(set.metric(), &kind, set.classes.len())
}

fn opened(
    dataset: &str,
    protocol: Option<clip_datasets::Protocol>,
    classes: Option<&str>,
    split: Split,
    fold: Option<usize>,
) -> anyhow::Result<EvalSet> {
    let options = OpenOptions { protocol, split, fold, ..OpenOptions::default() };
    let mut set = clip_datasets::open_named(dataset, &options)?;
    if let Some(classes) = classes {
        set.keep_classes(classes)?;
    }
    Ok(set)
}

fn lacks_part(error: &anyhow::Error) -> bool {
    matches!(error.downcast_ref::<Error>(), Some(Error::Part { .. }))
}
