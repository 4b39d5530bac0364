//! Prints what the sample application does with each of a grid of settings, as
//! the real `ab` measures it, so that anyone can see that there is something to
//! find: `cargo run --release --example landscape -p servo-demo [seconds] [-k]`.
//!
//! `seconds` is the length of one measurement (default 1); `-k` keeps
//! connections alive. It takes two and a half minutes with the defaults.

use std::error::Error;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;

use servo_demo::app::SampleApp;

const CLIENTS: &str = "10";
const WORKERS: [u32; 6] = [1, 2, 4, 6, 10, 16];
const BATCH: [u32; 5] = [1, 2, 4, 8, 32];
const CACHE: [u32; 5] = [0, 512, 1024, 2048, 4096];

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut seconds = "1".to_owned();
    let mut keep_alive = false;
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "-k" => keep_alive = true,
            other => seconds = other.to_owned(),
        }
    }
    let app = SampleApp::start(([127, 0, 0, 1], 0).into()).await?;
    let address = app.local_addr();
    tokio::task::spawn_blocking(move || {
        survey(address, &seconds, keep_alive).map_err(|error| error.to_string())
    })
    .await??;
    app.shutdown().await;
    Ok(())
}

fn survey(address: SocketAddr, seconds: &str, keep_alive: bool) -> Result<(), Box<dyn Error>> {
    let mut out = std::io::stdout().lock();
    let mut best = (0.0, String::new());
    set(address, r#"{"workers":2,"batch":1,"cache":0}"#)?;
    let default = measure(address, seconds, keep_alive)?;
    for cache in CACHE {
        write!(out, "\ncache {cache:<10}")?;
        for batch in BATCH {
            write!(out, "{:>12}", format!("batch {batch}"))?;
        }
        writeln!(out)?;
        for workers in WORKERS {
            write!(out, "workers {workers:<8}")?;
            for batch in BATCH {
                let settings =
                    format!(r#"{{"workers":{workers},"batch":{batch},"cache":{cache}}}"#);
                set(address, &settings)?;
                let rate = measure(address, seconds, keep_alive)?;
                write!(out, "{rate:>12.1}")?;
                out.flush()?;
                if rate > best.0 {
                    best = (rate, settings);
                }
            }
            writeln!(out)?;
        }
    }
    let (rate, settings) = best;
    writeln!(
        out,
        "\ndefault {default:.1} requests/s, best {rate:.1} requests/s ({:.1} times) with {settings}",
        rate / default
    )?;
    Ok(())
}

fn set(address: SocketAddr, document: &str) -> Result<(), Box<dyn Error>> {
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "PUT /settings HTTP/1.0\r\ncontent-length: {}\r\n\r\n{document}",
        document.len()
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    if answer.starts_with("HTTP/1.0 200") {
        Ok(())
    } else {
        Err(answer.into())
    }
}

fn measure(address: SocketAddr, seconds: &str, keep_alive: bool) -> Result<f64, Box<dyn Error>> {
    let mut ab = Command::new("ab");
    ab.args(["-q", "-c", CLIENTS, "-t", seconds, "-n", "1000000"]);
    if keep_alive {
        ab.arg("-k");
    }
    let output = ab
        .arg(format!("http://{address}/quote"))
        .output()
        .map_err(|error| format!("ab does not run: {error}; apt-get install apache2-utils"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let value = |label: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(label))
            .and_then(|rest| rest.split_whitespace().next())
            .and_then(|number| number.parse::<f64>().ok())
    };
    if value("Failed requests:") != Some(0.0) || value("Non-2xx responses:").is_some() {
        return Err(format!("ab saw failures:\n{text}").into());
    }
    value("Requests per second:").ok_or_else(|| format!("no rate in:\n{text}").into())
}
