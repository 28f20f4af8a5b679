//! `ringfence ready`: whether the server on this machine answers, for container health checks and scripts. An image
//! without a shell has no curl either.

mod anyone;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use http::{Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

use super::{Error, Exit, Global, output, settings};

/// How long the whole question may take: longer than a server looks for its store before it says that it is away.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest answer read. Names of parts and lists; anything longer is not `/readyz`.
const ANSWER_BYTES: usize = 1 << 20;

/// Whom to ask; what is not given comes from the environment, the file of settings, or the default.
#[derive(Debug, clap::Args)]
#[command(
    about = "Whether the server on this machine answers",
    after_help = "Asks /readyz of the HTTP listener that `serve` opens with the same settings.\n\
                  Exit status: 0 ready, 1 running and not ready (it says why), 2 no answer within five seconds."
)]
pub struct Args {
    /// The file of settings; ringfence.toml where there is one
    #[arg(long, value_name = "FILE", env = "RINGFENCE_CONFIG", hide_env_values = true)]
    config: Option<PathBuf>,
    /// The address of its HTTP listener [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR:PORT")]
    http: Option<String>,
}

/// Runs it.
///
/// # Errors
/// Faulty settings, no HTTP listener, or nobody who answers there.
pub async fn run(args: Args, global: &Global) -> Result<Exit, Error> {
    let given = |key: &str| if key == "http" { args.http.clone() } else { None };
    let config = settings::resolved(args.config.as_deref(), &given, global)?;
    let listener = config.http.ok_or_else(|| {
        Error::said("http is off, so there is nobody to ask: give it an address, or ask grpc.health.v1.Health by gRPC")
    })?;
    let address = reached_at(listener);
    let asked = tokio::time::timeout(PATIENCE, ask(address)).await;
    let (code, body) = asked
        .unwrap_or_else(|_| Err(format!("no answer within {} s", PATIENCE.as_secs())))
        .map_err(|why| Error::said(format!("{address}: /readyz: {why}: is `ringfence serve` running there?")))?;
    let state: Value = serde_json::from_slice(&body).unwrap_or_default();
    if !matches!(state.get("ready"), Some(Value::Bool(_))) {
        return Err(Error::said(format!("{address}: /readyz: {code}, and no answer of a Ringfence server")));
    }
    // Both must say so: whatever is in between may answer 200 by itself.
    let ready = code == StatusCode::OK && state.get("ready") == Some(&Value::Bool(true));
    if global.json {
        output::say_json(&state)?;
    } else {
        output::say(&told(ready, &state))?;
    }
    Ok(Exit::when(ready))
}

/// A listener on every address is asked on the loopback.
fn reached_at(listener: SocketAddr) -> SocketAddr {
    let ip = match listener.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    SocketAddr::new(ip, listener.port())
}

/// Asks in clear, and by TLS where that is no HTTP.
async fn ask(address: SocketAddr) -> Result<(StatusCode, Bytes), String> {
    let connect = async || TcpStream::connect(address).await.map_err(|error| error.to_string());
    match asked_over(connect().await?, address).await {
        Ok(answer) => Ok(answer),
        Err(in_clear) => match anyone::tls(connect().await?, address.ip()).await {
            Ok(stream) => asked_over(stream, address).await,
            Err(by_tls) => Err(format!("{in_clear}; by TLS: {by_tls}")),
        },
    }
}

async fn asked_over<S>(stream: S, address: SocketAddr) -> Result<(StatusCode, Bytes), String>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let fault = |error: hyper::Error| error.to_string();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(fault)?;
    tokio::spawn(connection);
    let request = Request::get("/readyz").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new());
    let request = request.map_err(|error| error.to_string())?;
    let answer = sender.send_request(request).await.map_err(fault)?;
    let code = answer.status();
    let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.map_err(|error| error.to_string())?;
    Ok((code, body.to_bytes()))
}

/// What is not ready, a line each; what is away without making the server unready is said, too.
fn told(ready: bool, state: &Value) -> String {
    let mut lines = vec![if ready { "ready".to_owned() } else { "not ready".to_owned() }];
    for (part, why) in state.get("notReady").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("  {part}: {}", why.as_str().unwrap_or_default()));
    }
    // Whoever is nobody to the server is told names alone.
    for part in state.get("notReady").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
        lines.push(format!("  {part}"));
    }
    for (region, why) in state.get("regionsDown").and_then(Value::as_object).into_iter().flatten() {
        lines.push(format!("  region {region}: {}", why.as_str().unwrap_or_default()));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_asked_on_the_loopback() {
        for (listener, asked) in
            [("0.0.0.0:8080", "127.0.0.1:8080"), ("[::]:8080", "[::1]:8080"), ("10.1.2.3:80", "10.1.2.3:80")]
        {
            assert_eq!(listener.parse().map(reached_at), asked.parse());
        }
    }

    #[test]
    fn what_is_not_ready_is_named() {
        let state =
            serde_json::json!({"ready": false, "notReady": {"store": "no answer"}, "regionsDown": {"cn": "away"}});
        assert_eq!(told(false, &state), "not ready\n  store: no answer\n  region cn: away");
        let state = serde_json::json!({"ready": false, "notReady": ["store"]});
        assert_eq!(told(false, &state), "not ready\n  store");
    }
}
