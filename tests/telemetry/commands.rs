//! Claims about `sabir health` and `sabir config check`.

use std::{path::Path, process::Command};

use super::watched;
use crate::support::{http::get, server::binary, tls::Authority};

/// Runs the program with nothing of this process's environment; its exit code and what it said.
fn sabir(arguments: &[&str], folder: &Path) -> (Option<i32>, String) {
    let output = Command::new(binary("sabir")).args(arguments).current_dir(folder).env_clear().output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn health_is_an_exit_code_and_a_sentence() {
    let mut watched = watched("").await;
    let folder = tempfile::tempdir().unwrap();
    let url = format!("http://{}", watched.server.address());
    let (code, said) = sabir(&["health", "--address", &url], folder.path());
    assert_eq!((code, said.as_str()), (Some(0), &*format!("{url} is ready\n")));
    // The admin listener says so too, and by default the configuration says where to ask.
    assert_eq!(get(watched.admin, "/readyz").await.0, 200);
    let config = format!("[server]\nlisten = \"{}\"\n", watched.server.address());
    std::fs::write(folder.path().join("sabir.toml"), config).unwrap();
    assert_eq!(sabir(&["health"], folder.path()).0, Some(0));

    assert!(watched.server.terminate().await.success());
    let (code, said) = sabir(&["health", "--address", &url], folder.path());
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("{url} is not ready: ")) && said.contains("refused"), "{said}");
    assert_eq!(sabir(&["health", "--address", "nowhere"], folder.path()).0, Some(2));
}

#[tokio::test]
async fn a_configuration_is_checked_without_serving() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.toml");
    std::fs::write(&path, "[server]\nlisten = \"127.0.0.1:1\"\n[telemetry]\nsample_ratio = 0.5\n").unwrap();
    let path = path.to_str().unwrap();
    let (code, said) = sabir(&["config", "check", "--config", path], folder.path());
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("127.0.0.1:1") && !folder.path().join("sabir.db").exists(), "{said}");

    std::fs::write(path, "[server]\nlisen = 1\n[telemetry]\nsample_ratio = 7\n").unwrap();
    let (code, said) = sabir(&["config", "check", "--config", path], folder.path());
    assert_eq!(code, Some(1), "{said}");
    for problem in ["server.lisen: no such key", "telemetry.sample_ratio: must be from 0 to 1"] {
        assert!(said.contains(problem), "{said}");
    }
}

#[tokio::test]
async fn behind_tls_health_asks_where_no_certificate_is_needed() {
    let authority = Authority::new();
    authority.sign_server();
    let watched = watched(&authority.lines()).await;
    let folder = tempfile::tempdir().unwrap();
    let listen = watched.server.address();
    let config =
        format!("[server]\nlisten = \"{listen}\"\n{}[admin]\nlisten = \"{}\"\n", authority.lines(), watched.admin);
    std::fs::write(folder.path().join("sabir.toml"), config).unwrap();
    let (code, said) = sabir(&["health"], folder.path());
    assert_eq!(code, Some(0), "{said}");
    // The certificate is made out to a name, and its authority is unknown to this machine.
    let (code, said) = sabir(&["health", "--address", &format!("https://{listen}")], folder.path());
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("certificate"), "{said}");
}
