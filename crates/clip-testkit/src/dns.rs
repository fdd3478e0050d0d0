//! A name server on loopback that says what a test wants (RFC 1035): by datagrams, and by TCP what
//! is too long for one.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Longest answer by datagram.
const DATAGRAM: usize = 512;

/// What the server says of a name.
#[derive(Debug, Clone)]
pub enum Reply {
    /// Records: aliases and addresses, with the seconds for which they hold.
    Records(Vec<Record>, u32),
    /// There is no such name.
    NoName,
    /// SERVFAIL.
    Failure,
    /// No answer at all.
    Silence,
}

/// A record of an answer.
#[derive(Debug, Clone)]
pub enum Record {
    /// An address of the name, or of the last alias.
    Address(IpAddr),
    /// The name's other name.
    Alias(String),
}

impl Reply {
    /// Addresses that hold for a minute; what is none is left out.
    pub fn addresses(addresses: &[&str]) -> Self {
        let addresses = addresses.iter().filter_map(|text| text.parse().ok());
        Self::Records(addresses.map(Record::Address).collect(), 60)
    }

    /// An alias.
    pub fn alias(name: &str) -> Self {
        Self::Records(vec![Record::Alias(name.to_owned())], 60)
    }

    /// The records of both.
    pub fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Records(mut a, ttl), Self::Records(b, _)) => {
                a.extend(b);
                Self::Records(a, ttl)
            }
            (reply, _) => reply,
        }
    }

    /// Holds for this number of seconds.
    pub fn ttl(self, seconds: u32) -> Self {
        match self {
            Self::Records(records, _) => Self::Records(records, seconds),
            other => other,
        }
    }
}

/// Says what a name has, by name, type of record and how often that was asked.
type Answers = dyn Fn(&str, u16, usize) -> Reply + Send + Sync;

/// A running name server; it stops when dropped.
pub struct NameServer {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    answers: Box<Answers>,
    asked: Mutex<HashMap<(String, u16), usize>>,
    delay: AtomicU64,
    now: AtomicUsize,
    most: AtomicUsize,
    stopped: AtomicBool,
}

impl NameServer {
    /// Serves on a free port of loopback, from threads of its own.
    ///
    /// # Errors
    /// When no port can be had.
    pub fn start(
        answers: impl Fn(&str, u16, usize) -> Reply + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (udp, tcp) = sockets()?;
        let address = udp.local_addr()?;
        udp.set_read_timeout(Some(Duration::from_millis(50)))?;
        tcp.set_nonblocking(true)?;
        let shared = Arc::new(Shared {
            answers: Box::new(answers),
            asked: Mutex::default(),
            delay: AtomicU64::new(0),
            now: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
        });
        let of_udp = shared.clone();
        std::thread::spawn(move || serve_datagrams(&Arc::new(udp), &of_udp));
        let of_tcp = shared.clone();
        std::thread::spawn(move || serve_streams(&tcp, &of_tcp));
        Ok(Self { address, shared })
    }

    /// Answers after so long.
    #[must_use]
    pub fn delayed(self, delay: Duration) -> Self {
        self.shared.delay.store(delay.as_millis() as u64, Ordering::SeqCst);
        self
    }

    /// Where it is.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// How often the IPv4 addresses of a name were asked for by datagram.
    pub fn asked(&self, name: &str) -> usize {
        self.shared.lock().get(&(name.to_owned(), 1)).copied().unwrap_or_default()
    }

