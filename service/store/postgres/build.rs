//! Rebuilds the crate when a migration is added: `sqlx::migrate!` can only watch the files it has seen.

fn main() {
    println!("cargo:rerun-if-changed=migrations");
}
