//! DNS messages (RFC 1035): a question for the addresses of a name, and what an answer says.

use std::net::IpAddr;

/// Longest name, in the form in which it is sent.
const LONGEST_NAME: usize = 255;
/// Aliases that are followed from a name to its addresses.
const ALIASES: usize = 16;
/// Addresses of a name that are kept.
pub(super) const ADDRESSES: usize = 16;
/// Bytes before the question.
const HEADER: usize = 12;
/// Record types.
const CNAME: u16 = 5;
const SOA: u16 = 6;
/// The class of the internet.
const INTERNET: u16 = 1;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RecordType {
    A = 1,
    Aaaa = 28,
}

/// What a name server said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    /// Addresses, and the seconds for which they may be kept.
    Addresses(Vec<IpAddr>, u32),
    /// There is no such name, or it has no address of this type; for how many seconds, where the
    /// server says so (RFC 2308).
    Nothing(Option<u32>),
    /// The answer is too long for a datagram.
    Truncated,
    /// The server could not or would not answer.
    Failed,
}

/// A question for one type of address of a name.
pub(super) struct Question {
    id: u16,
    kind: RecordType,
    /// The name as it is sent, in lower case.
    name: Vec<u8>,
}

/// A name as it is sent, in lower case; none where it is no name that can be asked for.
pub(super) fn encode_name(name: &str) -> Option<Vec<u8>> {
    let mut encoded = Vec::with_capacity(name.len() + 2);
    for label in name.trim_end_matches('.').split('.') {
        if label.is_empty() || label.len() > 63 {
            return None;
        }
        encoded.push(label.len() as u8);
        encoded.extend(label.bytes().map(|byte| byte.to_ascii_lowercase()));
    }
    encoded.push(0);
    (encoded.len() <= LONGEST_NAME).then_some(encoded)
}

impl Question {
    /// `name` is encoded; `id` should be random, so that a false answer must guess it.
    pub fn new(id: u16, name: &[u8], kind: RecordType) -> Self {
        Self { id, kind, name: name.to_vec() }
    }

    /// The message that asks, with recursion desired.
    pub fn message(&self) -> Vec<u8> {
        let mut message = self.id.to_be_bytes().to_vec();
        message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
        message.extend_from_slice(&self.name);
        message.extend((self.kind as u16).to_be_bytes());
        message.extend(INTERNET.to_be_bytes());
        message
    }

    /// What a message says to this question; none where it is not about it.
    pub fn read(&self, message: &[u8]) -> Option<Answer> {
        let reader = Reader { message };
        let (id, flags) = (reader.u16(0)?, reader.u16(2)?);
        let answers_a_query = flags & 0xf800 == 0x8000;
        if id != self.id || !answers_a_query || reader.u16(4)? != 1 {
            return None;
        }
        let (name, at) = reader.name(HEADER)?;
        let asked = [reader.u16(at)?, reader.u16(at + 2)?];
        if name != self.name || asked != [self.kind as u16, INTERNET] {
            return None;
        }
        let (truncated, code) = (flags & 0x0200 != 0, flags & 15);
        Some(match code {
            0 | 3 if truncated => Answer::Truncated,
            0 | 3 => self.answer(&reader, at + 4).unwrap_or(Answer::Failed),
            _ => Answer::Failed,
        })
    }

    /// The answer in the records that begin at `at`; none where they are broken.
    fn answer(&self, reader: &Reader, at: usize) -> Option<Answer> {
        let (answers, at) = reader.records(at, reader.u16(6)?)?;
        let (mut name, mut ttl) = (self.name.clone(), u32::MAX);
        for _ in 0..ALIASES {
            let of_name = answers.iter().filter(|record| record.name == name);
            let mut addresses = Vec::new();
            for record in of_name.clone().filter(|record| record.kind == self.kind as u16) {
                addresses.extend(self.address(record.data));
                ttl = ttl.min(record.ttl);
            }
            if !addresses.is_empty() {
                addresses.truncate(ADDRESSES);
                return Some(Answer::Addresses(addresses, ttl));
            }
            let Some(alias) = of_name.clone().find(|record| record.kind == CNAME) else { break };
            ttl = ttl.min(alias.ttl);
            name = reader.name(alias.at)?.0;
        }
        let (authorities, _) = reader.records(at, reader.u16(8)?)?;
        let soa = authorities.iter().find(|record| record.kind == SOA && record.data.len() >= 20);
        // Its last field says how long the absence of a name may be kept.
        let kept = soa.map(|soa| {
            let minimum = soa.data.last_chunk().map_or(0, |bytes| u32::from_be_bytes(*bytes));
            soa.ttl.min(minimum).min(ttl)
        });
        Some(Answer::Nothing(kept))
    }

