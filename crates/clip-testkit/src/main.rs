//! `clip-testkit`: the demo's web site and evaluation set.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use clip_testkit::{evaluation, hosts, pages::Web, photos, site};

#[derive(Parser)]
#[command(name = "clip-testkit", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the small web of emoji on 127.0.0.11 to 127.0.0.18 until stopped
    Site {
        /// Folder of the packages: …/node_modules/@iconify-json
        #[arg(long)]
        packages: PathBuf,
        /// Port on every address
        #[arg(long, default_value_t = 8417)]
        port: u16,
    },
    /// Serve the photographs of a tar file on 127.0.0.1 for benchmarks: /<number>.jpg is one of
    /// them in turn, /small/<number> a body of 1 KiB
    Photos {
        /// The tar file
        #[arg(long)]
        tar: PathBuf,
        /// Port
        #[arg(long, default_value_t = 8418)]
        port: u16,
    },
    /// Serve a small JPEG on every address of 127.0.0.0/8 for benchmarks of many hosts, and a name
    /// server, whose address is printed, with a-b-c-d.example.net for 127.b.c.d; /__count has how
    /// often images and robots.txt were asked for
    Hosts {
        /// Port on every address
        #[arg(long, default_value_t = 8419)]
        port: u16,
        /// Milliseconds to an answer of the name server
        #[arg(long, default_value_t = 50)]
        dns_delay: u64,
    },
    /// Write the held-out style as an evaluation set in CLIP_benchmark's layout
    Eval {
        /// Folder of the packages: …/node_modules/@iconify-json
        #[arg(long)]
        packages: PathBuf,
        /// Folder to write
        #[arg(long)]
        out: PathBuf,
    },
    /// List the planted copies: path, concept, change
    Planted {
        /// Folder of the packages: …/node_modules/@iconify-json
        #[arg(long)]
        packages: PathBuf,
    },
}

fn main() -> anyhow::Result<()> {
    match Cli::parse().command {
        Command::Site { packages, port } => {
            let web = Web::open(&packages)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(site::serve(web, port, || println!("ready")))
        }
        Command::Photos { tar, port } => {
            let photos = photos::Photos::open(&tar)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(photos.serve(port, |count| println!("ready: {count} photographs")))
        }
        Command::Hosts { port, dns_delay } => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(hosts::serve(port, Duration::from_millis(dns_delay), |names| {
                println!("ready {names}");
            }))
        }
        Command::Eval { packages, out } => {
            println!("{} images", evaluation::write(&packages, &out)?);
            Ok(())
        }
        Command::Planted { packages } => {
            for (path, concept, change) in Web::open(&packages)?.planted() {
                println!("{path}\t{concept}\t{}", change.name());
            }
            Ok(())
        }
    }
}
