//! The class names and prompts of a set that is opened, and which of its labels means which of
//! them.

use crate::item::Task;
use crate::load::prompts::DEFAULT_TEMPLATE;
use crate::matching::{ClassMatch, Pairing, pair};
use crate::open_options::OpenOptions;
use crate::registry::{self, Dataset, Prompts, Protocol, labels, prompts, wordnet_places};
use crate::{Error, Result};

/// What a set asks, and of which labels.
pub(crate) struct Classes {
    pub dataset: Option<&'static Dataset>,
    pub protocol: Protocol,
    pub prompts: Prompts,
    /// The class of each label.
    pub pairing: Pairing,
}

impl Classes {
    /// The class of each label, none where the labels are the classes themselves, in order.
    pub(crate) fn order(&self) -> Option<Vec<usize>> {
        let places = &self.pairing.places;
        let same = places.len() == self.prompts.names.len()
            && places.iter().enumerate().all(|(at, &to)| at == to);
        (!same).then(|| places.clone())
    }
}

/// Chooses whose prompts a set is asked with, and pairs its labels with their classes. `own` are
/// the prompts that its folder brings, `dataset` is what the registry knows under its name.
///
/// # Errors
/// When the protocol has no prompts for it, or its labels do not pair with the classes ([`pair`]).
pub(crate) fn choose(
    name: &str,
    dataset: Option<&'static Dataset>,
    options: &OpenOptions,
    task: Task,
    found: &[String],
    own: Option<Prompts>,
) -> Result<Classes> {
    let registered = options.name.is_some() || options.protocol.is_some();
    if own.is_none()
        && !(registered && dataset.is_some())
        && let Some(classes) = imagenet(dataset, options, found)
    {
        return Ok(classes);
    }
    // The paper's protocol before the others, as far as it knows the dataset.
    let default = dataset.filter(|_| own.is_none() && registered).and_then(|dataset| {
        let known = |protocol: &Protocol| prompts(&dataset.id, *protocol).is_some();
        [Protocol::OpenAi, Protocol::ClipBenchmark].into_iter().find(known)
    });
    // What is none of DataComp's sets has its folder's prompts, and no protocol of DataComp's.
    let known = dataset.is_some() || registry::find_datacomp(name).is_some();
    let protocol = options
        .protocol
        .filter(|asked| known || *asked != Protocol::DataComp)
        .or(default)
        .unwrap_or(Protocol::Folder);
    // DataComp's prompts are those in its folders.
    let theirs = dataset
        .filter(|_| protocol != Protocol::DataComp || own.is_none())
        .and_then(|d| prompts(&d.id, protocol));
    let chosen = |prompts, pairing| Ok(Classes { dataset, protocol, prompts, pairing });
    if task == Task::Retrieval {
        return chosen(Prompts::default(), Pairing::same(0));
    }
    let to_own = |own: &Prompts| pair(name, found, &own.names, labels(None));
    match (theirs, own) {
        (Some(theirs), own) => {
            let known = labels(dataset.map(|d| d.id.as_str()));
            let pairing = match own {
                Some(own) => {
                    let firsts: Vec<String> = own.names.iter().map(|n| n[0].clone()).collect();
                    to_own(&own)?.then(&pair(name, &firsts, &theirs.names, known)?)
                }
                None => pair(name, found, &theirs.names, known)?,
            };
            chosen(theirs, pairing)
        }
        (None, _) if matches!(protocol, Protocol::OpenAi | Protocol::ClipBenchmark) => {
            let reason = format!(
                "the protocol {} has no prompts for it\nhint: name the dataset, as cifar10=PATH; `clip-data eval datasets` lists the names",
                protocol.name()
            );
            Err(Error::Classes { set: name.to_owned(), reason })
        }
        (None, Some(own)) => {
            let pairing = to_own(&own)?;
            chosen(own, pairing)
        }
        (None, None) => {
            let names = found.iter().map(|label| vec![label.replace('_', " ")]).collect();
            let prompts = Prompts { names, templates: vec![DEFAULT_TEMPLATE.into()], own: None };
            chosen(prompts, Pairing::same(found.len()))
        }
    }
}

/// A folder whose labels are WordNet ids of ImageNet is ImageNet, or some of its classes: no prompt
/// says "a photo of a n01440764.", unless the folder's own protocol is asked for.
fn imagenet(
    dataset: Option<&'static Dataset>,
    options: &OpenOptions,
    found: &[String],
) -> Option<Classes> {
    let protocol = options.protocol.unwrap_or(Protocol::OpenAi);
    let places = wordnet_places(found)?;
    let all = prompts("imagenet", protocol)?;
    let whole = places.len() == all.names.len();
    let dataset = dataset.or_else(|| registry::find("imagenet").filter(|_| whole));
    let names = places.iter().map(|&at| all.names[at].clone()).collect();
    let pairing = Pairing { kind: ClassMatch::Name, places: (0..found.len()).collect() };
    Some(Classes { dataset, protocol, prompts: Prompts { names, ..all }, pairing })
}