    fn address(&self, data: &[u8]) -> Option<IpAddr> {
        match self.kind {
            RecordType::A => <[u8; 4]>::try_from(data).ok().map(IpAddr::from),
            RecordType::Aaaa => <[u8; 16]>::try_from(data).ok().map(IpAddr::from),
        }
    }
}

/// A record of an answer.
struct Record<'a> {
    /// As it is sent, in lower case, without compression.
    name: Vec<u8>,
    kind: u16,
    /// Seconds.
    ttl: u32,
    data: &'a [u8],
    /// Where its data begins in the message.
    at: usize,
}

struct Reader<'a> {
    message: &'a [u8],
}

impl<'a> Reader<'a> {
    fn u16(&self, at: usize) -> Option<u16> {
        Some(u16::from_be_bytes(*self.message.get(at..)?.first_chunk()?))
    }

    fn u32(&self, at: usize) -> Option<u32> {
        Some(u32::from_be_bytes(*self.message.get(at..)?.first_chunk()?))
    }

    /// The name at a place, without compression, and the place behind it.
    fn name(&self, start: usize) -> Option<(Vec<u8>, usize)> {
        let (mut name, mut at, mut end) = (Vec::new(), start, None);
        // Where the last jump led: each goes further back, so that none leads in a circle.
        let mut back = start;
        loop {
            let length = *self.message.get(at)?;
            match length {
                0 => {
                    name.push(0);
                    return Some((name, end.unwrap_or(at + 1)));
                }
                1..=63 => {
                    let label = self.message.get(at..=at + usize::from(length))?;
                    name.extend(label.iter().map(u8::to_ascii_lowercase));
                    at += label.len();
                }
                192.. => {
                    let target = usize::from(self.u16(at)? & 0x3fff);
                    end = end.or(Some(at + 2));
                    if target >= back {
                        return None;
                    }
                    (at, back) = (target, target);
                }
                64..192 => return None,
            }
            if name.len() >= LONGEST_NAME {
                return None;
            }
        }
    }

