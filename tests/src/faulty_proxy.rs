//! A proxy that loses, delays, cuts and doubles what passes through it, by seed.
//!
//! It reads no HTTP: an exchange begins with the first bytes that the client
//! sends after an answer, and what becomes of it is drawn then. A request that
//! is doubled is played again to the server before its answer goes back, on a
//! connection of its own, so that it is late by one exchange and no more:
//! nothing that is written without a condition could be told from a new write
//! later on.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// How much is carried at a time; messages of these suites are smaller, so that
/// half of one can be cut off.
const CHUNK: usize = 64 << 10;

/// How long the answer to a doubled request is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// What becomes of one exchange.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    Passes,
    /// The connection breaks before anything arrives.
    Lost,
    /// Half of the request arrives.
    CutRequest,
    /// The request arrives late.
    Late(Duration),
    /// The request arrives, and arrives again.
    Twice,
    /// The answer does not come back.
    AnswerLost,
    /// Half of it does.
    AnswerCut,
}

#[derive(Debug)]
struct Shared {
    target: SocketAddr,
    /// State of the generator.
    chance: Mutex<u64>,
    /// Exchanges of a hundred that something happens to.
    bad: AtomicU64,
    struck: AtomicU64,
    exchanges: watch::Sender<u64>,
}

/// The proxy while it runs. It ends when dropped, with all its connections.
#[derive(Debug)]
pub struct FaultyProxy {
    address: SocketAddr,
    shared: Arc<Shared>,
    end: CancellationToken,
}

impl Drop for FaultyProxy {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl FaultyProxy {
    /// Starts it on a free port of loopback. `bad` of a hundred exchanges meet
    /// with something.
    ///
    /// # Errors
    /// When there is no port.
    pub async fn start(target: SocketAddr, seed: u64, bad: u64) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            target,
            chance: Mutex::new(seed),
            bad: AtomicU64::new(bad),
            struck: AtomicU64::new(0),
            exchanges: watch::Sender::new(0),
        });
        let end = CancellationToken::new();
        tokio::spawn({
            let (shared, end) = (Arc::clone(&shared), end.clone());
            async move {
                end.run_until_cancelled(accept(&listener, &shared, &end))
                    .await;
            }
        });
        Ok(Self {
            address,
            shared,
            end,
        })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on everything passes.
    pub fn calm(&self) {
        self.shared.bad.store(0, Ordering::SeqCst);
    }

    /// How many exchanges something happened to.
    #[must_use]
    pub fn struck(&self) -> u64 {
        self.shared.struck.load(Ordering::SeqCst)
    }

    /// How many exchanges have begun.
    #[must_use]
    pub fn exchanges(&self) -> u64 {
        *self.shared.exchanges.borrow()
    }

    /// Waits until so many exchanges have begun.
    pub async fn exchange(&self, number: u64) {
        let mut exchanges = self.shared.exchanges.subscribe();
        // It cannot fail: the sender lives as long as we do.
        let _ = exchanges.wait_for(|now| *now >= number).await;
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>, end: &CancellationToken) {
    loop {
        let Ok((client, _)) = listener.accept().await else {
            continue;
        };
        let (shared, end) = (Arc::clone(shared), end.clone());
        tokio::spawn(async move {
            // A connection that breaks is what this is for.
            let _ = end.run_until_cancelled(carry(client, &shared)).await;
        });
    }
}

impl Shared {
    /// The next number, by splitmix64.
    fn number(&self) -> u64 {
        let mut state = self.chance.lock().unwrap_or_else(PoisonError::into_inner);
        *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut number = *state;
        number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        number ^ (number >> 31)
    }

    fn fate(&self) -> Fate {
        self.exchanges.send_modify(|number| *number += 1);
        if self.number() % 100 >= self.bad.load(Ordering::SeqCst) {
            return Fate::Passes;
        }
        self.struck.fetch_add(1, Ordering::SeqCst);
        match self.number() % 6 {
            0 => Fate::Lost,
            1 => Fate::CutRequest,
            2 => Fate::Late(Duration::from_millis(self.number() % 500)),
            3 => Fate::Twice,
            4 => Fate::AnswerLost,
            _ => Fate::AnswerCut,
        }
    }

    /// Plays a request on a connection of its own, and reads its answer.
    async fn play(&self, request: &[u8]) -> io::Result<()> {
        let mut server = TcpStream::connect(self.target).await?;
        server.write_all(request).await?;
        let mut answer = [0; 1];
        server.read_exact(&mut answer).await?;
        Ok(())
    }
}

/// One connection, exchange by exchange.
async fn carry(mut client: TcpStream, shared: &Shared) -> io::Result<()> {
    let mut server = TcpStream::connect(shared.target).await?;
    let (mut there, mut back) = (vec![0; CHUNK], vec![0; CHUNK]);
    let (mut fate, mut request, mut answering) = (Fate::Passes, Vec::new(), true);
    loop {
        tokio::select! {
            read = client.read(&mut there) => {
                let bytes = there.get(..read?).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                if answering {
                    (fate, answering) = (shared.fate(), false);
                    request.clear();
                }
                request.extend_from_slice(bytes);
                match fate {
                    Fate::Lost => return Ok(()),
                    Fate::CutRequest => {
                        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                        return server.write_all(half).await;
                    }
                    Fate::Late(wait) => {
                        tokio::time::sleep(wait).await;
                        // Nobody sends for the dead.
                        if matches!(client.try_read(&mut [0]), Ok(0)) {
                            return Ok(());
                        }
                    }
                    _ => {}
                }
                server.write_all(bytes).await?;
            }
            read = server.read(&mut back) => {
                let bytes = back.get(..read?).unwrap_or_default();
                if bytes.is_empty() {
                    return Ok(());
                }
                let first = !answering;
                answering = true;
                match fate {
                    Fate::AnswerLost => return Ok(()),
                    Fate::AnswerCut => {
                        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                        return client.write_all(half).await;
                    }
                    // What the server thinks of the double is its own business.
                    Fate::Twice if first => {
                        let _ = tokio::time::timeout(PATIENCE, shared.play(&request)).await;
                    }
                    _ => {}
                }
                client.write_all(bytes).await?;
            }
        }
    }
}
