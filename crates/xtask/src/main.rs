//! Developer tasks: `cargo run -p xtask -- check` holds the house rules that the compiler does not.

mod cookbook;
mod cycles;
mod devices;
mod direction;
mod house;
mod imports;
mod links;
mod unused;
mod words;

use std::process::ExitCode;

fn main() -> ExitCode {
    let task = std::env::args().nth(1).unwrap_or_default();
    if task != "check" {
        eprintln!("usage: xtask check");
        return ExitCode::from(2);
    }
    match direction::check().and_then(|mut faults| {
        faults.extend(house::check()?);
        Ok(faults)
    }) {
        Ok(faults) if faults.is_empty() => {
            println!("house rules hold");
            ExitCode::SUCCESS
        }
        Ok(faults) => {
            faults.iter().for_each(|fault| eprintln!("{fault}"));
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}
