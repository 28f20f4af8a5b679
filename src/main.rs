//! The program: see [`ringfence::cli`].

fn main() -> std::process::ExitCode {
    ringfence::cli::main().into()
}
