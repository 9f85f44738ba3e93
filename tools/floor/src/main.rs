//! infermux-floor: a bare forwarder, to show what any proxy pays at least.

mod forwarder;
mod pool;
mod ring;

use std::io;
use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Parser;

use crate::forwarder::Forwarder;

/// Forwards bytes between callers and one provider, and looks at none of them.
#[derive(Parser)]
#[command(name = "infermux-floor", version)]
struct Args {
    /// Where callers connect
    #[arg(long)]
    listen: SocketAddr,
    /// The provider
    #[arg(long)]
    upstream: SocketAddr,
}

fn main() -> ExitCode {
    let args = Args::parse();
    match serve(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn serve(args: &Args) -> io::Result<()> {
    ring::allow_many_files()?;
    let mut forwarder = Forwarder::new(args.listen, args.upstream)?;
    println!("listening on {}", forwarder.address()?);
    loop {
        forwarder.turn()?;
    }
}
