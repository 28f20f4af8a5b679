//! The program as it runs in the image and under the unit: a file system of its own that holds the program, the libraries
//! and the certificates and is read-only but for the folders it writes to, a user who may do nothing, no capabilities, no
//! new privileges, no network but a loopback of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use super::{PROGRAM, clean, not_run, tool};

/// Where the script stands that starts, asks and stops.
const SCRIPT: &str = "\
    trap 'kill $pid 2>/dev/null' EXIT\n\
    echo scratch 2>/dev/null >/scratch && echo 'the root can be written'\n\
    echo scratch 2>/dev/null >/usr/scratch && echo '/usr can be written'\n\
    \"$@\" & pid=$!\n\
    tries=0\n\
    until $READY; do kill -0 $pid || exit 8; tries=$((tries + 1)); [ $tries -lt 20000 ] || exit 9; done\n\
    kill -TERM $pid; wait $pid; status=$?; trap - EXIT\n\
    echo \"ended $status\"";

/// What `bwrap` is told: a root with nothing in it but what is named.
pub struct Sandbox {
    bwrap: PathBuf,
    arguments: Vec<String>,
}

impl Sandbox {
    /// `None`, and a note that it was not run, where this machine makes no such thing.
    pub fn new(what: &str) -> Option<Self> {
        let Some(bwrap) = tool("bwrap") else {
            not_run(what, "there is no bwrap here");
            return None;
        };
        let mut sandbox = Self { bwrap, arguments: Vec::new() };
        sandbox.say("--unshare-all --unshare-user --die-with-parent --new-session --clearenv --cap-drop ALL --uid 65532 --gid 65532");
        for path in ["/usr/lib", "/usr/lib64", "/lib", "/lib64", "/etc/ssl"] {
            sandbox.say("--ro-bind-try").say(path).say(path);
        }
        sandbox.say("--ro-bind").say(PROGRAM).say("/usr/bin/ringfence");
        sandbox.say("--proc /proc --dev /dev");
        let output = sandbox.command(&["/usr/bin/ringfence", "--version"]).output().unwrap();
        if !output.status.success() {
            not_run(what, &format!("bwrap does not run here: {}", String::from_utf8_lossy(&output.stderr).trim()));
            return None;
        }
        Some(sandbox)
    }

    fn say(&mut self, arguments: &str) -> &mut Self {
        self.arguments.extend(arguments.split(' ').map(str::to_owned));
        self
    }

    /// A folder of ours, to be written to.
    pub fn bind(&mut self, from: &Path, to: &str) {
        self.say("--bind");
        self.arguments.extend([from.display().to_string(), to.to_owned()]);
    }

    /// A file of ours, to be read.
    pub fn show(&mut self, from: &Path, to: &str) {
        self.say("--ro-bind");
        self.arguments.extend([from.display().to_string(), to.to_owned()]);
    }

    /// A variable of its environment.
    pub fn set(&mut self, name: &str, value: &str) {
        self.say("--setenv");
        self.arguments.extend([name.to_owned(), value.to_owned()]);
    }

    /// The folder it starts in.
    pub fn start_in(&mut self, folder: &str) {
        self.say("--dir").say(folder).say("--chdir").say(folder);
    }

    fn command(&self, line: &[&str]) -> Command {
        let mut command = clean(&self.bwrap);
        command.args(&self.arguments).args(["--remount-ro", "/", "--"]).args(line);
        command
    }

    /// Serves by this command line until it says that it is ready by that one, and then tells it to stop.
    #[track_caller]
    pub fn serves(mut self, serve: &[&str], ready: &[&str]) {
        self.show(Path::new("/bin/sh"), "/run/sh");
        self.set("READY", &ready.join(" "));
        let line = [&["/run/sh", "-c", SCRIPT, "sh"], serve].concat();
        let Output { status, stdout, stderr } = self.command(&line).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&stdout), String::from_utf8_lossy(&stderr));
        assert!(status.success(), "{status}\n{out}\n{err}");
        assert!(!out.contains("can be written"), "{out}");
        assert!(out.contains("is serving.") && out.contains("\nready\n"), "{out}\n{err}");
        assert!(out.ends_with("ended 0\n"), "told to stop, it drains and ends: {out}\n{err}");
    }
}
