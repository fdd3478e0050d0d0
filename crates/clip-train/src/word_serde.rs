//! Settings that recipes hold as one word: read with [`FromStr`](std::str::FromStr), written with
//! [`Display`](std::fmt::Display).

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::{Augment, TrainPrecision};

macro_rules! as_word {
    ($($setting:ty),*) => {$(
        impl Serialize for $setting {
            fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                String::deserialize(input)?.parse().map_err(D::Error::custom)
            }
        }
    )*};
}

as_word!(Augment, TrainPrecision);
