//! Heads on an image's embedding.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::de::value::Error as ValueError;
use serde::de::{DeserializeOwned, IntoDeserializer};
use serde::{Deserialize, Serialize};

/// A linear layer or a small MLP that gives one number for an image's unit embedding: LAION's
/// aesthetic predictor, a CLIP-based NSFW detector.
///
/// As text: `NAME=FILE`, then `,activation=relu` and `,output=sigmoid` where they are not `none`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The name of its column.
    pub name: String,
    /// Its weights: safetensors, or what `torch.save` wrote of a state dict.
    pub file: PathBuf,
    /// What is between its layers.
    pub activation: Activation,
    /// What is after the last.
    pub output: HeadOutput,
}

/// What is between the layers of a head; weights do not say it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Activation {
    /// Nothing, as in LAION's aesthetic predictor.
    #[default]
    None,
    /// The positive part.
    Relu,
    /// The exact GELU.
    Gelu,
}

/// What is after the last layer of a head.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HeadOutput {
    /// Nothing.
    #[default]
    None,
    /// A probability.
    Sigmoid,
}

impl FromStr for Head {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, mut rest) =
            text.split_once('=').ok_or_else(|| "not NAME=FILE[,activation=relu]".to_owned())?;
        let (mut activation, mut output) = (Activation::None, HeadOutput::None);
        // From the end, so that a comma in the file's name is one.
        while let Some((file, option)) = rest.rsplit_once(',') {
            match option.split_once('=') {
                Some(("activation", word)) => activation = choice(option, word)?,
                Some(("output", word)) => output = choice(option, word)?,
                _ => break,
            }
            rest = file;
        }
        if rest.is_empty() {
            return Err("no file after the name".into());
        }
        Ok(Self { name: name.to_owned(), file: rest.into(), activation, output })
    }
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={},activation=", self.name, self.file.display())?;
        self.activation.serialize(&mut *f)?;
        f.write_str(",output=")?;
        self.output.serialize(f)
    }
}

/// A choice by its name, from `KEY=NAME`.
fn choice<T: DeserializeOwned>(option: &str, name: &str) -> Result<T, String> {
    let wrong = |e: ValueError| format!("{option}: {e}");
    T::deserialize(name.into_deserializer()).map_err(wrong)
}

/// A zero-shot class and one of its prompts, from `NAME=PROMPT`.
///
/// # Errors
/// In words, when there is no name or no prompt.
pub fn parse_class(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, prompt)) if !name.is_empty() && !prompt.trim().is_empty() => {
            Ok((name.to_owned(), prompt.to_owned()))
        }
        _ => Err("not NAME=PROMPT".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_are_written_as_they_are_read() {
        for text in [
            "nsfw=h14.pth,activation=relu,output=sigmoid",
            "a=dir/a,b=c.safetensors,activation=none,output=none",
        ] {
            assert_eq!(text.parse::<Head>().unwrap().to_string(), text);
        }
        let plain: Head = "a=b.safetensors".parse().unwrap();
        assert_eq!((plain.activation, plain.output), (Activation::None, HeadOutput::None));
        for wrong in ["a", "a=", "a=b,activation=tanh", "a=b,output=softmax"] {
            assert!(wrong.parse::<Head>().is_err(), "{wrong}");
        }
        assert_eq!(parse_class("nsfw=a = b"), Ok(("nsfw".into(), "a = b".into())));
        assert!(parse_class("nsfw= ").is_err() && parse_class("nsfw").is_err());
    }
}
