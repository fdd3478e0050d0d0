//! Pairs on one stream, scores on the other.
//!
//! First comes the answer to no question: the version of this protocol, the number of columns
//! besides similarities, and the width of embeddings. A question is the number of pairs, then for
//! each its image's encoded bytes and its captions; the answer has, for each pair, a byte that says
//! what follows: the similarity of each caption, the columns and the embeddings, or why there are
//! none. Numbers are little-endian, of 32 bits, those of embeddings of 16; texts and bytes have
//! their length before them. The end of the questions ends the process.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};

/// Pairs in a question; also what is computed at a time, so that scores do not depend on who asks
/// beside.
pub const CHUNK: usize = 64;

const VERSION: u32 = 2;
const OK: u8 = 0;
const BAD_IMAGE: u8 = 1;
const NOT_FINITE: u8 = 2;

/// What is scored: an encoded image with its captions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pair<'a> {
    /// The image as it is stored.
    pub image: Cow<'a, [u8]>,
    /// One caption or several, the kept one first.
    pub captions: Vec<Cow<'a, str>>,
}

/// What a model says of a pair.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PairScores {
    /// Cosine similarity of the image and each caption.
    pub similarities: Vec<f32>,
    /// A number for each head, then a probability for each class.
    pub columns: Vec<f32>,
    /// The unit embeddings, where they are asked for.
    pub embeddings: Option<PairEmbeddings>,
}

/// The unit embeddings of a pair, as numbers of 16 bits (IEEE 754 binary16, little-endian).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PairEmbeddings {
    /// That of the image.
    pub image: Vec<u8>,
    /// That of the first caption.
    pub text: Vec<u8>,
}

/// What a model gives for each pair besides similarities.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Greeting {
    /// The number of columns.
    pub columns: usize,
    /// Numbers of an embedding; 0 where none are sent.
    pub width: usize,
}

/// Why a pair has no scores.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// The image cannot be decoded.
    Image(String),
    /// What the model computed is not finite.
    NotFinite(String),
}

impl Fault {
    /// One short word for the funnel.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::Image(_) => "undecodable_image",
            Self::NotFinite(_) => "score_not_finite",
        }
    }

    /// What exactly happened.
    pub fn detail(&self) -> &str {
        match self {
            Self::Image(detail) | Self::NotFinite(detail) => detail,
        }
    }
}

/// Scores, or why there are none.
pub type Scored = Result<PairScores, Fault>;

fn write_number(out: &mut dyn Write, number: usize) -> io::Result<()> {
    let number = u32::try_from(number).map_err(|_| io::Error::other("a length beyond 4 GiB"))?;
    out.write_all(&number.to_le_bytes())
}

fn write_bytes(out: &mut dyn Write, bytes: &[u8]) -> io::Result<()> {
    write_number(out, bytes.len())?;
    out.write_all(bytes)
}

fn read_number(from: &mut dyn Read) -> io::Result<usize> {
    let mut bytes = [0; 4];
    from.read_exact(&mut bytes)?;
    Ok(u32::from_le_bytes(bytes) as usize)
}

fn read_bytes(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let length = read_number(from)?;
    read_some(from, length)
}