    /// The most questions that waited for their answer at the same time.
    pub fn most_at_once(&self) -> usize {
        self.shared.most.load(Ordering::SeqCst)
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.shared.stopped.store(true, Ordering::SeqCst);
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(String, u16), usize>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The answer to a message; none where it is no question or gets no answer.
    fn answer(&self, message: &[u8], by_datagram: bool) -> Option<Vec<u8>> {
        let (name, end) = question(message)?;
        let kind = u16::from_be_bytes([*message.get(end)?, *message.get(end + 1)?]);
        let times = {
            let mut asked = self.lock();
            let times = asked.entry((name.clone(), kind)).or_default();
            *times += usize::from(by_datagram);
            *times
        };
        let reply = (self.answers)(&name, kind, times);
        let (code, records, ttl) = match reply {
            Reply::Records(records, ttl) => (0, records, ttl),
            Reply::NoName => (3, Vec::new(), 0),
            Reply::Failure => (2, Vec::new(), 0),
            Reply::Silence => return None,
        };
        let mut out = message.get(..2)?.to_vec();
        out.extend([0x81, 0x80 | code, 0, 1, 0, 0, 0, 0, 0, 0]);
        out.extend_from_slice(message.get(12..end + 4)?);
        let (mut count, mut owner) = (0_u16, vec![0xc0, 12]);
        for record in records {
            let (of_kind, data) = match &record {
                Record::Alias(alias) => (5, encoded(alias)),
                Record::Address(IpAddr::V4(ip)) => (1, ip.octets().to_vec()),
                Record::Address(IpAddr::V6(ip)) => (28, ip.octets().to_vec()),
            };
            if of_kind != 5 && of_kind != kind {
                continue;
            }
            count += 1;
            out.extend_from_slice(&owner);
            out.extend(of_kind.to_be_bytes());
            out.extend(1_u16.to_be_bytes());
            out.extend(ttl.to_be_bytes());
            out.extend((data.len() as u16).to_be_bytes());
            out.extend_from_slice(&data);
            if of_kind == 5 {
                owner = data;
            }
        }
        if by_datagram && out.len() > DATAGRAM {
            out.truncate(end + 4);
            out[2] |= 2;
            count = 0;
        }
        out[6..8].copy_from_slice(&count.to_be_bytes());
        Some(out)
    }
}

/// A datagram socket and a listener on the same free port.
fn sockets() -> std::io::Result<(UdpSocket, TcpListener)> {
    let mut last = None;
    for _ in 0..20 {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
        match TcpListener::bind(udp.local_addr()?) {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(e) => last = Some(e),
        }
    }
    Err(last.unwrap_or_else(|| std::io::ErrorKind::AddrInUse.into()))
}

fn serve_datagrams(socket: &Arc<UdpSocket>, shared: &Arc<Shared>) {
    // What reads must not wait: the system drops datagrams that are not read soon.
    let (later, replies) = channel::<(Instant, Vec<u8>, SocketAddr)>();
    let (of_replies, counts) = (socket.clone(), shared.clone());
    std::thread::spawn(move || {
        for (due, reply, to) in replies {
            std::thread::sleep(due.saturating_duration_since(Instant::now()));
            counts.now.fetch_sub(1, Ordering::SeqCst);
            let _ = of_replies.send_to(&reply, to);
        }
    });
    let mut buffer = [0; 2048];
    while !shared.stopped.load(Ordering::SeqCst) {
        let Ok((length, from)) = socket.recv_from(&mut buffer) else { continue };
        let Some(reply) = shared.answer(&buffer[..length], true) else { continue };
        let now = shared.now.fetch_add(1, Ordering::SeqCst) + 1;
        shared.most.fetch_max(now, Ordering::SeqCst);
        let delay = Duration::from_millis(shared.delay.load(Ordering::SeqCst));
        let _ = later.send((Instant::now() + delay, reply, from));
    }
}

fn serve_streams(listener: &TcpListener, shared: &Shared) {
    while !shared.stopped.load(Ordering::SeqCst) {
        let Ok((mut stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        let mut serve = || -> std::io::Result<()> {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            let mut length = [0; 2];
            stream.read_exact(&mut length)?;
            let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
            stream.read_exact(&mut message)?;
            let Some(reply) = shared.answer(&message, false) else { return Ok(()) };
            stream.write_all(&(reply.len() as u16).to_be_bytes())?;
            stream.write_all(&reply)
        };
        let _ = serve();
    }
}

/// The name of a message's question in lower case, and the place behind it.
fn question(message: &[u8]) -> Option<(String, usize)> {
    let (mut labels, mut at) = (Vec::new(), 12);
    loop {
        let length = usize::from(*message.get(at)?);
        if length == 0 {
            return Some((labels.join("."), at + 1));
        }
        let label = message.get(at + 1..at + 1 + length)?;
        labels.push(String::from_utf8_lossy(label).to_ascii_lowercase());
        at += 1 + length;
    }
}

fn encoded(name: &str) -> Vec<u8> {
    let mut out = Vec::new();
    for label in name.split('.').filter(|label| !label.is_empty()) {
        out.push(label.len() as u8);
        out.extend_from_slice(label.as_bytes());
    }
    out.push(0);
    out
}
