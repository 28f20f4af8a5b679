//! What the fuzz targets do with their bytes. It stands here, and not in `fuzz_targets/`, so that `tests/fuzzed.rs` does
//! the very same with mangled seeds in every test run.

pub mod calls;
pub mod check_message;
pub mod check_stream;
pub mod contact_rows;
pub mod grpc_call;
pub mod house;
pub mod http_call;
pub mod import_asked;
pub mod import_columns;
pub mod import_lines;
pub mod import_oracle;
pub mod import_packed;
pub mod inbound_text;
pub mod list_text;
pub mod reassigned_answers;
pub mod refused;
pub mod rule_pack;
pub mod scrub_parquet;
pub mod scrub_rows;
pub mod set_body;
pub mod set_file;
pub mod shapes;

/// A target.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name: that of its file in `fuzz_targets/`, and of its folder in `corpus/`.
    pub name: &'static str,
    /// Reads bytes, and panics where something does not hold that was promised.
    pub run: fn(&[u8]),
    /// What to begin with: well-formed, of every shape.
    pub seeds: fn() -> Vec<Vec<u8>>,
}

macro_rules! targets {
    ($($name:ident,)*) => {
        &[$(Target { name: stringify!($name), run: $name::run, seeds: $name::seeds },)*]
    };
}

/// All of them.
pub const TARGETS: &[Target] = targets! {
    check_message,
    check_stream,
    contact_rows,
    grpc_call,
    http_call,
    import_asked,
    import_columns,
    import_lines,
    import_packed,
    inbound_text,
    list_text,
    reassigned_answers,
    rule_pack,
    scrub_parquet,
    scrub_rows,
    set_body,
    set_file,
};
