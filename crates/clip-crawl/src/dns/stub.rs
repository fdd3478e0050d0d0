//! A stub resolver: it asks name servers that do the work, many names at a time, by datagrams and,
//! where an answer is too long for one, by TCP.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::Duration;

use ring::rand::SecureRandom;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::cache::{Found, Missing};
use super::files::{HostsFile, ResolvConf};
use super::message::{ADDRESSES, Answer, Question, RecordType, encode_name};

/// Names that are looked up at a time, each with a socket of its own: its port is half of what
/// a sender of false answers must guess. Their questions, two each, fit the buffer of a server's
/// socket (212,992 bytes by Linux's default, of which a small datagram takes 768 or more): what
/// does not fit is lost.
const LOOKUPS: usize = 128;
/// How long a server has to answer, by round over all servers: datagrams are lost.
const ROUNDS: [Duration; 4] = [
    Duration::from_millis(1000),
    Duration::from_millis(1500),
    Duration::from_millis(2000),
    Duration::from_millis(2500),
];
/// How long an answer is kept, whatever it says.
const KEPT: (Duration, Duration) = (Duration::from_secs(10), Duration::from_hours(1));
/// How long the absence of a name is kept: at most, and where nothing is said.
const ABSENT: (Duration, Duration) = (Duration::from_mins(15), Duration::from_mins(1));
/// How long it is kept that no server answered.
const FAILED: Duration = Duration::from_secs(30);
/// Once in this number of lookups, a server that did not answer is asked first all the same.
const AGAIN: usize = 32;

/// The resolver, shared by all lookups.
pub(super) struct Stub {
    servers: Vec<Server>,
    search: Vec<String>,
    hosts: HostsFile,
    kinds: Vec<RecordType>,
    turn: AtomicUsize,
    slots: Semaphore,
    random: ring::rand::SystemRandom,
}

struct Server {
    address: SocketAddr,
    /// Times in a row that it did not answer.
    faults: AtomicU32,
}

impl Stub {
    /// Asks these servers; without any, those of this machine. None where it names none either.
    pub fn new(servers: &[SocketAddr]) -> Option<Self> {
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        let conf = ResolvConf::parse(&read("/etc/resolv.conf"));
        let servers = if servers.is_empty() { &conf.servers } else { servers };
        if servers.is_empty() {
            return None;
        }
        // What no packet can reach need not be asked for.
        let mut kinds = vec![RecordType::A];
        if has_ipv6() {
            kinds.push(RecordType::Aaaa);
        }
        Some(Self {
            servers: servers.iter().map(|&address| Server { address, faults: 0.into() }).collect(),
            search: conf.search,
            hosts: HostsFile::parse(&read("/etc/hosts")),
            kinds,
            turn: AtomicUsize::new(0),
            slots: Semaphore::new(LOOKUPS),
            random: ring::rand::SystemRandom::new(),
        })
    }

    /// The addresses of a name, IPv6 first. A name without a dot is sought in the search domains
    /// of this machine too.
    pub async fn look_up(&self, name: &str) -> Found {
        let name = name.trim_end_matches('.').to_ascii_lowercase();
        if let Some(addresses) = self.hosts.get(&name) {
            let found = if addresses.is_empty() { Err(Missing::NoAddress) } else { Ok(addresses) };
            return Found::new(found, KEPT.1);
        }
        let _slot = self.slots.acquire().await;
        let short = !name.contains('.');
        let domains = self.search.iter().filter(|_| short);
        let mut last = Found::new(Err(Missing::NoAddress), ABSENT.1);
        for name in domains.map(|domain| format!("{name}.{domain}")).chain([name.clone()]) {
            last = self.look_up_full(&name).await;
            if last.addresses.is_ok() {
                break;
            }
        }
        last
    }

    async fn look_up_full(&self, name: &str) -> Found {
        let Some(name) = encode_name(name) else {
            return Found::new(Err(Missing::NoAddress), ABSENT.0);
        };
        let order = self.order();
        for wait in ROUNDS {
            for &server in &order {
                let answers = self.ask(self.servers[server].address, &name, wait).await;
                let faults = &self.servers[server].faults;
                match answers.as_deref().ok().and_then(combined) {
                    Some(found) => {
                        faults.store(0, Ordering::Relaxed);
                        return found;
                    }
                    None => drop(faults.fetch_add(1, Ordering::Relaxed)),
                }
            }
        }
        Found::new(Err(Missing::NoAnswer), FAILED)
    }

