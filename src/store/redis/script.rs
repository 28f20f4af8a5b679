//! The scripts, and commands that write.

use ::redis::{Cmd, Pipeline, Value};

const SWAP: &str = include_str!("swap.lua");
const META: &str = include_str!("meta.lua");
const RESEAL: &str = include_str!("reseal.lua");

/// Which script.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Script {
    Swap,
    Meta,
    Reseal,
}

/// Something that writes.
#[derive(Clone, Debug)]
pub(super) enum Command {
    /// A compare-and-set: wrote something if the answer is an integer.
    Script { script: Script, keys: Vec<Vec<u8>>, arguments: Vec<Vec<u8>> },
    /// Writes whatever it finds.
    Plain(Cmd),
}

/// What the server calls the scripts: it says so when they are loaded, on every connection anew.
#[derive(Clone, Debug)]
pub(super) struct Names {
    swap: String,
    meta: String,
    reseal: String,
}

impl Names {
    /// The commands that load them.
    pub(super) fn load(pipe: &mut Pipeline) {
        for text in [SWAP, META, RESEAL] {
            pipe.cmd("SCRIPT").arg("LOAD").arg(text);
        }
    }

    /// Reads the answers to these.
    pub(super) fn read(answers: &[Value]) -> Option<Self> {
        let name = |value: &Value| match value {
            Value::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
            Value::SimpleString(text) => Some(text.clone()),
            _ => None,
        };
        let [swap, meta, reseal] = answers else { return None };
        Some(Self { swap: name(swap)?, meta: name(meta)?, reseal: name(reseal)? })
    }
}

impl Command {
    /// Adds it to what is sent.
    pub(super) fn send(&self, names: &Names, pipe: &mut Pipeline) {
        match self {
            Self::Plain(command) => {
                pipe.add_command(command.clone());
            }
            Self::Script { script, keys, arguments } => {
                let name = match script {
                    Script::Swap => &names.swap,
                    Script::Meta => &names.meta,
                    Script::Reseal => &names.reseal,
                };
                let command = pipe.cmd("EVALSHA").arg(name).arg(keys.len());
                keys.iter().chain(arguments).for_each(|part| {
                    command.arg(part.as_slice());
                });
            }
        }
    }

    /// Whether this answer says that something was written.
    pub(super) const fn wrote(&self, answer: &Value) -> bool {
        match self {
            Self::Plain(_) => true,
            Self::Script { .. } => matches!(answer, Value::Int(_)),
        }
    }
}
