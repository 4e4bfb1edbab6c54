//! `fractus-<service> healthcheck`: whether the service in this container is ready, for images without a shell.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::ExitCode;
use std::time::Duration;

use crate::config::Environment;

const TIMEOUT: Duration = Duration::from_secs(2);
/// The port of an image's service when nothing else is said.
const DEFAULT_PORT: u16 = 4566;

/// The answer, if this is what the command line asks for.
pub fn asked(environment: &Environment) -> Option<ExitCode> {
    if environment.arguments.first().map(String::as_str) != Some("healthcheck") {
        return None;
    }
    let listen = environment.variables.get("FRACTUS_LISTEN").map_or("", String::as_str);
    match is_ready(port_of(listen)) {
        Ok(true) => Some(ExitCode::SUCCESS),
        Ok(false) => Some(ExitCode::FAILURE),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "healthcheck: {error}");
            Some(ExitCode::FAILURE)
        }
    }
}

fn port_of(listen: &str) -> u16 {
    listen.rsplit_once(':').and_then(|(_, port)| port.parse().ok()).unwrap_or(DEFAULT_PORT)
}

/// One blocking request: a process that lives for a millisecond needs no runtime.
fn is_ready(port: u16) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    stream.write_all(b"GET /_fractus/ready HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut status = [0_u8; 12];
    stream.read_exact(&mut status)?;
    Ok(status.ends_with(b" 200"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_port_is_that_of_listen() {
        assert_eq!(port_of("0.0.0.0:80"), 80);
        assert_eq!(port_of("[::]:9324"), 9324);
        assert_eq!(port_of(""), DEFAULT_PORT);
    }

    #[test]
    fn only_a_ready_service_passes() {
        for (answer, ready) in [("HTTP/1.1 200 OK\r\n\r\n", true), ("HTTP/1.1 503 Service Unavailable\r\n\r\n", false)]
        {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            let port = listener.local_addr().unwrap().port();
            let serving = std::thread::spawn(move || {
                let (mut stream, _) = listener.accept().unwrap();
                let mut asked = [0; 24];
                stream.read_exact(&mut asked).unwrap();
                assert!(asked.starts_with(b"GET /_fractus/ready "));
                stream.write_all(answer.as_bytes()).unwrap();
                // What is unread when a socket closes resets the connection.
                let _ = stream.read_to_end(&mut Vec::new());
            });
            assert_eq!(is_ready(port).unwrap(), ready);
            serving.join().unwrap();
        }
    }
}
