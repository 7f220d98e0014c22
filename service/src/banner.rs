//! What a newcomer sees after the start: where the server listens, and one line to paste that gets an answer.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::live::Live;
use crate::telemetry::event;
use crate::upstream::Registry;

/// Says where the server listens, and, as soon as a model is known, how to ask it. `human`: whether the log is read by
/// people, who get the line by itself so that it can be copied. `encrypted`: whether it speaks TLS.
pub(crate) fn show(address: SocketAddr, encrypted: bool, registry: &Live<Registry>, human: bool) {
    let url = reachable(address, encrypted);
    tracing::info!(event = event::LISTENING, "listening on {url} for gRPC, gRPC-Web and OpenAI-compatible HTTP");
    let registry = registry.get();
    registry.start_listing();
    tokio::spawn(async move {
        let Some(model) = registry.first_model().await else {
            tracing::warn!(
                event = event::NO_MODEL,
                "no model is known yet: set OPENAI_API_KEY or another vendor's key, SABIR_LOCAL__MODEL to a GGUF file, or \
                 add a [providers.NAME] section to sabir.toml"
            );
            return;
        };
        let line = try_it(&url, &model);
        if human {
            // Without a standard error to write to, there is nobody to invite.
            let _ = write!(std::io::stderr(), "\nTry it:\n\n  {line}\n\n");
        } else {
            tracing::info!(event = event::TRY_IT, command = line, "try it");
        }
    });
}

/// Says how the first administrator comes to be, where everybody has to say who they are and nobody can let anybody in.
pub(crate) fn invite_administrator() {
    tracing::warn!(
        event = event::NO_ADMINISTRATOR,
        command = "sabir users create-admin NAME",
        "there is no administrator yet, so that nobody can make keys: run `sabir users create-admin NAME`, with the same \
         --config or variables as this server, and it prints an API key"
    );
}

/// A shell command that asks the model.
fn try_it(url: &str, model: &str) -> String {
    let model = serde_json::Value::from(model);
    let body = format!(r#"{{"model": {model}, "messages": [{{"role": "user", "content": "Hello! Who are you?"}}]}}"#);
    // Inside single quotes a shell leaves everything alone but the quote itself.
    let body = body.replace('\'', r"'\''");
    format!("curl {url}/v1/chat/completions -H 'content-type: application/json' -d '{body}'")
}

/// An address that a client on this machine can call: a server on all addresses is called on the loopback.
fn reachable(address: SocketAddr, encrypted: bool) -> String {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(ip) if ip.is_unspecified() => IpAddr::V6(Ipv6Addr::LOCALHOST),
        ip => ip,
    };
    let scheme = if encrypted { "https" } else { "http" };
    format!("{scheme}://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_survives_a_shell() {
        assert!(try_it("http://h", "it's").contains(r#""model": "it'\''s""#));
    }

    #[test]
    fn all_addresses_are_called_on_the_loopback() {
        assert_eq!(reachable(SocketAddr::from(([0, 0, 0, 0], 8080)), false), "http://127.0.0.1:8080");
        assert_eq!(reachable(SocketAddr::from(([0; 8], 1)), true), "https://[::1]:1");
        assert_eq!(reachable(SocketAddr::from(([10, 0, 0, 1], 80)), false), "http://10.0.0.1:80");
    }
}
