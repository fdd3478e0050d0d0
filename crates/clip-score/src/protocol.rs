//! Pairs on one stream, scores on the other.
//!
//! First comes the answer to no question: the version of this protocol and the number of columns
//! besides similarities. A question is the number of pairs, then for each its image's encoded bytes
//! and its captions; the answer has, for each pair, a byte that says what follows: the similarity
//! of each caption and the columns, or why there are none. Numbers are little-endian, of 32 bits;
//! texts and bytes have their length before them. The end of the questions ends the process.

use std::borrow::Cow;
use std::io::{self, ErrorKind, Read, Write};

/// Pairs in a question; also what is computed at a time, so that scores do not depend on who asks
/// beside.
pub const CHUNK: usize = 64;

const VERSION: u32 = 1;
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

/// Grows with what comes, so that a length alone takes no memory.
fn read_bytes(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let length = read_number(from)?;
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

/// Says that the model is ready; it gives `columns` numbers for each image.
///
/// # Errors
/// When the stream fails, as with all functions here.
pub fn write_greeting(out: &mut dyn Write, columns: usize) -> io::Result<()> {
    write_number(out, VERSION as usize)?;
    write_number(out, columns)?;
    out.flush()
}

/// Waits until the model is ready, and gives the number of its columns.
pub fn read_greeting(from: &mut dyn Read) -> io::Result<usize> {
    let version = read_number(from)?;
    if version != VERSION as usize {
        let reason = format!("protocol {version} where {VERSION} is spoken");
        return Err(io::Error::new(ErrorKind::InvalidData, reason));
    }
    read_number(from)
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
            Ok(PairScores { similarities, columns }) => {
                out.write_all(&[OK])?;
                for value in similarities.iter().chain(columns) {
                    out.write_all(&value.to_le_bytes())?;
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

/// The answer to a question of `pairs`, with `columns` numbers besides similarities.
pub fn read_answer(
    from: &mut dyn Read,
    pairs: &[Pair<'_>],
    columns: usize,
) -> io::Result<Vec<Scored>> {
    let scored = |pair: &Pair<'_>| {
        let mut kind = [0];
        from.read_exact(&mut kind)?;
        Ok(match kind[0] {
            OK => Ok(PairScores {
                similarities: read_floats(from, pair.captions.len())?,
                columns: read_floats(from, columns)?,
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
        let scored = [
            Ok(PairScores { similarities: vec![0.25, -0.5], columns: vec![5.0] }),
            Err(Fault::Image("no image".into())),
            Err(Fault::NotFinite("clip_similarity is NaN".into())),
        ];
        let (mut questions, mut answers) = (Vec::new(), Vec::new());
        write_question(&mut questions, &pairs).unwrap();
        write_greeting(&mut answers, 1).unwrap();
        write_answer(&mut answers, &scored).unwrap();
        let (mut questions, mut answers) = (questions.as_slice(), answers.as_slice());
        assert_eq!(read_question(&mut questions).unwrap().unwrap(), pairs);
        assert_eq!(read_question(&mut questions).unwrap(), None);
        assert_eq!(read_greeting(&mut answers).unwrap(), 1);
        assert_eq!(read_answer(&mut answers, &pairs, 1).unwrap(), scored);
        assert!(read_answer(&mut answers, &pairs, 1).is_err());
    }

    #[test]
    fn lengths_that_are_not_there_and_other_protocols_are_errors() {
        let mut cut = [1u32, u32::MAX].map(u32::to_le_bytes).concat();
        cut.push(7);
        assert!(read_question(&mut cut.as_slice()).is_err());
        assert!(read_greeting(&mut [9, 0, 0, 0, 1, 0, 0, 0].as_slice()).is_err());
    }
}