/// Grows with what comes, so that a length alone takes no memory.
fn read_some(from: &mut dyn Read, length: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(length as u64).read_to_end(&mut bytes)?;
    if bytes.len() < length { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn read_text(from: &mut dyn Read) -> io::Result<String> {
    String::from_utf8(read_bytes(from)?).map_err(|e| io::Error::new(ErrorKind::InvalidData, e))
}

fn read_floats(from: &mut dyn Read, count: usize) -> io::Result<Vec<f32>> {
    let float = |_| Ok(f32::from_bits(read_number(from)? as u32));
    (0..count).map(float).collect()
}

fn read_embeddings(from: &mut dyn Read, width: usize) -> io::Result<PairEmbeddings> {
    Ok(PairEmbeddings { image: read_some(from, 2 * width)?, text: read_some(from, 2 * width)? })
}

/// Says that the model is ready, and what it gives.
///
/// # Errors
/// When the stream fails, as with all functions here.
pub fn write_greeting(out: &mut dyn Write, greeting: Greeting) -> io::Result<()> {
    write_number(out, VERSION as usize)?;
    write_number(out, greeting.columns)?;
    write_number(out, greeting.width)?;
    out.flush()
}

/// Waits until the model is ready.
pub fn read_greeting(from: &mut dyn Read) -> io::Result<Greeting> {
    let version = read_number(from)?;
    if version != VERSION as usize {
        let reason = format!("protocol {version} where {VERSION} is spoken");
        return Err(io::Error::new(ErrorKind::InvalidData, reason));
    }
    Ok(Greeting { columns: read_number(from)?, width: read_number(from)? })
}

/// Asks for the scores of some pairs.
pub fn write_question(out: &mut dyn Write, pairs: &[Pair<'_>]) -> io::Result<()> {
    write_number(out, pairs.len())?;
    for pair in pairs {
        write_bytes(out, &pair.image)?;
        write_number(out, pair.captions.len())?;
        pair.captions.iter().try_for_each(|caption| write_bytes(out, caption.as_bytes()))?;
    }
    out.flush()
}

/// The next question; none when they have ended.
pub fn read_question(from: &mut dyn Read) -> io::Result<Option<Vec<Pair<'static>>>> {
    let count = match read_number(from) {
        Err(e) if e.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        count => count?,
    };
    let mut pairs = Vec::new();
    for _ in 0..count {
        let image = Cow::Owned(read_bytes(from)?);
        let captions = read_number(from)?;
        let caption = |_| Ok(Cow::Owned(read_text(from)?));
        pairs
            .push(Pair { image, captions: (0..captions).map(caption).collect::<io::Result<_>>()? });
    }
    Ok(Some(pairs))
}

/// Answers a question.
pub fn write_answer(out: &mut dyn Write, scored: &[Scored]) -> io::Result<()> {
    for scores in scored {
        match scores {
            Ok(PairScores { similarities, columns, embeddings }) => {
                out.write_all(&[OK])?;
                for value in similarities.iter().chain(columns) {
                    out.write_all(&value.to_le_bytes())?;
                }
                if let Some(PairEmbeddings { image, text }) = embeddings {
                    out.write_all(image)?;
                    out.write_all(text)?;
                }
            }
            Err(fault) => {
                let kind = match fault {
                    Fault::Image(_) => BAD_IMAGE,
                    Fault::NotFinite(_) => NOT_FINITE,
                };
                out.write_all(&[kind])?;
                write_bytes(out, fault.detail().as_bytes())?;
            }
        }
    }
    out.flush()
}

/// The answer to a question of `pairs`, of a model that greeted so.
pub fn read_answer(
    from: &mut dyn Read,
    pairs: &[Pair<'_>],
    greeting: Greeting,
) -> io::Result<Vec<Scored>> {
    let Greeting { columns, width } = greeting;
    let scored = |pair: &Pair<'_>| {
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        Ok(match kind[0] {
            OK => Ok(PairScores {
                similarities: read_floats(from, pair.captions.len())?,
                columns: read_floats(from, columns)?,
                embeddings: (width > 0).then(|| read_embeddings(from, width)).transpose()?,
            }),
            BAD_IMAGE => Err(Fault::Image(read_text(from)?)),
            NOT_FINITE => Err(Fault::NotFinite(read_text(from)?)),
            other => {
                let reason = format!("an answer of the unknown kind {other}");
                return Err(io::Error::new(ErrorKind::InvalidData, reason));
            }
        })
    };
    pairs.iter().map(scored).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair(image: &'static [u8], captions: &[&'static str]) -> Pair<'static> {
        let captions = captions.iter().map(|&text| Cow::Borrowed(text)).collect();
        Pair { image: Cow::Borrowed(image), captions }
    }

    #[test]
    fn what_is_written_is_read() {
        let pairs = [pair(b"jpeg", &["a", "b"]), pair(b"", &["c"]), pair(b"x", &["d"])];
        let embeddings = PairEmbeddings { image: vec![1, 2, 3, 4], text: vec![5, 6, 7, 8] };
        let scored = [
            Ok(PairScores {
                similarities: vec![0.25, -0.5],
                columns: vec![5.0],
                embeddings: Some(embeddings),
            }),
            Err(Fault::Image("no image".into())),
            Err(Fault::NotFinite("clip_similarity is NaN".into())),
        ];
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        write_question(&mut questions, &pairs).unwrap();
        let greeting = Greeting { columns: 1, width: 2 };
        write_greeting(&mut answers, greeting).unwrap();
        write_answer(&mut answers, &scored).unwrap();
        let (mut questions, mut answers) = (questions.as_slice(), answers.as_slice());
        assert_eq!(read_question(&mut questions).unwrap().unwrap(), pairs);
        assert_eq!(read_question(&mut questions).unwrap(), None);
        assert_eq!(read_greeting(&mut answers).unwrap(), greeting);
        assert_eq!(read_answer(&mut answers, &pairs, greeting).unwrap(), scored);
        assert!(read_answer(&mut answers, &pairs, greeting).is_err());
    }

    #[test]
    fn lengths_that_are_not_there_and_other_protocols_are_errors() {
        let mut cut = [1u32, u32::MAX].map(u32::to_le_bytes).concat();
        cut.push(7);
        assert!(read_question(&mut cut.as_slice()).is_err());
        assert!(read_greeting(&mut [9, 0, 0, 0, 1, 0, 0, 0].as_slice()).is_err());
    }
}
