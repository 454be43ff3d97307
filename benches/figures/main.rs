//! Prints the figures of this product: `scripts/bench [part …]`. Comparisons are ratios within one run, because
//! machines differ and are noisy; other figures are for the machine that the table names.

mod bytes;
mod due;
mod gallery;
mod live;
mod migrate;
mod starting;
#[path = "../../tests/it/support/mod.rs"]
#[allow(unused, reason = "the tests' parts, of which figures need some")]
mod support;
mod world;

use std::process::ExitCode;

/// One line of the table.
pub struct Figure {
    name: String,
    measured: String,
    wanted: String,
    met: bool,
}

impl Figure {
    /// A figure that should be at least, or at most, what is wanted.
    pub fn new(name: impl Into<String>, measured: impl Into<String>, wanted: impl Into<String>, met: bool) -> Figure {
        Figure { name: name.into(), measured: measured.into(), wanted: wanted.into(), met }
    }
}

/// Measures one part.
type Part = fn() -> Vec<Figure>;

const PARTS: [(&str, Part); 7] = [
    ("upload", bytes::upload),
    ("download", bytes::download),
    ("gallery", gallery::gallery),
    ("start", starting::start),
    ("live", live::live),
    ("due", due::due),
    ("migrate", migrate::migrate),
];

fn main() -> ExitCode {
    // For the HTTP clients of the parts; another choice was not made.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    if let Some(unknown) = wanted.iter().find(|part| PARTS.iter().all(|(name, _)| name != part)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        eprintln!("there is no part `{unknown}`; the parts are: {}", names.join(", "));
        return ExitCode::from(2);
    }
    println!("{}\n", world::machine());
    println!("| figure | measured | wanted | |\n| --- | --- | --- | --- |");
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|part| part == name) {
            for figure in part() {
                let met = if figure.met { "met" } else { "**missed**" };
                println!("| {} | {} | {} | {met} |", figure.name, figure.measured, figure.wanted);
            }
        }
    }
    ExitCode::SUCCESS
}