    /// `count` records from a place on, and the place behind them.
    fn records(&self, mut at: usize, count: u16) -> Option<(Vec<Record<'a>>, usize)> {
        let mut records = Vec::new();
        for _ in 0..count {
            let (name, fixed) = self.name(at)?;
            let (kind, class) = (self.u16(fixed)?, self.u16(fixed + 2)?);
            // RFC 2181 section 8: a TTL with the highest bit set is zero.
            let ttl = self.u32(fixed + 4)?;
            let ttl = if ttl >> 31 == 1 { 0 } else { ttl };
            let start = fixed + 10;
            at = start + usize::from(self.u16(fixed + 8)?);
            let data = self.message.get(start..at)?;
            if class == INTERNET {
                records.push(Record { name, kind, ttl, data, at: start });
            }
        }
        Some((records, at))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn question(kind: RecordType) -> Question {
        Question::new(0x1234, &encode_name("www.Example.com").unwrap(), kind)
    }

    /// An answer with these flags, counts of records and records.
    fn reply(question: &Question, flags: u16, counts: [u16; 2], records: &[u8]) -> Vec<u8> {
        let mut message = question.message();
        message[2..4].copy_from_slice(&flags.to_be_bytes());
        message[6..8].copy_from_slice(&counts[0].to_be_bytes());
        message[8..10].copy_from_slice(&counts[1].to_be_bytes());
        message.extend_from_slice(records);
        message
    }

    /// A record whose name is a pointer to a place.
    fn record(place: u8, kind: u16, ttl: u32, data: &[u8]) -> Vec<u8> {
        let mut record = vec![0xc0, place];
        record.extend(kind.to_be_bytes());
        record.extend(INTERNET.to_be_bytes());
        record.extend(ttl.to_be_bytes());
        record.extend((data.len() as u16).to_be_bytes());
        record.extend_from_slice(data);
        record
    }

    #[test]
    fn names_are_sent_as_labels() {
        assert_eq!(encode_name("a.Bc.").unwrap(), b"\x01a\x02bc\0");
        for wrong in ["", ".", "a..b", &"x".repeat(64), &"abcdefg.".repeat(32)] {
            assert_eq!(encode_name(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn addresses_come_through_aliases_with_the_shortest_time() {
        let asked = question(RecordType::A);
        // The first record begins behind header and question; its data is the name `cdn` with a
        // pointer to `example.com` within the question.
        let alias = record(12, CNAME, 300, b"\x03cdn\xc0\x10");
        let target = (HEADER + asked.name.len() + 4 + 12) as u8;
        let records = [
            alias,
            record(target, 1, 60, &[93, 184, 216, 34]),
            record(target, 1, 90, &[127, 0, 0, 1]),
            // Of another name, which was not asked for.
            record(16, 1, 9, &[1, 1, 1, 1]),
        ]
        .concat();
        let found = asked.read(&reply(&asked, 0x8180, [4, 0], &records));
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_eq!(found, Some(Answer::Addresses(vec![ip("93.184.216.34"), ip("127.0.0.1")], 60)));
        let six = question(RecordType::Aaaa);
        let loopback =
            record(12, 28, 1 << 31, &"::1".parse::<std::net::Ipv6Addr>().unwrap().octets());
        let found = six.read(&reply(&six, 0x8180, [1, 0], &loopback));
        assert_eq!(found, Some(Answer::Addresses(vec![ip("::1")], 0)));
    }

    #[test]
    fn absence_failure_and_truncation_are_distinguished() {
        let asked = question(RecordType::A);
        let soa = [b"\x01a\0\x01b\0".as_slice(), &[0; 16], &120_u32.to_be_bytes()].concat();
        let soa = record(16, SOA, 900, &soa);
        let read =
            |flags, counts, records: &[u8]| asked.read(&reply(&asked, flags, counts, records));
        assert_eq!(read(0x8183, [0, 1], &soa), Some(Answer::Nothing(Some(120))));
        assert_eq!(read(0x8180, [0, 0], &[]), Some(Answer::Nothing(None)));
        assert_eq!(read(0x8182, [0, 0], &[]), Some(Answer::Failed));
        assert_eq!(read(0x8380, [0, 0], &[]), Some(Answer::Truncated));
        // Records that are said to be there and are not.
        assert_eq!(read(0x8180, [9, 0], &[]), Some(Answer::Failed));
    }

    #[test]
    fn what_answers_another_question_is_ignored() {
        let asked = question(RecordType::A);
        let right = reply(&asked, 0x8180, [0, 0], &[]);
        assert!(asked.read(&right).is_some());
        assert!(asked.read(&asked.message()).is_none(), "a query");
        assert!(question(RecordType::Aaaa).read(&right).is_none());
        let other = Question::new(0x1234, &encode_name("www.example.org").unwrap(), RecordType::A);
        assert!(other.read(&right).is_none());
        for end in 0..right.len() {
            assert!(asked.read(&right[..end]).is_none(), "{end}");
        }
    }

    #[test]
    fn no_message_leads_in_a_circle_or_ends_in_a_panic() {
        let asked = question(RecordType::A);
        let own = (HEADER + asked.name.len() + 4) as u8;
        let circle = record(own, CNAME, 1, &[0xc0, own]);
        assert_eq!(asked.read(&reply(&asked, 0x8180, [1, 0], &circle)), Some(Answer::Failed));
        let alias = record(12, CNAME, 1, &[0xc0, 12]);
        let found = asked.read(&reply(&asked, 0x8180, [1, 0], &alias));
        assert_eq!(found, Some(Answer::Nothing(None)));
        let mut state = 1_u64;
        let whole = reply(&asked, 0x8180, [2, 1], &[alias, circle].concat());
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % bytes.len();
                bytes[at] = (state >> 25) as u8;
            }
            let _ = asked.read(&bytes);
        }
    }
}
