//! A plain HTTP server on a loopback port that remembers what it heard and answers as a test wants, in threads of its
//! own: for what our server sends to others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::Value;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Heard {
    /// `POST`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// When.
    pub at: Instant,
    /// The same, by the clock on the wall.
    pub time: jiff::Timestamp,
}

impl Heard {
    /// A header that stands exactly once; empty where it does not stand.
    pub fn header(&self, name: &str) -> &str {
        let mut found = self.headers.iter().filter(|(given, _)| given == name);
        let value = found.next().map_or("", |(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice");
        value
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|cause| panic!("{cause}: {:?}", self.body))
    }
}

/// What is answered.
pub enum Reply {
    /// Status, headers, body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// 200, a kind and bytes.
    Bytes(&'static str, Vec<u8>),
    /// That, so much later.
    Late(Duration, Box<Reply>),
    /// Nothing, with the connection left open.
    Hang,
    /// Nothing, with the connection closed: what was asked may have been done.
    Cut,
    /// 200 and a body that does not end.
    Endless,
}

impl Reply {
    /// A status alone.
    pub fn status(status: u16) -> Reply {
        Reply::Say(status, Vec::new(), String::new())
    }
}

type Answer = dyn Fn(&Heard, usize) -> Reply + Send + Sync;
type Reads = dyn Fn(&Heard) -> bool + Send + Sync;

/// The server. It ends when this is dropped.
pub struct Listener {
    /// Port on 127.0.0.1.
    pub port: u16,
    heard: Arc<Mutex<Vec<Heard>>>,
    end: Arc<AtomicBool>,
    accepting: Option<std::thread::JoinHandle<()>>,
}

impl Listener {
    /// On a port of its own; `answer` is given the request and how many came before it.
    pub fn start(answer: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static) -> Listener {
        Listener::on(0, answer)
    }

    /// On this port, which must be free.
    pub fn on(port: u16, answer: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static) -> Listener {
        Listener::choosy(port, |_| true, answer)
    }

    /// One that reads no body of a request where `reads`, which is given the request without it, says so, and keeps the
    /// connection open all the same.
    pub fn choosy(
        port: u16,
        reads: impl Fn(&Heard) -> bool + Send + Sync + 'static,
        answer: impl Fn(&Heard, usize) -> Reply + Send + Sync + 'static,
    ) -> Listener {
        let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let (heard, end): (Arc<Mutex<Vec<Heard>>>, Arc<AtomicBool>) = Default::default();
        let (answer, reads): (Arc<Answer>, Arc<Reads>) = (Arc::new(answer), Arc::new(reads));
        let (remembered, over) = (heard.clone(), end.clone());
        let accepting = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if over.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(stream) = stream else { continue };
                let (remembered, over) = (remembered.clone(), over.clone());
                let (answer, reads) = (answer.clone(), reads.clone());
                // A connection that is only opened says nothing.
                std::thread::spawn(move || drop(serve(stream, &remembered, &over, reads.as_ref(), answer.as_ref())));
            }
        });
        Listener { port, heard, end, accepting: Some(accepting) }
    }

    /// Address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Everything heard so far.
    pub fn heard(&self) -> Vec<Heard> {
        self.heard.lock().clone()
    }

    /// Waits until so many requests have come; panics if that takes longer than `patience`.
    pub async fn hears(&self, count: usize, patience: Duration) -> Vec<Heard> {
        let deadline = Instant::now() + patience;
        loop {
            let heard = self.heard();
            if heard.len() >= count {
                return heard;
            }
            assert!(Instant::now() < deadline, "{count} requests are awaited: {heard:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts.
        drop(TcpStream::connect(("127.0.0.1", self.port)));
        if let Some(accepting) = self.accepting.take() {
            let _ = accepting.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    remembered: &Mutex<Vec<Heard>>,
    end: &AtomicBool,
    reads: &Reads,
    answer: &Answer,
) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_secs(20)))?;
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut stream = stream;
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let mut words = line.split_whitespace();
    let (Some(method), Some(path), Some("HTTP/1.1")) = (words.next(), words.next(), words.next()) else {
        return Ok(());
    };
    let mut headers = Vec::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(':') {
            Some((name, value)) => headers.push((name.to_ascii_lowercase(), value.trim().to_owned())),
            None => break,
        }
    }
    let mut heard = Heard {
        method: method.to_owned(),
        path: path.to_owned(),
        headers,
        body: Vec::new(),
        at: Instant::now(),
        time: jiff::Timestamp::now(),
    };
    if !reads(&heard) {
        while !end.load(Ordering::SeqCst) {
            std::thread::sleep(Duration::from_millis(50));
        }
        return Ok(());
    }
    let headers = &heard.headers;
    let length = headers.iter().find(|(name, _)| name == "content-length").and_then(|(_, value)| value.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body)?;
    heard.body = body;
    let before = {
        let mut all = remembered.lock();
        all.push(heard.clone());
        all.len() - 1
    };
    let mut reply = answer(&heard, before);
    while let Reply::Late(wait, then) = reply {
        std::thread::sleep(wait);
        reply = *then;
    }
    match reply {
        Reply::Late(..) => unreachable!("waited for above"),
        Reply::Say(status, headers, body) => {
            let mut text = format!("HTTP/1.1 {status} Said\r\ncontent-length: {}\r\nconnection: close\r\n", body.len());
            for (name, value) in headers {
                text += &format!("{name}: {value}\r\n");
            }
            stream.write_all(format!("{text}\r\n{body}").as_bytes())
        }
        Reply::Bytes(kind, bytes) => {
            let head = format!(
                "HTTP/1.1 200 Said\r\ncontent-type: {kind}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
                bytes.len()
            );
            stream.write_all(head.as_bytes())?;
            stream.write_all(&bytes)
        }
        Reply::Cut => Ok(()),
        Reply::Hang => {
            while !end.load(Ordering::SeqCst) {
                std::thread::sleep(Duration::from_millis(50));
            }
            Ok(())
        }
        Reply::Endless => {
            stream.write_all(b"HTTP/1.1 200 Said\r\nconnection: close\r\n\r\n")?;
            while !end.load(Ordering::SeqCst) {
                stream.write_all(&[b'x'; 4096])?;
            }
            Ok(())
        }
    }
}
