//! Lists as plain text.

use std::path::Path;

use ringfence::registry::List;

use super::house;

pub fn run(bytes: &[u8]) {
    let text = [b"# as_of=2026-11-20T04:00:00Z\n", bytes].concat();
    for id in ["us.dnc.national", "uk.tps", "tenant.own"] {
        if let Err(fault) = List::read(id, Path::new("x"), text.as_slice()) {
            house::said(&fault.what);
            house::said(&fault.remedy);
        }
    }
}

pub fn seeds() -> Vec<Vec<u8>> {
    [
        "+12025550143\n# a remark\n+442079460000\t2026-01-01\n",
        "# sample=true count=1\n2025550143\n",
        "# source=somebody\r\n12025550143\r\n",
    ]
    .map(|text| text.as_bytes().to_vec())
    .into()
}