    /// The servers in turn, those that do not answer last.
    fn order(&self) -> Vec<usize> {
        let (turn, count) = (self.turn.fetch_add(1, Ordering::Relaxed), self.servers.len());
        let mut order: Vec<usize> = (0..count).map(|at| (turn + at) % count).collect();
        if turn % AGAIN != AGAIN - 1 {
            order.sort_by_key(|&at| self.servers[at].faults.load(Ordering::Relaxed).min(3));
        }
        order
    }

    /// What one server says of a name, by type of address.
    async fn ask(
        &self,
        server: SocketAddr,
        name: &[u8],
        wait: Duration,
    ) -> io::Result<Vec<Answer>> {
        let until = Instant::now() + wait;
        let mut ids = [0; 4];
        self.random.fill(&mut ids).map_err(|_| io::Error::other("no random numbers"))?;
        let questions: Vec<Question> = (self.kinds.iter().zip(ids.chunks_exact(2)))
            .map(|(kind, id)| Question::new(u16::from_be_bytes([id[0], id[1]]), name, *kind))
            .collect();
        let any: IpAddr = match server {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let socket = UdpSocket::bind((any, 0)).await?;
        socket.connect(server).await?;
        for question in &questions {
            socket.send(&question.message()).await?;
        }
        let mut answers: Vec<Option<Answer>> = vec![None; questions.len()];
        let mut buffer = vec![0; 4096];
        while answers.contains(&None) {
            // What came counts, also where a server knows one type only.
            let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else { break };
            let message = &buffer[..received?];
            for (question, answer) in questions.iter().zip(&mut answers) {
                if answer.is_none() {
                    *answer = question.read(message);
                }
            }
        }
        for (question, answer) in questions.iter().zip(&mut answers) {
            if *answer == Some(Answer::Truncated) {
                let whole = timeout_at(until, ask_by_tcp(server, question)).await;
                *answer = whole.ok().and_then(Result::ok).flatten();
            }
        }
        Ok(answers.into_iter().map(|answer| answer.unwrap_or(Answer::Failed)).collect())
    }
}

/// A message is sent behind its length (RFC 1035 section 4.2.2).
async fn ask_by_tcp(server: SocketAddr, question: &Question) -> io::Result<Option<Answer>> {
    let mut stream = TcpStream::connect(server).await?;
    let message = question.message();
    stream.write_all(&(message.len() as u16).to_be_bytes()).await?;
    stream.write_all(&message).await?;
    let length = stream.read_u16().await?;
    let mut reply = vec![0; usize::from(length)];
    stream.read_exact(&mut reply).await?;
    Ok(question.read(&reply).filter(|answer| *answer != Answer::Truncated))
}

/// Answers for all types of address as one, IPv6 first; none where they leave open whether there
/// are any addresses.
fn combined(answers: &[Answer]) -> Option<Found> {
    let (mut addresses, mut kept) = (Vec::new(), u32::MAX);
    for answer in answers.iter().rev() {
        if let Answer::Addresses(some, ttl) = answer {
            addresses.extend_from_slice(some);
            kept = kept.min(*ttl);
        }
    }
    if !addresses.is_empty() {
        addresses.truncate(ADDRESSES);
        let kept = Duration::from_secs(kept.into()).clamp(KEPT.0, KEPT.1);
        return Some(Found::new(Ok(addresses), kept));
    }
    let mut absent = ABSENT.0;
    for answer in answers {
        let Answer::Nothing(seconds) = answer else { return None };
        let said = seconds.map_or(ABSENT.1, |seconds| Duration::from_secs(seconds.into()));
        absent = absent.min(said.max(KEPT.0));
    }
    Some(Found::new(Err(Missing::NoAddress), absent))
}

/// Whether this machine has a way to addresses of IPv6: a datagram socket finds one without sending
/// anything.
fn has_ipv6() -> bool {
    let public = Ipv6Addr::new(0x2001, 0x4860, 0x4860, 0, 0, 0, 0, 0x8888);
    StdSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).and_then(|s| s.connect((public, 53))).is_ok()
}
