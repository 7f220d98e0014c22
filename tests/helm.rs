//! Claims about how Sabir is packaged: the Helm chart, its alerts and dashboard, the Dockerfile, the compose file.
//!
//! They are made in Python, beside the tools that judge such files; `scripts/install-helm-tools` installs those.

use crate::{clients::process::Client, support::server::binary};

/// Runs a script of `tests/helm`, which makes this many claims.
async fn hold(script: Client, claims: usize) {
    let said = script.succeeds().await;
    assert_eq!(said.lines().filter(|line| line.starts_with("ok ")).count(), claims, "{said}");
}

#[tokio::test]
async fn the_chart_is_what_its_readme_says() {
    hold(Client::helm("chart.py").arg(binary("sabir")), 25).await;
}

#[tokio::test]
async fn the_image_is_small_and_holds_no_secret() {
    hold(Client::helm("image.py"), 8).await;
}

#[tokio::test]
async fn alerts_fire_when_they_should() {
    hold(Client::helm("rules.py"), 9).await;
}
